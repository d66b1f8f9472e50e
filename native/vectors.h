// Small pieces of vector code that layers and encoder share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace sotto {

// The first `left` of 16 lanes; all of them from 16 on.
inline __mmask16 firstLanes(ptrdiff_t left) {
  return left >= 16 ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1u << left) - 1);
}

// 64 integers, in order, as bytes: unsigned or signed, saturated.
inline __m512i packUnsigned(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
}

inline __m512i packSigned(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
}

// Whether none of so many numbers is NaN or an infinity.
inline bool allFinite(const float* x, ptrdiff_t count) {
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  __mmask16 wrong = 0;
  for (ptrdiff_t i = 0; i < count; i += 16) {
    const __m512i bits = _mm512_and_si512(_mm512_castps_si512(_mm512_maskz_loadu_ps(firstLanes(count - i), x + i)), exponent);
    wrong |= _mm512_cmpeq_epi32_mask(bits, exponent);
  }
  return wrong == 0;
}

// 2^x within 2e-3 of its size, 0 for -infinity: for numbers that become bytes. The polynomial is a minimax one of 2^f from 0 to 1.
inline __m512 roughExp2(__m512 x) {
  __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.33718936f), f, _mm512_set1_ps(0.65763634f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0017248f));
  return _mm512_scalef_ps(p, x);  // times 2 to the integer below x
}

}  // namespace sotto
