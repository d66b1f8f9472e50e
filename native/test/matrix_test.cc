// matrix.h against plain loops: packing, integer products of every shape and tail, and finished products.
#include "../matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "../cpu.h"
#include "check.h"

using namespace sotto;

namespace {

// 64-byte aligned numbers, with `margin` guard numbers after them.
template <typename T>
struct Aligned {
  T* data;
  size_t count;
  explicit Aligned(size_t n) : count(n) {
    data = static_cast<T*>(std::aligned_alloc(64, roundUp(n * sizeof(T) + 64, 64)));
    std::memset(static_cast<void*>(data), 0x5a, roundUp(n * sizeof(T) + 64, 64));
  }
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
};

std::mt19937 random(7);

std::vector<float> numbers(size_t n, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

float largestOf(const float* x, int n) {
  float largest = 0;
  for (int i = 0; i < n; i++) largest = std::fmax(largest, std::fabs(x[i]));
  return largest;
}

int8_t weightAt(const PackedMatrix& m, int in, int out) {
  size_t block = static_cast<size_t>(out / 16) * m.inBlocks() + in / 64;
  return m.blocks[block * 1024 + (in % 64 / 4) * 64 + (out % 16) * 4 + in % 4];
}

struct Case {
  Aligned<char> packed;
  PackedMatrix w;
  Aligned<uint8_t> bytes;
  Aligned<float> scales;
  QuantizedRows x;

  Case(const std::vector<float>& weight, int nIn, int nOut, const std::vector<float>& activations, int rows)
      : packed(packedBytes(nIn, nOut)), bytes(roundUp(rows, 16) * roundUp(nIn, 64)), scales(rows) {
    packMatrix(weight.data(), nIn, nOut, nIn, packed.data);
    w = viewPacked(packed.data, nIn, nOut);
    x.rows = rows;
    x.cols = nIn;
    x.stride = roundUp(nIn, 64);
    x.bytes = bytes.data;
    x.scales = scales.data;
    quantizeRows(activations.data(), nIn, 0, rows, x);
  }

  int64_t sum(int row, int out, int zero) const {
    int64_t total = 0;
    for (int i = 0; i < x.cols; i++) total += (x.bytes[row * x.stride + i] - zero) * int64_t{weightAt(w, i, out)};
    return total;
  }
};

bool packingHolds(int nIn, int nOut, int stride) {
  std::vector<float> weight = numbers(static_cast<size_t>(nOut) * stride, 0.3f);
  if (nOut > 2) std::fill_n(weight.begin() + 2 * stride, nIn, 0.0f);
  Aligned<char> packed(packedBytes(nIn, nOut));
  packMatrix(weight.data(), nIn, nOut, stride, packed.data);
  PackedMatrix m = viewPacked(packed.data, nIn, nOut);
  for (size_t i = packedBytes(nIn, nOut); i < packedBytes(nIn, nOut) + 64; i++) {
    if (packed.data[i] != 0x5a) return false;
  }
  for (size_t out = 0; out < m.outBlocks() * 16; out++) {
    bool real = out < static_cast<size_t>(nOut);
    const float* row = weight.data() + out * stride;
    float largest = real ? largestOf(row, nIn) : 0;
    int64_t sum = 0;
    for (size_t in = 0; in < m.paddedIn(); in++) {
      int got = weightAt(m, static_cast<int>(in), static_cast<int>(out));
      bool there = real && in < static_cast<size_t>(nIn);
      if (!there && got != 0) return false;
      if (there && largest > 0) {
        // Halves may fall either way: the kernel multiplies by the rounded reciprocal.
        if (std::fabs(row[in] * 127 / largest - static_cast<float>(got)) > 0.5001f) return false;
      }
      if (there && largest == 0 && got != 0) return false;
      sum += got;
    }
    if (m.sums[out] != sum || m.scales[out] != largest / 127) return false;
  }
  return true;
}

bool quantizingHolds(int rows, int cols, int stride) {
  std::vector<float> x = numbers(static_cast<size_t>(rows) * stride, 3);
  std::fill_n(x.begin(), cols, 0.0f);
  if (rows > 1) std::fill_n(x.begin() + stride, cols, 1e-38f);
  size_t width = roundUp(cols, 64);
  Aligned<uint8_t> bytes(rows * width);
  Aligned<float> scales(rows);
  QuantizedRows q{rows, cols, width, bytes.data, scales.data};
  quantizeRows(x.data(), stride, 0, rows / 2, q);
  quantizeRows(x.data(), stride, rows / 2, rows, q);
  for (int r = 0; r < rows; r++) {
    float largest = largestOf(x.data() + r * stride, cols);
    for (size_t c = 0; c < width; c++) {
      int got = bytes.data[r * width + c];
      if (c >= static_cast<size_t>(cols)) {
        if (got != 128) return false;
        continue;
      }
      float back = (got - 128) * scales.data[r];
      if (std::fabs(back - x[r * stride + c]) > largest / 127 * 0.5001f + 1e-30f) return false;
      if (largest > 1e-20f && std::abs(x[r * stride + c]) == largest && std::abs(got - 128) != 127) return false;
    }
  }
  return true;
}

bool productHolds(int rows, int nIn, int nOut, int trimFrom, int trimTo) {
  Case c(numbers(static_cast<size_t>(nOut) * nIn, 1), nIn, nOut, numbers(static_cast<size_t>(rows) * nIn, 1), rows);
  size_t from = trimFrom, to = c.w.outBlocks() - trimTo;
  size_t width = (to - from) * 16, stride = width + 16;
  Aligned<int32_t> out(rows * stride);
  multiplyBlocks(c.x.bytes, c.x.stride, rows, c.w, from, to, out.data, stride);
  int32_t untouched;
  std::memset(&untouched, 0x5a, 4);
  for (int r = 0; r < rows; r++) {
    for (size_t i = 0; i < stride; i++) {
      size_t at = from * 16 + i;
      int64_t want = i >= width ? untouched : at < static_cast<size_t>(nOut) ? c.sum(r, static_cast<int>(at), 0) : 0;
      if (out.data[r * stride + i] != want) return false;
    }
  }
  for (int i = 0; i < 16; i++) {
    if (out.data[rows * stride + i] != untouched) return false;
  }
  return true;
}

double exactGelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }

bool linearHolds(Threads& threads, int rows, int nIn, int nOut, Then then, bool biased) {
  std::vector<float> bias = numbers(nOut, 1);
  Case c(numbers(static_cast<size_t>(nOut) * nIn, 1 / std::sqrt(static_cast<float>(nIn))), nIn, nOut,
         numbers(static_cast<size_t>(rows) * nIn, 2), rows);
  size_t stride = nOut + 3;
  std::vector<float> before = numbers(rows * stride, 1), y = before;
  linear(threads, c.x, c.w, biased ? bias.data() : nullptr, then, y.data(), stride);
  double worst = 0;
  for (int r = 0; r < rows; r++) {
    for (size_t i = 0; i < stride; i++) {
      size_t at = r * stride + i;
      if (i >= static_cast<size_t>(nOut)) {
        if (y[at] != before[at]) return false;
        continue;
      }
      if (rows * int64_t{nIn} * nOut > 30000000 && (r * 7 + i) % 61 != 0) continue;  // a sample of the large ones
      double want = c.sum(r, static_cast<int>(i), 128) * double{c.scales.data[r]} * c.w.scales[i] + (biased ? bias[i] : 0);
      if (then == Then::kGelu) want = exactGelu(want);
      if (then == Then::kAdd) want += before[at];
      worst = std::fmax(worst, std::fabs(y[at] - want) / (1 + std::fabs(want)));
    }
  }
  return worst < 2e-6;
}

// Rows with zero points of their own, and a sum with other numbers than those of y.
bool rowsHold(int rows, int nIn, int nOut, bool gelu, bool add) {
  Case c(numbers(static_cast<size_t>(nOut) * nIn, 1 / std::sqrt(static_cast<float>(nIn))), nIn, nOut,
         numbers(static_cast<size_t>(rows) * nIn, 2), rows);
  std::vector<float> zeros(rows), bias = numbers(nOut, 1), other = numbers(static_cast<size_t>(rows) * (nOut + 5), 1);
  for (int r = 0; r < rows; r++) zeros[r] = static_cast<float>(120 + r % 17);
  std::vector<float> y(static_cast<size_t>(rows) * (nOut + 2), -7.0f);
  RowProduct product;
  product.bytes = c.x.bytes;
  product.stride = c.x.stride;
  product.rows = rows;
  product.scales = c.x.scales;
  product.zeros = zeros.data();
  product.bias = bias.data();
  product.gelu = gelu;
  product.add = add ? other.data() : nullptr;
  product.addStride = nOut + 5;
  product.y = y.data();
  product.yStride = nOut + 2;
  linearRows(product, c.w);
  for (int r = 0; r < rows; r++) {
    for (int i = 0; i < nOut; i++) {
      double want = static_cast<double>(c.sum(r, i, static_cast<int>(zeros[r]))) * c.scales.data[r] * c.w.scales[i] + bias[i];
      if (gelu) want = exactGelu(want);
      if (add) want += other[static_cast<size_t>(r) * (nOut + 5) + i];
      if (std::fabs(y[static_cast<size_t>(r) * (nOut + 2) + i] - want) > 2e-6 * (1 + std::fabs(want))) return false;
    }
    for (int i = nOut; i < nOut + 2; i++) {
      if (y[static_cast<size_t>(r) * (nOut + 2) + i] != -7.0f) return false;
    }
  }
  return true;
}

// GELU alone, over its whole range: one input of 127 steps, weights 1, the bias is x.
bool geluHolds() {
  int n = 40000;
  std::vector<float> bias(n);
  for (int i = 0; i < n; i++) bias[i] = (i - n / 2) * 6e-4f;
  Case c(std::vector<float>(n, 1.0f), 1, n, {0.0f}, 1);
  Threads threads(1);
  std::vector<float> y(n);
  linear(threads, c.x, c.w, bias.data(), Then::kGelu, y.data(), n);
  double worst = 0;
  for (int i = 0; i < n; i++) worst = std::fmax(worst, std::fabs(y[i] - exactGelu(bias[i])) / std::fmax(1.0, std::fabs(bias[i])));
  std::printf("     GELU is off by at most %.2g\n", worst);
  return worst < 1e-6;
}

// A row's result does not depend on its company, nor on the number of threads.
bool rowsAreIndependent(int nIn, int nOut) {
  int rows = 230;
  std::vector<float> weight = numbers(static_cast<size_t>(nOut) * nIn, 1), x = numbers(static_cast<size_t>(rows) * nIn, 1);
  Case all(weight, nIn, nOut, x, rows);
  std::vector<float> whole(static_cast<size_t>(rows) * nOut), part(whole.size());
  Threads three(3), one(1);
  linear(three, all.x, all.w, nullptr, Then::kGelu, whole.data(), nOut);
  for (int from = 0, count = 1; from < rows; from += count, count = count * 2 + 1) {
    count = std::min(count, rows - from);
    std::vector<float> own(x.begin() + static_cast<size_t>(from) * nIn, x.begin() + static_cast<size_t>(from + count) * nIn);
    Case some(weight, nIn, nOut, own, count);
    linear(count % 2 ? one : three, some.x, some.w, nullptr, Then::kGelu, part.data() + static_cast<size_t>(from) * nOut, nOut);
  }
  return whole == part;
}

}  // namespace

