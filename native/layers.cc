// Normalisation, packing of keys and values, and attention to them.
#include "layers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>

#include "cpu.h"
#include "vectors.h"

namespace sotto {
namespace {

constexpr float kNormEpsilon = 1e-5f;
constexpr float kTiny = 1e-30f;  // numbers no larger than this are zeros: the reciprocal of their scale would overflow
constexpr float kLog2E = 1.44269504088896341f;
constexpr int kHeadVectors = kHeadSize / 16;
static_assert(kHeadSize == kBlockIn, "a key is one packed block of inputs");

// Writes the normalised row to y, which may be x.
void normRow(const float* x, const Norm& norm, int cols, float* y) {
  __m512 sum0 = _mm512_setzero_ps(), sum1 = _mm512_setzero_ps();
  int i = 0;
  for (; i + 32 <= cols; i += 32) {
    sum0 = _mm512_add_ps(sum0, _mm512_loadu_ps(x + i));
    sum1 = _mm512_add_ps(sum1, _mm512_loadu_ps(x + i + 16));
  }
  for (; i < cols; i += 16) sum0 = _mm512_add_ps(sum0, _mm512_maskz_loadu_ps(firstLanes(cols - i), x + i));
  const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_add_ps(sum0, sum1)) / cols);
  __m512 square0 = _mm512_setzero_ps(), square1 = _mm512_setzero_ps();
  for (i = 0; i + 32 <= cols; i += 32) {
    __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean);
    __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(x + i + 16), mean);
    square0 = _mm512_fmadd_ps(d0, d0, square0);
    square1 = _mm512_fmadd_ps(d1, d1, square1);
  }
  for (; i < cols; i += 16) {
    __mmask16 mask = firstLanes(cols - i);
    __m512 d = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + i), mean);
    square0 = _mm512_fmadd_ps(d, d, square0);
  }
  float variance = _mm512_reduce_add_ps(_mm512_add_ps(square0, square1)) / cols;
  const __m512 factor = _mm512_set1_ps(1.0f / std::sqrt(variance + kNormEpsilon));
  for (i = 0; i < cols; i += 16) {
    __mmask16 mask = firstLanes(cols - i);
    __m512 d = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean), factor);
    d = _mm512_fmadd_ps(d, _mm512_maskz_loadu_ps(mask, norm.weight + i), _mm512_maskz_loadu_ps(mask, norm.bias + i));
    _mm512_mask_storeu_ps(y + i, mask, d);
  }
}

// 16 vectors of 16 integers, turned over: integer j of vector i becomes integer i of vector j.
void transpose(__m512i v[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; i++) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// Parts of a packed matrix to be filled.
struct Parts {
  int8_t* blocks;
  float* scales;
  int32_t* sums;
  explicit Parts(const PackedMatrix& m)
      : blocks(const_cast<int8_t*>(m.blocks)), scales(const_cast<float*>(m.scales)), sums(const_cast<int32_t*>(m.sums)) {}
};

void meanKey(const float* keys, size_t stride, int positions, float* mean) {
  __m512 sums[kHeadVectors];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (int i = 0; i < positions; i++) {
    for (int j = 0; j < kHeadVectors; j++) sums[j] = _mm512_add_ps(sums[j], _mm512_loadu_ps(keys + i * stride + j * 16));
  }
  const __m512 share = _mm512_set1_ps(1.0f / positions);
  for (int j = 0; j < kHeadVectors; j++) _mm512_storeu_ps(mean + j * 16, _mm512_mul_ps(sums[j], share));
}

}  // namespace

Scratch::~Scratch() { std::free(memory_); }

void* Scratch::get(size_t bytes) {
  if (bytes > size_) {
    std::free(memory_);
    memory_ = nullptr;
    size_ = 0;
    size_t size = roundUp(bytes, 64);
    memory_ = std::aligned_alloc(64, size);
    if (memory_ == nullptr) throw std::bad_alloc();
    size_ = size;
  }
  return memory_;
}

void layerNorm(const float* x, size_t xStride, const Norm& norm, int cols, int from, int to, float* y, size_t yStride) {
  for (int row = from; row < to; row++) normRow(x + row * xStride, norm, cols, y + row * yStride);
}

