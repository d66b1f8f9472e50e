// What matrix.cc asks of the two instruction sets, and what they share: turning integer sums into numbers.
//
// Both give the same bits: the sums are exact, and everything after them is in this file.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "matrix.h"

namespace sotto {

void multiplyVnni(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t from, size_t to, int32_t* c,
                  size_t cStride);
void multiplyAmx(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t from, size_t to, int32_t* c,
                 size_t cStride);

// Output blocks [from, to) of a layer.
void linearVnni(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to);
void linearAmx(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to);

// The normal distribution's cumulative function times the step, in steps of 0.375 around 0: polynomials [power][step modulo 32]
// of the distance to the middle of a step, in steps. Fitted at Chebyshev nodes; the outermost are constant, so that all numbers
// beyond end there.
alignas(64) constexpr float kNormal[5][32] = {
    {
      1.875e-01f, 2.4231367e-01f, 2.9001474e-01f, 3.2613957e-01f, 3.499473e-01f, 3.6360136e-01f, 3.7041584e-01f,
      3.7337533e-01f, 3.7449378e-01f, 3.748616e-01f, 3.7496683e-01f, 3.7499306e-01f, 3.7499872e-01f, 3.749998e-01f,
      3.7499997e-01f, 3.75e-01f, 0.0f, 0.0f, 2.851938e-08f, 2.0401914e-07f, 1.2741389e-06f, 6.9513085e-06f, 3.315655e-05f,
      1.3840452e-04f, 5.062118e-04f, 1.624668e-03f, 4.584177e-03f, 1.1398635e-02f, 2.50527e-02f, 4.8860446e-02f,
      8.4985256e-02f, 1.3268633e-01f,
    },
    {
      5.610072e-02f, 5.229176e-02f, 4.2347457e-02f, 2.9795438e-02f, 1.8213728e-02f, 9.673249e-03f, 4.463414e-03f,
      1.789286e-03f, 6.231687e-04f, 1.8855573e-04f, 4.9565115e-05f, 1.1319002e-05f, 2.2455783e-06f, 3.870152e-07f,
      5.7942632e-08f, 0.0f, 0.0f, 0.0f, 5.7942632e-08f, 3.870152e-07f, 2.2455783e-06f, 1.1319002e-05f, 4.9565115e-05f,
      1.8855573e-04f, 6.231687e-04f, 1.789286e-03f, 4.463414e-03f, 9.673249e-03f, 1.8213728e-02f, 2.9795438e-02f,
      4.2347457e-02f, 5.229176e-02f,
    },
    {
      -6.02711e-17f, -3.676694e-03f, -5.9549995e-03f, -6.2848674e-03f, -5.1225456e-03f, -3.4007395e-03f, -1.8830283e-03f,
      -8.807008e-04f, -3.5056216e-04f, -1.193381e-04f, -3.485873e-05f, -8.757672e-06f, -1.8956871e-06f, -3.5401226e-07f,
      -5.7093565e-08f, 0.0f, 0.0f, 0.0f, 5.7093565e-08f, 3.5401226e-07f, 1.8956871e-06f, 8.757672e-06f, 3.485873e-05f,
      1.193381e-04f, 3.5056216e-04f, 8.807008e-04f, 1.8830283e-03f, 3.4007395e-03f, 5.1225456e-03f, 6.2848674e-03f,
      5.9549995e-03f, 3.676694e-03f,
    },
    {
      -1.3062438e-03f, -1.0474083e-03f, -4.3434364e-04f, 1.8092825e-04f, 5.2851374e-04f, 5.67468e-04f, 4.2457107e-04f,
      2.4787342e-04f, 1.1781552e-04f, 4.6554294e-05f, 1.5478327e-05f, 4.3631585e-06f, 1.0481655e-06f, 2.153795e-07f,
      3.7958e-08f, 0.0f, 0.0f, 0.0f, 3.7957996e-08f, 2.153795e-07f, 1.0481655e-06f, 4.3631585e-06f, 1.5478327e-05f,
      4.6554294e-05f, 1.1781552e-04f, 2.4787342e-04f, 4.2457107e-04f, 5.67468e-04f, 5.2851374e-04f, 1.8092825e-04f,
      -4.3434364e-04f, -1.0474083e-03f,
    },
    {
      4.814693e-16f, 1.221769e-04f, 1.689203e-04f, 1.272286e-04f, 4.5276578e-05f, -2.0004885e-05f, -4.5124554e-05f,
      -4.0036273e-05f, -2.4691813e-05f, -1.1810466e-05f, -4.5714687e-06f, -1.4631014e-06f, -3.9212006e-07f, -8.872342e-08f,
      -1.7044265e-08f, 0.0f, 0.0f, 0.0f, 1.7044265e-08f, 8.872342e-08f, 3.9212006e-07f, 1.4631014e-06f, 4.5714687e-06f,
      1.1810466e-05f, 2.4691813e-05f, 4.0036273e-05f, 4.5124554e-05f, 2.0004885e-05f, -4.5276578e-05f, -1.272286e-04f,
      -1.689203e-04f, -1.221769e-04f,
    },
};
constexpr float kNormalStep = 0.375f;

// x * Phi(x) = x / 2 * (1 + erf(x / sqrt(2))) of numbers in steps, within 6e-7. Vectors go side by side, as each is a long
// chain.
template <int kVectors>
inline __attribute__((always_inline)) void geluOfSteps(__m512 (&x)[kVectors]) {
  __m512 distance[kVectors], sum[kVectors];
  __m512i step[kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; i++) {
    __m512 at = _mm512_range_ps(x[i], _mm512_set1_ps(15.0f), 2);  // the smaller magnitude, with the sign of x
    distance[i] = _mm512_reduce_ps(at, 0);                        // to the nearest integer
    // 1.5 * 2^23 more leaves that integer in the lowest bits.
    step[i] = _mm512_castps_si512(_mm512_add_ps(at, _mm512_set1_ps(12582912.0f)));
  }
  auto power = [&](int i, int of) {
    return _mm512_permutex2var_ps(_mm512_load_ps(kNormal[i]), step[of], _mm512_load_ps(kNormal[i] + 16));
  };
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; i++) sum[i] = power(4, i);
#pragma GCC unroll 4
  for (int p = 3; p >= 0; p--) {
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; i++) sum[i] = _mm512_fmadd_ps(sum[i], distance[i], power(p, i));
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; i++) x[i] = _mm512_mul_ps(sum[i], x[i]);
}

