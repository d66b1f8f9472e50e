// See the header.
#include "affine_rows.h"

#include <algorithm>

#include "vectors.h"

namespace sotto {
namespace {

constexpr float kTiny = 1e-30f;  // ranges no larger than this are zeros: the reciprocal of their scale would overflow

struct Range {
  __m512 least = _mm512_setzero_ps(), most = _mm512_setzero_ps();
  void add(__m512 x) {
    least = _mm512_min_ps(least, x);
    most = _mm512_max_ps(most, x);
  }
};

// How a row's numbers become bytes.
struct Steps {
  float scale = 0, zero = 0, factor = 0;
  explicit Steps(const Range& range) {
    float least = _mm512_reduce_min_ps(range.least), most = _mm512_reduce_max_ps(range.most);
    float width = most - least;
    if (!(width > kTiny)) {
      if (width != width) scale = width;  // a row of NaN stays one
      return;
    }
    scale = width / 255;
    factor = 255 / width;
    zero = _mm_cvtss_f32(_mm_roundscale_ss(_mm_setzero_ps(), _mm_set_ss(-least * factor), 8));
  }
  void store(AffineRows& rows, int row) const {
    rows.scales[row] = scale;
    rows.zeros[row] = zero;
  }
};

void quantizeRow(const float* x, int cols, const Steps& steps, uint8_t* to) {
  const __m512 factor = _mm512_set1_ps(steps.factor), zero = _mm512_set1_ps(steps.zero);
  auto part = [&](int i) {
    return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_maskz_loadu_ps(firstLanes(cols - i), x + i), factor, zero));
  };
  auto whole = [&](int i) { return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_loadu_ps(x + i), factor, zero)); };
  int i = 0;
  for (; i + 64 <= cols; i += 64) {
    _mm512_store_si512(to + i, packUnsigned(whole(i), whole(i + 16), whole(i + 32), whole(i + 48)));
  }
  if (i < cols) _mm512_store_si512(to + i, packUnsigned(part(i), part(i + 16), part(i + 32), part(i + 48)));
}

Range rangeOf(const float* x, int cols) {
  Range even, odd;
  int i = 0;
  for (; i + 32 <= cols; i += 32) {
    even.add(_mm512_loadu_ps(x + i));
    odd.add(_mm512_loadu_ps(x + i + 16));
  }
  for (; i < cols; i += 16) even.add(_mm512_maskz_loadu_ps(firstLanes(cols - i), x + i));
  even.add(odd.least);
  even.add(odd.most);
  return even;
}

}  // namespace

AffineRows::AffineRows(Scratch& scratch, int rows, int cols) : rows(rows), cols(cols) {
  // Not a power of 2 from row to row, so that a tile's rows do not meet in the cache.
  stride = roundUp(cols, kBlockIn) + 64;
  size_t readable = roundUp(rows, 16), size = readable * stride;
  bytes = static_cast<uint8_t*>(scratch.get(size + 2 * readable * sizeof(float)));
  scales = reinterpret_cast<float*>(bytes + size);
  zeros = scales + readable;
}

AffineRows AffineRows::part(int first, int count) const {
  AffineRows some = *this;
  some.rows = count;
  some.bytes += first * stride;
  some.scales += first;
  some.zeros += first;
  return some;
}

void quantizeAffine(const float* x, size_t stride, AffineRows& out) {
  for (int row = 0; row < out.rows; row++) {
    Steps steps(rangeOf(x + row * stride, out.cols));
    steps.store(out, row);
    quantizeRow(x + row * stride, out.cols, steps, out.bytes + row * out.stride);
  }
}

void normAndQuantizeAffine(const float* x, size_t stride, const Norm& norm, AffineRows& out) {
  constexpr int kOnStack = 2048;
  alignas(64) float small[kOnStack];
  Scratch large;
  float* y = out.cols <= kOnStack ? small : large.get<float>(static_cast<size_t>(out.cols));
  for (int row = 0; row < out.rows; row++) {
    layerNorm(x + row * stride, stride, norm, out.cols, 0, 1, y, 0);
    Steps steps(rangeOf(y, out.cols));
    steps.store(out, row);
    quantizeRow(y, out.cols, steps, out.bytes + row * out.stride);
  }
}

void quantizeTaps(const float* x, ptrdiff_t stride, int channels, int first, int step, int from, int to, AffineRows& out) {
  // 16 integers of 3 bytes: those bytes together in each quarter, then the quarters together.
  const __m512i inQuarter = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
  const __m512i quarters = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
  const __m512i highest = _mm512_set1_epi32(255);
  for (int row = 0; row < out.rows; row++) {
    const float* taps[3];
    Range range;
    for (int tap = 0; tap < 3; tap++) {
      int position = first + row * step + tap;
      taps[tap] = position >= from && position < to ? x + position * stride : nullptr;
      if (taps[tap] == nullptr) continue;
      Range one = rangeOf(taps[tap], channels);
      range.add(one.least);
      range.add(one.most);
    }
    Steps steps(range);
    steps.store(out, row);
    const __m512 factor = _mm512_set1_ps(steps.factor), zero = _mm512_set1_ps(steps.zero);
    uint8_t* bytes = out.bytes + row * out.stride;
    for (int i = 0; i < channels; i += 16) {
      __m512i q[3];
      for (int tap = 0; tap < 3; tap++) {
        __m512 values = taps[tap] == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(firstLanes(channels - i), taps[tap] + i);
        q[tap] = _mm512_min_epi32(_mm512_cvtps_epi32(_mm512_fmadd_ps(values, factor, zero)), highest);
      }
      __m512i three = _mm512_or_si512(_mm512_or_si512(q[0], _mm512_slli_epi32(q[1], 8)), _mm512_slli_epi32(q[2], 16));
      three = _mm512_permutexvar_epi32(quarters, _mm512_shuffle_epi8(three, inQuarter));
      int left = std::min(48, 3 * (channels - i));
      _mm512_mask_storeu_epi8(bytes + 3 * i, (1ull << left) - 1, three);
    }
  }
}

void multiply(const AffineRows& x, const PackedMatrix& w, const float* bias, bool gelu, const float* add, size_t addStride, float* y,
              size_t yStride) {
  RowProduct product;
  product.bytes = x.bytes;
  product.stride = x.stride;
  product.rows = x.rows;
  product.scales = x.scales;
  product.zeros = x.zeros;
  product.bias = bias;
  product.gelu = gelu;
  product.add = add;
  product.addStride = addStride;
  product.y = y;
  product.yStride = yStride;
  linearRows(product, w);
}

}  // namespace sotto