void normAndQuantize(const float* x, size_t xStride, const Norm& norm, int from, int to, QuantizedRows& out) {
  constexpr int kOnStack = 2048;
  alignas(64) float small[kOnStack];
  Scratch large;
  float* y = out.cols <= kOnStack ? small : large.get<float>(static_cast<size_t>(out.cols));
  for (int row = from; row < to; row++) {
    normRow(x + row * xStride, norm, out.cols, y);
    QuantizedRows one = out;
    one.bytes += row * out.stride;
    one.scales += row;
    quantizeRows(y, out.cols, 0, 1, one);
  }
}

void packKeys(const float* keys, size_t stride, int positions, void* bytes, float* mean) {
  alignas(64) float ownMean[kHeadSize];
  if (mean == nullptr) mean = ownMean;
  meanKey(keys, stride, positions, mean);
  __m512 means[kHeadVectors];
  for (int j = 0; j < kHeadVectors; j++) means[j] = _mm512_loadu_ps(mean + j * 16);
  PackedMatrix matrix = viewPacked(bytes, kHeadSize, positions);
  Parts parts(matrix);
  const __m512i ones = _mm512_set1_epi8(1);
  for (int first = 0; first < positions; first += kBlockOut) {
    __m512i block[kBlockOut];
    alignas(64) float largest[kBlockOut];
    for (int i = 0; i < kBlockOut; i++) {
      block[i] = _mm512_setzero_si512();
      largest[i] = 0;
      if (first + i >= positions) continue;
      const float* key = keys + (first + i) * stride;
      __m512 x[kHeadVectors];
      for (int j = 0; j < kHeadVectors; j++) x[j] = _mm512_sub_ps(_mm512_loadu_ps(key + j * 16), means[j]);
      __m512 most = _mm512_max_ps(_mm512_max_ps(_mm512_abs_ps(x[0]), _mm512_abs_ps(x[1])),
                                  _mm512_max_ps(_mm512_abs_ps(x[2]), _mm512_abs_ps(x[3])));
      float m = _mm512_reduce_max_ps(most);
      if (!(m > kTiny)) continue;
      largest[i] = m;
      const __m512 factor = _mm512_set1_ps(127.0f / m);
      block[i] = packSigned(_mm512_cvtps_epi32(_mm512_mul_ps(x[0], factor)), _mm512_cvtps_epi32(_mm512_mul_ps(x[1], factor)),
                            _mm512_cvtps_epi32(_mm512_mul_ps(x[2], factor)), _mm512_cvtps_epi32(_mm512_mul_ps(x[3], factor)));
    }
    transpose(block);
    __m512i sum = _mm512_setzero_si512();
    int8_t* to = parts.blocks + static_cast<size_t>(first) * kBlockIn;
    for (int i = 0; i < 16; i++) {
      sum = _mm512_dpbusd_epi32(sum, ones, block[i]);
      _mm512_store_si512(to + i * 64, block[i]);
    }
    _mm512_store_si512(parts.sums + first, sum);
    _mm512_store_ps(parts.scales + first, _mm512_mul_ps(_mm512_load_ps(largest), _mm512_set1_ps(1 / 127.0f)));
  }
}

void packValues(const float* values, size_t stride, int positions, void* bytes) {
  PackedMatrix matrix = viewPacked(bytes, positions, kHeadSize);
  Parts parts(matrix);
  __m512 largest[kHeadVectors];
  for (__m512& most : largest) most = _mm512_setzero_ps();
  for (int i = 0; i < positions; i++) {
    for (int j = 0; j < kHeadVectors; j++) {
      largest[j] = _mm512_max_ps(largest[j], _mm512_abs_ps(_mm512_loadu_ps(values + i * stride + j * 16)));
    }
  }
  __m512 factors[kHeadVectors];
  for (int j = 0; j < kHeadVectors; j++) {
    __mmask16 there = _mm512_cmp_ps_mask(largest[j], _mm512_set1_ps(kTiny), _CMP_GT_OQ);
    factors[j] = _mm512_maskz_div_ps(there, _mm512_set1_ps(127.0f), largest[j]);
    _mm512_store_ps(parts.scales + j * 16, _mm512_maskz_mul_ps(there, largest[j], _mm512_set1_ps(1 / 127.0f)));
  }
  const __m512i ones = _mm512_set1_epi8(1), lowest = _mm512_set1_epi32(0xff);
  const size_t blockBytes = matrix.paddedIn() * kBlockOut;
  __m512i sums[kHeadVectors];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  int padded = static_cast<int>(matrix.paddedIn());
  for (int i = 0; i < padded; i += 4) {
    for (int j = 0; j < kHeadVectors; j++) {
      // Four positions of 16 channels, one a byte.
      __m512i four = _mm512_setzero_si512();
      for (int k = 3; k >= 0; k--) {
        __m512i one = _mm512_setzero_si512();
        if (i + k < positions) {
          one = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(values + (i + k) * stride + j * 16), factors[j]));
        }
        four = _mm512_or_si512(_mm512_slli_epi32(four, 8), _mm512_and_si512(one, lowest));
      }
      sums[j] = _mm512_dpbusd_epi32(sums[j], ones, four);
      _mm512_store_si512(parts.blocks + j * blockBytes + i * kBlockOut, four);
    }
  }
  for (int j = 0; j < kHeadVectors; j++) _mm512_store_si512(parts.sums + j * 16, sums[j]);
}