int main() {
  std::printf("instruction set: %s\n", isaName(detectIsa()));
  if (detectIsa() == Isa::kNone) {
    std::printf("skipped: this processor lacks AVX-512 VNNI\n");
    return 0;
  }
  char name[200];
  for (auto [in, out, stride] : {std::array{1, 1, 1}, {64, 16, 64}, {63, 17, 63}, {240, 64, 250}, {384, 50, 384},
                                 {1500, 64, 1500}}) {
    std::snprintf(name, sizeof name, "packMatrix() [%d, %d], stride %d", in, out, stride);
    check(packingHolds(in, out, stride), name);
  }
  for (auto [rows, cols, stride] : {std::array{1, 1, 1}, {3, 64, 64}, {5, 100, 103}, {20, 1500, 1600}}) {
    std::snprintf(name, sizeof name, "quantizeRows() [%d, %d], stride %d", rows, cols, stride);
    check(quantizingHolds(rows, cols, stride), name);
  }
  for (int nIn : {1, 64, 100, 512, 1500}) {
    for (int nOut : {1, 16, 30, 64, 100, 193}) {
      bool all = true;
      for (int rows : {1, 2, 3, 4, 5, 7, 8, 12, 13, 15, 16, 17, 25, 31, 32, 33, 48, 50, 64, 75}) {
        all = all && productHolds(rows, nIn, nOut, 0, 0) && (nOut < 60 || productHolds(rows, nIn, nOut, 1, nOut > 64 ? 2 : 1));
      }
      std::snprintf(name, sizeof name, "multiplyBlocks() [rows, %d] x [%d, %d]", nIn, nIn, nOut);
      check(all, name);
    }
  }
  check(geluHolds(), "linear() GELU within 1e-6");
  for (int count : {1, 2, 5}) {
    Threads threads(count);
    for (auto [rows, nIn, nOut] : {std::array{1, 64, 16}, {1, 512, 1500}, {5, 512, 515}, {16, 128, 384}, {33, 100, 70},
                                   {193, 64, 100}, {400, 640, 2100}, {1500, 64, 33}}) {
      for (Then then : {Then::kNothing, Then::kGelu, Then::kAdd}) {
        std::snprintf(name, sizeof name, "linear() [%d, %d] x [%d, %d], then %d, %d threads", rows, nIn, nIn, nOut,
                      static_cast<int>(then), count);
        check(linearHolds(threads, rows, nIn, nOut, then, rows % 2 == 1), name);
      }
    }
  }
  for (auto [rows, nIn, nOut] : {std::array{1, 64, 40}, {9, 192, 100}, {17, 512, 33}, {40, 100, 64}, {96, 128, 384},
                                 {70, 1024, 1000}}) {
    for (bool gelu : {false, true}) {
      for (bool add : {false, true}) {
        std::snprintf(name, sizeof name, "linearRows() [%d, %d] x [%d, %d]%s%s", rows, nIn, nIn, nOut, gelu ? ", GELU" : "",
                      add ? ", add" : "");
        check(rowsHold(rows, nIn, nOut, gelu, add), name);
      }
    }
  }
  check(rowsAreIndependent(128, 200), "linear() rows are independent");
  check(rowsAreIndependent(512, 2048), "linear() rows are independent of many outputs");
  return result();
}
