// Quantising and packing, and how a product is cut into chunks for the threads.
#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cpu.h"
#include "matrix_kernels.h"

namespace sotto {
namespace {

constexpr float kLargest = 127.0f;
constexpr float kTiny = 1e-30f;  // rows no larger than this are zeros: the reciprocal of their scale would overflow

constexpr int kFewRows = 6;  // up to here tiles are mostly empty, and vectors read weights from memory faster

bool useTiles(int rows) {
  static const bool has = detectIsa() == Isa::kAmxInt8;
  return has && rows > kFewRows;
}

constexpr int kRowChunk = 96;                // a multiple of both kernels' rows
constexpr size_t kGroupBytes = 768 << 10;    // weights that stay in the second cache while rows go by
constexpr size_t kFewRowsBytes = 64 << 10;   // weights worth a chunk of their own

// Output blocks whose weights are about so many bytes.
size_t blocksOf(const PackedMatrix& w, size_t bytes) {
  return roundUp(std::max<size_t>(1, bytes / (w.paddedIn() * kBlockOut)), 8);
}

float largestMagnitude(const float* x, int n) {
  __m512 largest[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  int i = 0;
  for (; i + 64 <= n; i += 64) {
    for (int j = 0; j < 4; j++) largest[j] = _mm512_max_ps(largest[j], _mm512_abs_ps(_mm512_loadu_ps(x + i + j * 16)));
  }
  for (; i < n; i += 16) {
    __mmask16 mask = n - i >= 16 ? 0xffff : static_cast<__mmask16>((1u << (n - i)) - 1);
    largest[0] = _mm512_max_ps(largest[0], _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i)));
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(largest[0], largest[1]), _mm512_max_ps(largest[2], largest[3])));
}

float reciprocalScale(float largest) { return largest > kTiny ? kLargest / largest : 0.0f; }

// NaN for a row with an infinity in it, or of NaN alone, as norms make them: a product with it must not look like a number.
float scaleOf(float largest, float factor) {
  if (!std::isfinite(largest)) return std::numeric_limits<float>::quiet_NaN();
  return factor > 0 ? largest / kLargest : 0;
}

// 64 numbers as signed bytes; those from `n` on are 0.
__m512i quantize64(const float* x, int n, __m512 factor) {
  __m512i bytes = _mm512_setzero_si512();
  __m128i parts[4];
  for (int j = 0; j < 4; j++) {
    int there = n - j * 16;
    __mmask16 mask = there >= 16 ? 0xffff : there <= 0 ? 0 : static_cast<__mmask16>((1u << there) - 1);
    __m512 values = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + j * 16), factor);
    parts[j] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(values));
  }
  bytes = _mm512_inserti32x4(bytes, parts[0], 0);
  bytes = _mm512_inserti32x4(bytes, parts[1], 1);
  bytes = _mm512_inserti32x4(bytes, parts[2], 2);
  return _mm512_inserti32x4(bytes, parts[3], 3);
}

}  // namespace

size_t packedBytes(int nIn, int nOut) {
  size_t outs = roundUp(nOut, kBlockOut);
  return roundUp(nIn, kBlockIn) * outs + outs * (sizeof(float) + sizeof(int32_t));
}

PackedMatrix viewPacked(const void* bytes, int nIn, int nOut) {
  PackedMatrix matrix;
  matrix.nIn = nIn;
  matrix.nOut = nOut;
  size_t outs = matrix.outBlocks() * kBlockOut;
  matrix.blocks = static_cast<const int8_t*>(bytes);
  const int8_t* scales = matrix.blocks + matrix.paddedIn() * outs;
  matrix.scales = reinterpret_cast<const float*>(scales);
  matrix.sums = reinterpret_cast<const int32_t*>(scales + outs * sizeof(float));
  return matrix;
}