namespace {

// What a probability gets before it is rounded down to a whole number of 255ths: 1/128, 3/128 ... 127/128, spread over 64
// neighbouring positions. Rounding to the nearest would lose all the positions that count for less than half a 255th, which
// together may count for a lot; this way they keep their share.
struct Rounding {
  float levels[64] = {};
  constexpr Rounding() {
    for (int i = 0; i < 64; i++) {
      int reversed = 0;  // its 6 bits: neighbours get levels far from each other
      for (int bit = 0; bit < 6; bit++) reversed |= (i >> bit & 1) << (5 - bit);
      levels[i] = (reversed + 0.5f) / 64 - 0.5f;  // less the half that rounding to the nearest adds
    }
  }
};
alignas(64) constexpr Rounding kRounding;

// Softmax of one row of `positions` (a multiple of 64) integer scores: bytes p with 255 at the largest. Returns their sum.
//
// A score is sum * scales[j] - offsets[j], times `factor` (to the base of 2). row: room for them as floats.
int32_t softmaxRow(const int32_t* sums, const float* scales, const float* offsets, int positions, float factor, float* row,
                   uint8_t* p) {
  __m512 largest[4];
  for (__m512& most : largest) most = _mm512_set1_ps(-INFINITY);
  for (int i = 0; i < positions; i += 64) {
    for (int j = 0; j < 4; j++) {
      int at = i + j * 16;
      __m512 score = _mm512_fmsub_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums + at)), _mm512_load_ps(scales + at),
                                     _mm512_load_ps(offsets + at));
      largest[j] = _mm512_max_ps(largest[j], score);
      _mm512_store_ps(row + at, score);
    }
  }
  float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(largest[0], largest[1]), _mm512_max_ps(largest[2], largest[3])));
  constexpr float kLog2Of255 = 7.99435344f;
  const __m512 times = _mm512_set1_ps(factor), plus = _mm512_set1_ps(std::fma(-most, factor, kLog2Of255));
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i total = _mm512_setzero_si512();
  for (int i = 0; i < positions; i += 64) {
    __m512i rounded[4];
    for (int j = 0; j < 4; j++) {
      __m512 exact = roughExp2(_mm512_fmadd_ps(_mm512_load_ps(row + i + j * 16), times, plus));
      rounded[j] = _mm512_cvtps_epi32(_mm512_add_ps(exact, _mm512_load_ps(kRounding.levels + j * 16)));
    }
    __m512i bytes = packUnsigned(rounded[0], rounded[1], rounded[2], rounded[3]);
    total = _mm512_dpbusd_epi32(total, bytes, ones);
    _mm512_store_si512(p + i, bytes);
  }
  return _mm512_reduce_add_epi32(total);
}

}  // namespace