inline __m512 gelu(__m512 x) {
  __m512 steps[1] = {_mm512_mul_ps(x, _mm512_set1_ps(1 / kNormalStep))};
  geluOfSteps(steps);
  return steps[0];
}

// What is the same for all rows of one block of outputs. With GELU, scale and bias are those of steps.
template <bool kGelu>
struct BlockFinish {
  __mmask16 mask;
  __m512 scale, bias, sums;

  BlockFinish() = default;
  BlockFinish(const PackedMatrix& w, size_t block, const float* biases) {
    size_t at = block * kBlockOut;
    size_t there = static_cast<size_t>(w.nOut) - at;
    mask = there >= kBlockOut ? 0xffff : static_cast<__mmask16>((1u << there) - 1);
    scale = _mm512_load_ps(w.scales + at);
    sums = _mm512_cvtepi32_ps(_mm512_load_si512(w.sums + at));
    bias = biases == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, biases + at);
    if (kGelu) {
      scale = _mm512_mul_ps(scale, _mm512_set1_ps(1 / kNormalStep));
      bias = _mm512_mul_ps(bias, _mm512_set1_ps(1 / kNormalStep));
    }
  }

  __m512 dequantize(__m512i sum, __m512 rowScale, __m512 rowZero) const {
    __m512 x = _mm512_fnmadd_ps(rowZero, sums, _mm512_cvtepi32_ps(sum));
    return _mm512_fmadd_ps(_mm512_mul_ps(x, rowScale), scale, bias);
  }

  template <bool kAdd>
  void store(__m512 x, const float* add, float* y) const {
    if (kAdd) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, add));
    _mm512_mask_storeu_ps(y, mask, x);
  }
};

// The row of a product that is finished next, from one output on.
struct RowFinish {
  const float *scale, *zero, *add;
  float* y;

  RowFinish() = default;
  RowFinish(const RowProduct& product, int row, size_t block) {
    scale = product.scales + row;
    zero = product.zeros == nullptr ? nullptr : product.zeros + row;
    add = product.add == nullptr ? nullptr : product.add + row * product.addStride + block * kBlockOut;
    y = product.y + row * product.yStride + block * kBlockOut;
  }
  template <bool kAdd>
  void next(const RowProduct& product) {
    scale++;
    if (zero != nullptr) zero++;
    if (kAdd) add += product.addStride;
    y += product.yStride;
  }
  __m512 scales() const { return _mm512_set1_ps(*scale); }
  __m512 zeros() const { return _mm512_set1_ps(zero == nullptr ? 128.0f : *zero); }
};

// Finishes rows [row, row + rows) of output blocks [block, block + blocks), whose sums lie in c.
template <bool kGelu, bool kAdd>
inline void finishBlocks(const int32_t* c, size_t cStride, int row, int rows, const RowProduct& product, const PackedMatrix& w,
                         size_t block, int blocks) {
  for (int i = 0; i < blocks; i++) {
    BlockFinish<kGelu> of(w, block + i, product.bias);
    RowFinish at(product, row, block + i);
    const int32_t* sums = c + i * kBlockOut;
    int r = 0;
    for (; r + 2 <= rows; r += 2) {
      RowFinish next = at;
      next.template next<kAdd>(product);
      __m512 x[2] = {of.dequantize(_mm512_loadu_si512(sums), at.scales(), at.zeros()),
                     of.dequantize(_mm512_loadu_si512(sums + cStride), next.scales(), next.zeros())};
      if (kGelu) geluOfSteps(x);
      of.template store<kAdd>(x[0], at.add, at.y);
      of.template store<kAdd>(x[1], next.add, next.y);
      at = next;
      at.template next<kAdd>(product);
      sums += 2 * cStride;
    }
    if (r < rows) {
      __m512 x[1] = {of.dequantize(_mm512_loadu_si512(sums), at.scales(), at.zeros())};
      if (kGelu) geluOfSteps(x);
      of.template store<kAdd>(x[0], at.add, at.y);
    }
  }
}

// Calls Kernel<kGelu, kAdd>::run(arguments) as the product asks.
template <template <bool, bool> class Kernel, typename... Arguments>
inline void finishAs(const RowProduct& product, const Arguments&... arguments) {
  bool add = product.add != nullptr;
  if (product.gelu) {
    add ? Kernel<true, true>::run(product, arguments...) : Kernel<true, false>::run(product, arguments...);
  } else {
    add ? Kernel<false, true>::run(product, arguments...) : Kernel<false, false>::run(product, arguments...);
  }
}

}  // namespace sotto
