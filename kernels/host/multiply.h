// A warp's matrix product of 16-bit numbers, computed for the 32 lanes at once from the fragments that they hold.
#pragma once

#include <stdint.h>
#include <string.h>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "device.h"

namespace standin {

typedef float Float8 __attribute__((vector_size(32)));
typedef uint32_t Word8 __attribute__((vector_size(32)));

// to = the numbers of a and b, one after the other, at eight places.
#if defined(__clang__)
#define STANDIN_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define STANDIN_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, ::standin::Word8{__VA_ARGS__})
#endif

inline Float8 load8(const float* from) {
  Float8 x;
  memcpy(&x, from, 32);
  return x;
}

// Eight numbers of 16 bits as float32.
struct Bf16x8 {
  static inline void convert(const uint16_t* from, float* to) {
    uint32_t bits[8];
    for (int i = 0; i < 8; i++) bits[i] = static_cast<uint32_t>(from[i]) << 16;
    memcpy(to, bits, 32);
  }
};
struct F16x8 {
  static inline void convert(const uint16_t* from, float* to) {
#if defined(__F16C__)
    _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
    for (int i = 0; i < 8; i++) to[i] = ::to_float(::f16{from[i]});
#endif
  }
};

// to[j][i] = from[i][j], 8 x 8.
inline void transpose8(const float* from, size_t stride, float* to) {
  Float8 r[8], s[8];
  for (int i = 0; i < 8; i++) r[i] = load8(from + static_cast<size_t>(i) * stride);
  for (int i = 0; i < 8; i += 2) {
    s[i] = STANDIN_SHUFFLE(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    s[i + 1] = STANDIN_SHUFFLE(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; j++) {
      r[i + j] = STANDIN_SHUFFLE(s[i + j], s[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + j + 2] = STANDIN_SHUFFLE(s[i + j], s[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int j = 0; j < 4; j++) {
    Float8 first = STANDIN_SHUFFLE(r[j], r[j + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    Float8 second = STANDIN_SHUFFLE(r[j], r[j + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    memcpy(to + j * 8, &first, 32);
    memcpy(to + (j + 4) * 8, &second, 32);
  }
}

// c[16][8] += a[16][16] b[16][8] with PTX's fragments of mma.m16n8k16: with g = lane / 4 and t = lane % 4,
//   a[r] of a lane: row g + 8 (r % 2), columns 2 t + 8 (r / 2) and the next
//   b[r]: rows 2 t + 8 r and the next, column g
//   c[r]: row g + 8 (r / 2), column 2 t + r % 2
template <class Convert>
void multiplyFragments(float* const* c, const uint32_t* const* a, const uint32_t* const* b) {
  alignas(32) float as[32][8];     // [lane][register, half]
  alignas(32) float bs[8][16];     // [column][lane % 4, register, half]
  alignas(32) float rows[16][8];   // the same, transposed
  for (int lane = 0; lane < 32; lane++) {
    uint16_t halves[8];
    memcpy(halves, a[lane], 16);
    Convert::convert(halves, as[lane]);
  }
  for (int lane = 0; lane < 32; lane += 2) {
    uint16_t halves[8];
    memcpy(halves, b[lane], 8);
    memcpy(halves + 4, b[lane + 1], 8);
    Convert::convert(halves, &bs[lane / 4][lane % 4 * 4]);
  }
  transpose8(&bs[0][0], 16, rows[0]);
  transpose8(&bs[0][8], 16, rows[8]);
  for (int half = 0; half < 2; half++) {
    for (int from = 0; from < 8; from += 4) {
      Float8 sums[4];
      for (int i = 0; i < 4; i++) {
        for (int t = 0; t < 4; t++) memcpy(reinterpret_cast<char*>(&sums[i]) + 8 * t, c[(from + i) * 4 + t] + 2 * half, 8);
      }
#pragma GCC unroll 16
      for (int k = 0; k < 16; k++) {  // in the order of the lanes' registers
        Float8 row = load8(rows[k]);
        for (int i = 0; i < 4; i++) sums[i] += as[(from + i) * 4 + k / 4][k % 4 / 2 * 4 + half * 2 + k % 2] * row;
      }
      for (int i = 0; i < 4; i++) {
        for (int t = 0; t < 4; t++) memcpy(c[(from + i) * 4 + t] + 2 * half, reinterpret_cast<char*>(&sums[i]) + 8 * t, 8);
      }
    }
  }
}

}  // namespace standin