void packMatrix(const float* weight, int nIn, int nOut, size_t stride, void* bytes) {
  PackedMatrix matrix = viewPacked(bytes, nIn, nOut);
  int8_t* to = const_cast<int8_t*>(matrix.blocks);
  float* scales = const_cast<float*>(matrix.scales);
  int32_t* sums = const_cast<int32_t*>(matrix.sums);
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i outputs = _mm512_slli_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 4);
  alignas(64) int8_t block[kBlockOut][kBlockIn];
  for (size_t outBlock = 0; outBlock < matrix.outBlocks(); outBlock++) {
    int first = static_cast<int>(outBlock) * kBlockOut;
    int outs = std::min(kBlockOut, nOut - first);
    float factors[kBlockOut] = {};
    for (int out = 0; out < kBlockOut; out++) {
      float largest = out < outs ? largestMagnitude(weight + (first + out) * stride, nIn) : 0;
      factors[out] = reciprocalScale(largest);
      scales[first + out] = scaleOf(largest, factors[out]);
    }
    std::memset(block, 0, sizeof block);
    __m512i sum = _mm512_setzero_si512();
    for (int in = 0; in < nIn; in += kBlockIn) {
      for (int out = 0; out < outs; out++) {
        const float* row = weight + (first + out) * stride;
        _mm512_store_si512(block[out], quantize64(row + in, nIn - in, _mm512_set1_ps(factors[out])));
      }
      // From 16 outputs of 64 inputs to 16 groups of 4 inputs of each output.
      for (int group = 0; group < 16; group++) {
        __m512i four = _mm512_i32gather_epi32(outputs, block[0] + group * 4, 4);
        sum = _mm512_dpbusd_epi32(sum, ones, four);
        _mm512_store_si512(to, four);
        to += 64;
      }
    }
    _mm512_store_si512(sums + first, sum);
  }
}

void quantizeRows(const float* x, size_t stride, int from, int to, QuantizedRows& out) {
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(128));
  for (int row = from; row < to; row++) {
    const float* values = x + row * stride;
    float largest = largestMagnitude(values, out.cols);
    float factor = reciprocalScale(largest);
    out.scales[row] = scaleOf(largest, factor);
    uint8_t* bytes = out.bytes + row * out.stride;
    for (int i = 0; i < out.cols; i += 64) {
      __m512i quantized = quantize64(values + i, out.cols - i, _mm512_set1_ps(factor));
      _mm512_storeu_si512(bytes + i, _mm512_xor_si512(quantized, zero));
    }
  }
}

void multiplyBlocks(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t outBlockFrom, size_t outBlockTo,
                    int32_t* c, size_t cStride) {
  (useTiles(rows) ? multiplyAmx : multiplyVnni)(a, aStride, rows, b, outBlockFrom, outBlockTo, c, cStride);
}

void linearRows(const RowProduct& product, const PackedMatrix& w) {
  auto kernel = useTiles(product.rows) ? linearAmx : linearVnni;
  size_t outBlocks = w.outBlocks(), together = blocksOf(w, kGroupBytes);
  for (size_t block = 0; block < outBlocks; block += together) {
    kernel(product, w, block, std::min(outBlocks, block + together));
  }
}

void linear(Threads& threads, const QuantizedRows& x, const PackedMatrix& w, const float* bias, Then then, float* y,
            size_t yStride) {
  if (x.rows <= 0 || w.nOut <= 0) return;
  auto kernel = useTiles(x.rows) ? linearAmx : linearVnni;
  bool manyRows = x.rows > 2 * kRowChunk;
  int rowChunk = manyRows ? kRowChunk : x.rows;
  size_t rowChunks = (x.rows + rowChunk - 1) / rowChunk;
  size_t outBlocks = w.outBlocks(), together = blocksOf(w, manyRows ? kGroupBytes : kFewRowsBytes);
  size_t groups = (outBlocks + together - 1) / together;
  threads.run(rowChunks * groups, [&](size_t chunk, int) {
    size_t group = chunk / rowChunks;
    int row = static_cast<int>(chunk % rowChunks) * rowChunk;
    RowProduct product;
    product.bytes = x.bytes + row * x.stride;
    product.stride = x.stride;
    product.rows = std::min(rowChunk, x.rows - row);
    product.scales = x.scales + row;
    product.bias = bias;
    product.gelu = then == Then::kGelu;
    product.y = y + row * yStride;
    product.yStride = yStride;
    if (then == Then::kAdd) {
      product.add = product.y;
      product.addStride = yStride;
    }
    kernel(product, w, group * together, std::min(outBlocks, (group + 1) * together));
  });
}

}  // namespace sotto
