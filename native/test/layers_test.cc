// Checks layers.h and affine_rows.h against plain double code: norms, quantised rows, packed keys and values, attention.
#include "../layers.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../affine_rows.h"
#include "../cpu.h"
#include "check.h"

using namespace sotto;

namespace {

std::mt19937 engine(11);

std::vector<float> normals(size_t count, float deviation = 1, float mean = 0) {
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> x(count);
  for (float& each : x) each = normal(engine);
  return x;
}

using Bytes = std::shared_ptr<void>;
Bytes aligned(size_t bytes) {
  Bytes memory(std::aligned_alloc(64, roundUp(bytes, 64)), std::free);
  std::memset(memory.get(), 0x5a, roundUp(bytes, 64));
  return memory;
}

std::string label(const char* what, std::initializer_list<int> sizes) {
  std::string text = what;
  for (int size : sizes) text += " " + std::to_string(size);
  return text;
}

// Largest difference.
template <typename T>
double difference(const T* a, const double* b, size_t count) {
  double most = 0;
  for (size_t i = 0; i < count; i++) {
    double d = std::fabs(a[i] - b[i]);
    if (!(d <= most)) most = d;  // not-a-numbers too
  }
  return most;
}

std::vector<double> plainNorm(const float* x, int cols, const float* weight, const float* bias) {
  double mean = 0, variance = 0;
  for (int i = 0; i < cols; i++) mean += x[i];
  mean /= cols;
  for (int i = 0; i < cols; i++) variance += (x[i] - mean) * (x[i] - mean);
  std::vector<double> y(cols);
  for (int i = 0; i < cols; i++) y[i] = (x[i] - mean) / std::sqrt(variance / cols + 1e-5) * weight[i] + bias[i];
  return y;
}

void testNorms(int cols) {
  const int rows = 5;
  const size_t stride = cols + 3;
  std::vector<float> x = normals(rows * stride, 2, 5), weight = normals(cols), bias = normals(cols);
  Norm norm{weight.data(), bias.data()};
  std::vector<float> y(rows * stride, 99.0f);
  layerNorm(x.data(), stride, norm, cols, 1, 4, y.data(), stride);
  double worst = 0;
  bool untouched = true;
  for (int row = 0; row < rows; row++) {
    std::vector<double> expected = plainNorm(&x[row * stride], cols, weight.data(), bias.data());
    if (row >= 1 && row < 4) worst = std::max(worst, difference(&y[row * stride], expected.data(), cols));
    for (size_t i = 0; i < stride; i++) {
      if (row < 1 || row >= 4 || i >= static_cast<size_t>(cols)) untouched &= y[row * stride + i] == 99.0f;
    }
  }
  checkBelow(worst, 2e-5, label("layerNorm() of", {cols}));
  check(untouched, label("layerNorm() writes nothing else,", {cols}));
  std::vector<float> inPlace = x;
  layerNorm(inPlace.data(), stride, norm, cols, 1, 4, inPlace.data(), stride);
  check(std::memcmp(&inPlace[stride], &y[stride], cols * sizeof(float)) == 0, label("layerNorm() in place,", {cols}));

  // Quantising right away is quantising afterwards.
  auto quantised = [&](bool both, bool affine) {
    Scratch scratch;
    AffineRows out(scratch, rows, cols);
    QuantizedRows symmetric;
    symmetric.rows = rows;
    symmetric.cols = cols;
    symmetric.stride = out.stride;
    symmetric.bytes = out.bytes;
    symmetric.scales = out.scales;
    std::vector<float> normed(rows * stride);
    layerNorm(x.data(), stride, norm, cols, 0, rows, normed.data(), stride);
    if (affine && both) normAndQuantizeAffine(x.data(), stride, norm, out);
    if (affine && !both) quantizeAffine(normed.data(), stride, out);
    if (!affine && both) normAndQuantize(x.data(), stride, norm, 0, rows, symmetric);
    if (!affine && !both) quantizeRows(normed.data(), stride, 0, rows, symmetric);
    std::vector<float> all(out.scales, out.scales + rows);
    for (int row = 0; row < rows; row++) all.insert(all.end(), out.bytes + row * out.stride, out.bytes + row * out.stride + cols);
    return all;
  };
  check(quantised(true, false) == quantised(false, false), label("normAndQuantize() is both in one,", {cols}));
  check(quantised(true, true) == quantised(false, true), label("normAndQuantizeAffine() is both in one,", {cols}));
}

void testAffine(int cols, float mean) {
  const int rows = 4;
  std::vector<float> x = normals(rows * cols, 1, mean);
  for (int i = 0; i < cols; i++) x[2 * cols + i] = 0;  // a row of zeros
  x[0] = 0;
  Scratch scratch;
  AffineRows out(scratch, rows, cols);
  quantizeAffine(x.data(), cols, out);
  double worst = 0;
  for (int row = 0; row < rows; row++) {
    float least = 0, most = 0;
    for (int i = 0; i < cols; i++) least = std::min(least, x[row * cols + i]), most = std::max(most, x[row * cols + i]);
    double step = (double{most} - least) / 255;
    for (int i = 0; i < cols; i++) {
      double back = (out.bytes[row * out.stride + i] - out.zeros[row]) * double{out.scales[row]};
      worst = std::max(worst, std::fabs(back - x[row * cols + i]) - step * 0.5001);
    }
  }
  checkBelow(worst, 1e-6, label("quantizeAffine() is within half a 255th of the range, columns and mean", {cols, int(mean)}));
  check(out.bytes[0] == out.zeros[0], label("quantizeAffine() keeps zeros,", {cols, int(mean)}));
}

void testTaps(int channels, int positions, int step) {
  const int rows = positions / step;
  const ptrdiff_t stride = channels + 5;
  std::vector<float> x = normals(positions * stride, 1, 0.5f);
  Scratch scratch, plainScratch;
  AffineRows out(scratch, rows, 3 * channels), expected(plainScratch, rows, 3 * channels);
  quantizeTaps(x.data(), stride, channels, -1, step, 0, positions, out);
  std::vector<float> columns(static_cast<size_t>(rows) * 3 * channels);
  for (int row = 0; row < rows; row++) {
    for (int c = 0; c < channels; c++) {
      for (int tap = 0; tap < 3; tap++) {
        int at = row * step + tap - 1;
        columns[(row * channels + c) * 3 + tap] = at >= 0 && at < positions ? x[at * stride + c] : 0;
      }
    }
  }
  quantizeAffine(columns.data(), 3 * channels, expected);
  bool same = true;
  for (int row = 0; row < rows; row++) {
    same &= out.scales[row] == expected.scales[row] && out.zeros[row] == expected.zeros[row];
    same &= std::memcmp(out.bytes + row * out.stride, expected.bytes + row * expected.stride, 3 * channels) == 0;
  }
  check(same, label("quantizeTaps() is quantising what the taps see, channels, positions, step", {channels, positions, step}));
}

void testMultiply(int rows, int nIn, int nOut) {
  std::vector<float> x = normals(static_cast<size_t>(rows) * nIn, 1, 0.7f), weight = normals(static_cast<size_t>(nOut) * nIn, 0.1f);
  std::vector<float> bias = normals(nOut);
  Bytes packed = aligned(packedBytes(nIn, nOut));
  packMatrix(weight.data(), nIn, nOut, nIn, packed.get());
  PackedMatrix w = viewPacked(packed.get(), nIn, nOut);
  Scratch scratch;
  AffineRows q(scratch, rows, nIn);
  quantizeAffine(x.data(), nIn, q);
  const int from = rows / 3;
  std::vector<float> y(static_cast<size_t>(rows) * nOut, 99.0f), add = normals(y.size());
  multiply(q.part(from, rows - from), w, bias.data(), false, &add[from * nOut], nOut, &y[from * nOut], nOut);
  // What the bytes say, with the weights as they were packed.
  double worst = 0;
  for (int row = from; row < rows; row++) {
    for (int out = 0; out < nOut; out++) {
      double sum = 0;
      for (int i = 0; i < nIn; i++) {
        size_t block = static_cast<size_t>(out / 16) * w.inBlocks() + i / 64;
        int weightByte = w.blocks[block * 1024 + i % 64 / 4 * 64 + out % 16 * 4 + i % 4];
        sum += (q.bytes[row * q.stride + i] - q.zeros[row]) * weightByte;
      }
      worst = std::max(worst, std::fabs(sum * q.scales[row] * w.scales[out] + bias[out] + add[row * nOut + out] - y[row * nOut + out]));
    }
  }
  checkBelow(worst, 1e-5, label("multiply() with zero points, rows, inputs, outputs", {rows, nIn, nOut}));
  check(std::all_of(y.begin(), y.begin() + static_cast<size_t>(from) * nOut, [](float v) { return v == 99.0f; }),
        label("multiply() leaves other rows alone,", {rows, nIn, nOut}));
}

// Every byte, sum, and scale of two packed matrices.
void checkPacked(const void* found, const void* expected, int nIn, int nOut, const std::string& what) {
  PackedMatrix a = viewPacked(found, nIn, nOut), b = viewPacked(expected, nIn, nOut);
  size_t outs = a.outBlocks() * kBlockOut;
  double worst = 0;
  for (size_t i = 0; i < outs; i++) worst = std::max(worst, std::fabs(a.scales[i] - b.scales[i]) / (b.scales[i] + 1e-30));
  check(std::memcmp(a.blocks, b.blocks, a.paddedIn() * outs) == 0 && std::memcmp(a.sums, b.sums, outs * sizeof(int32_t)) == 0 &&
            worst < 1e-6,
        what);
}

void testPacking(int positions) {
  const int stride = 71;
  std::vector<float> x = normals(static_cast<size_t>(positions) * stride, 1, 3);
  Bytes keys = aligned(packedBytes(kHeadSize, positions)), values = aligned(packedBytes(positions, kHeadSize));
  Bytes expected = aligned(std::max(packedBytes(kHeadSize, positions), packedBytes(positions, kHeadSize)));

  std::vector<float> mean(kHeadSize), less(static_cast<size_t>(positions) * kHeadSize), turned(less.size());
  packKeys(x.data(), stride, positions, keys.get(), mean.data());
  std::vector<double> exactMean(kHeadSize, 0);
  for (int i = 0; i < positions; i++) {
    for (int c = 0; c < kHeadSize; c++) exactMean[c] += x[i * stride + c] / double(positions);
  }
  checkBelow(difference(mean.data(), exactMean.data(), kHeadSize), 2e-5, label("packKeys() gives the mean key, positions", {positions}));
  for (int i = 0; i < positions; i++) {
    for (int c = 0; c < kHeadSize; c++) {
      less[i * kHeadSize + c] = x[i * stride + c] - mean[c];
      turned[c * positions + i] = x[i * stride + c];
    }
  }
  packMatrix(less.data(), kHeadSize, positions, kHeadSize, expected.get());
  checkPacked(keys.get(), expected.get(), kHeadSize, positions, label("packKeys() packs keys less their mean, positions", {positions}));
  packKeys(x.data(), stride, positions, keys.get(), nullptr);
  checkPacked(keys.get(), expected.get(), kHeadSize, positions, label("packKeys() without a place for the mean, positions", {positions}));
  packValues(x.data(), stride, positions, values.get());
  packMatrix(turned.data(), positions, kHeadSize, positions, expected.get());
  checkPacked(values.get(), expected.get(), positions, kHeadSize, label("packValues() packs a channel an output, positions", {positions}));
}

struct Attention {
  int rows, positions;
  size_t qStride = 64 + 16, stride = 64 + 3, outStride = 64 + 8;
  std::vector<float> queries, keys, values;
  Bytes keyBytes, valueBytes;