void attendPacked(const float* queries, size_t qStride, int rows, const PackedMatrix& keys, const PackedMatrix& values,
                  Scratch& scratch, float* out, size_t outStride) {
  // Rows whose scores stay in the second cache; multiples of what the kernels take at a time.
  static const int kBlock = detectIsa() == Isa::kAmxInt8 ? 32 : 24;
  const int padded = static_cast<int>(values.paddedIn());  // of positions: the last vectors' scores are made up
  const int block = std::min(kBlock, rows);
  const size_t readable = roundUp(block, 16);
  const size_t sumStride = padded + 16;  // not a power of 2, so that rows do not meet in the cache
  const size_t pStride = padded + 64;
  uint8_t* memory = static_cast<uint8_t*>(scratch.get(readable * (kHeadSize + pStride) + block * sumStride * sizeof(int32_t) +
                                                      3 * padded * sizeof(float) + block * kHeadSize * sizeof(int32_t)));
  auto take = [&memory](size_t bytes) {
    uint8_t* taken = memory;
    memory += bytes;
    return taken;
  };
  uint8_t* q = take(readable * kHeadSize);
  uint8_t* p = take(readable * pStride);
  int32_t* sums = reinterpret_cast<int32_t*>(take(block * sumStride * sizeof(int32_t)));
  float* scales = reinterpret_cast<float*>(take(padded * sizeof(float)));
  float* offsets = reinterpret_cast<float*>(take(padded * sizeof(float)));
  float* row = reinterpret_cast<float*>(take(padded * sizeof(float)));
  int32_t* weighted = reinterpret_cast<int32_t*>(take(block * kHeadSize * sizeof(int32_t)));

  const int there = static_cast<int>(keys.outBlocks()) * kBlockOut;
  for (int i = 0; i < padded; i += 16) {
    __mmask16 mask = firstLanes(keys.nOut - i);
    __m512 scale = _mm512_maskz_loadu_ps(mask, keys.scales + i);
    __m512 zero = _mm512_cvtepi32_ps(_mm512_slli_epi32(_mm512_maskz_loadu_epi32(mask, keys.sums + i), 7));
    _mm512_store_ps(scales + i, scale);
    // Scores so low that there is nothing in the positions that are not there.
    _mm512_store_ps(offsets + i, _mm512_mask_mul_ps(_mm512_set1_ps(3e38f), mask, zero, scale));
  }
  for (int r = 0; r < block; r++) {
    for (int i = there; i < padded; i += 16) _mm512_store_si512(sums + r * sumStride + i, _mm512_setzero_si512());
  }

  const __m512i zero = _mm512_set1_epi8(static_cast<char>(128));
  for (int first = 0; first < rows; first += block) {
    int count = std::min(block, rows - first);
    float factors[32];
    for (int r = 0; r < count; r++) {
      const float* query = queries + (first + r) * qStride;
      __m512 x[kHeadVectors];
      for (int j = 0; j < kHeadVectors; j++) x[j] = _mm512_loadu_ps(query + j * 16);
      float most = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(_mm512_abs_ps(x[0]), _mm512_abs_ps(x[1])),
                                                      _mm512_max_ps(_mm512_abs_ps(x[2]), _mm512_abs_ps(x[3]))));
      bool zeros = !(most > kTiny);
      const __m512 factor = _mm512_set1_ps(zeros ? 0 : 127.0f / most);
      for (int j = 0; j < kHeadVectors; j++) x[j] = _mm512_mul_ps(x[j], factor);
      __m512i bytes = packSigned(_mm512_cvtps_epi32(x[0]), _mm512_cvtps_epi32(x[1]), _mm512_cvtps_epi32(x[2]),
                                 _mm512_cvtps_epi32(x[3]));
      _mm512_store_si512(q + r * kHeadSize, _mm512_xor_si512(bytes, zero));
      factors[r] = zeros ? 1.0f : most / 127.0f * (kLog2E / 8);  // 8 is the root of kHeadSize
    }
    multiplyBlocks(q, kHeadSize, count, keys, 0, keys.outBlocks(), sums, sumStride);
    float shares[32];
    for (int r = 0; r < count; r++) {
      shares[r] = 1.0f / softmaxRow(sums + r * sumStride, scales, offsets, padded, factors[r], row, p + r * pStride);
    }
    multiplyBlocks(p, pStride, count, values, 0, values.outBlocks(), weighted, kHeadSize);
    for (int r = 0; r < count; r++) {
      const __m512 share = _mm512_set1_ps(shares[r]);
      for (int j = 0; j < kHeadVectors; j++) {
        __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(weighted + r * kHeadSize + j * 16));
        _mm512_storeu_ps(out + (first + r) * outStride + j * 16,
                         _mm512_mul_ps(sum, _mm512_mul_ps(share, _mm512_load_ps(values.scales + j * 16))));
      }
    }
  }
}

void fromFloat16(const uint16_t* x, size_t count, float* y) {
  for (size_t i = 0; i < count; i += 16) {
    __mmask16 mask = firstLanes(static_cast<ptrdiff_t>(count - i));
    _mm512_mask_storeu_ps(y + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, x + i)));
  }
}

}  // namespace sotto