  Attention(int rows, int positions, float sharpness)
      : rows(rows), positions(positions), queries(normals(rows * qStride, sharpness)), keys(normals(positions * stride, 1, 0.5f)),
        values(normals(positions * stride)) {}

  void pack() {
    keyBytes = aligned(packedBytes(kHeadSize, positions));
    valueBytes = aligned(packedBytes(positions, kHeadSize));
    packKeys(keys.data(), stride, positions, keyBytes.get(), nullptr);
    packValues(values.data(), stride, positions, valueBytes.get());
  }

  // Rows [from, to), [to - from, outStride].
  std::vector<float> attend(int from, int to) const {
    std::vector<float> out((to - from) * outStride, 99.0f);
    Scratch scratch;
    attendPacked(&queries[from * qStride], qStride, to - from, viewPacked(keyBytes.get(), kHeadSize, positions),
                 viewPacked(valueBytes.get(), positions, kHeadSize), scratch, out.data(), outStride);
    return out;
  }

  std::vector<double> plain(int row) const {
    std::vector<double> scores(positions), out(kHeadSize, 0);
    for (int i = 0; i < positions; i++) {
      for (int c = 0; c < kHeadSize; c++) scores[i] += double{queries[row * qStride + c]} * keys[i * stride + c] / 8;
    }
    double most = *std::max_element(scores.begin(), scores.end()), sum = 0;
    for (double& score : scores) sum += score = std::exp(score - most);
    for (int i = 0; i < positions; i++) {
      for (int c = 0; c < kHeadSize; c++) out[c] += scores[i] / sum * values[i * stride + c];
    }
    return out;
  }

  // Root mean square of the error, relative to the result's.
  double error() const {
    std::vector<float> found = attend(0, rows);
    double wrong = 0, size = 0;
    for (int row = 0; row < rows; row++) {
      std::vector<double> expected = plain(row);
      for (int c = 0; c < kHeadSize; c++) {
        wrong += std::pow(found[row * outStride + c] - expected[c], 2);
        size += expected[c] * expected[c];
      }
    }
    return std::sqrt(wrong / size);
  }
};

void testAttention(int rows, int positions, float sharpness, double bound) {
  Attention a(rows, positions, sharpness);
  a.pack();
  checkBelow(a.error(), bound, label("attendPacked() is attention, rows, positions, sharpness in tenths",
                                     {rows, positions, int(sharpness * 10)}));
  std::vector<float> all = a.attend(0, rows);
  bool same = true, untouched = true;
  for (int row = 0; row < rows; row++) {
    std::vector<float> one = a.attend(row, row + 1);
    same &= std::memcmp(one.data(), &all[row * a.outStride], kHeadSize * sizeof(float)) == 0;
    for (size_t i = kHeadSize; i < a.outStride; i++) untouched &= all[row * a.outStride + i] == 99.0f;
  }
  check(same && untouched, label("attendPacked() gives a row what it gives it alone,", {rows, positions}));
}

void testHardAttention() {
  // One position stands out so far that each of the others counts for less than half of 1/255, all of them together for most.
  Attention tail(1, 1500, 0);
  for (int i = 0; i < 1500; i++) {
    for (int c = 0; c < kHeadSize; c++) {
      tail.keys[i * tail.stride + c] = c == 0 ? (i == 700 ? 1 : -1.0f) : 0;
      tail.values[i * tail.stride + c] = i == 700 ? -1.0f : 1.0f + 0.1f * std::sin(i * 0.1f + c);
    }
  }
  tail.queries[0] = 8 * std::log(255 / 0.3f) / 2;
  tail.pack();
  checkBelow(tail.error(), 0.02, "attendPacked() keeps what is small and frequent");

  Attention zeros(2, 50, 0);
  zeros.pack();
  std::vector<float> found = zeros.attend(0, 1);
  checkBelow(difference(found.data(), zeros.plain(0).data(), kHeadSize), 0.02, "attendPacked() of a query of zeros is the mean value");

  Attention large(3, 100, 1e6f);
  large.pack();
  std::vector<float> picked = large.attend(0, 3);
  double worst = 0;
  for (int row = 0; row < 3; row++) worst = std::max(worst, difference(&picked[row * large.outStride], large.plain(row).data(), 64));
  checkBelow(worst, 0.02, "attendPacked() withstands large scores");
}

void testFloat16() {
  // Zero, the least, the greatest, one, minus two, a third, infinity.
  std::vector<uint16_t> x = {0, 1, 0x7bff, 0x3c00, 0xc000, 0x3555, 0x7c00};
  std::vector<float> expected = {0, 5.9604645e-8f, 65504, 1, -2, 0.33325195f, INFINITY};
  for (int i = 0; i < 4; i++) {
    x.insert(x.end(), x.begin(), x.end());
    expected.insert(expected.end(), expected.begin(), expected.end());
  }
  for (size_t count : {size_t{5}, size_t{16}, x.size()}) {
    std::vector<float> y(x.size() + 1, 99.0f);
    fromFloat16(x.data(), count, y.data());
    check(std::equal(y.begin(), y.begin() + count, expected.begin()) && y[count] == 99.0f, label("fromFloat16() of", {int(count)}));
  }
}

}  // namespace

int main() {
  std::printf("instruction set: %s\n", isaName(detectIsa()));
  for (int cols : {5, 64, 130, 512, 2100}) testNorms(cols);
  testAffine(7, 0);
  testAffine(64, 0);
  testAffine(300, 3);
  testAffine(130, -2);
  testTaps(80, 10, 1);
  testTaps(5, 7, 1);
  testTaps(64, 24, 2);
  testTaps(37, 12, 2);
  testMultiply(1, 64, 64);
  testMultiply(5, 240, 30);
  testMultiply(97, 128, 200);
  testMultiply(40, 1000, 48);
  for (int positions : {1, 12, 16, 100, 257}) testPacking(positions);
  // Random values: next to nothing of them is left where attention is spread out, and a large part of that is rounding.
  testAttention(1, 1, 1, 0.001);
  testAttention(3, 12, 1, 0.02);
  testAttention(5, 12, 4, 0.02);
  testAttention(12, 100, 1, 0.02);
  testAttention(17, 257, 2, 0.03);
  testAttention(33, 1500, 0.5f, 0.02);
  testAttention(70, 1500, 1, 0.03);
  testAttention(49, 1500, 4, 0.03);
  testHardAttention();
  testFloat16();
  return result();
}
