// Weights from the type that a checkpoint stores to the type that the network runs in.
#pragma once
#include "vectors.cuh"

/// What a weight becomes before it is stored as To.
template <class To>
DEVICE float in_range(float x) { return x; }
/// Some fine-tunes have weights past the largest float16: they become that, not infinity. What is not a number stays so.
template <>
DEVICE float in_range<f16>(float x) {
  constexpr float LARGEST = 65504.0f;
  return x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : x;
}

DEVICE bool is_aligned(const void* address, uint64_t bytes) { return reinterpret_cast<uintptr_t>(address) % bytes == 0; }

/// n numbers; `in` may begin anywhere, as tensors do in files. Grid: any.
template <class From, class To>
DEVICE void cast(const From* __restrict__ in, To* __restrict__ out, int64_t n) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t fours = is_aligned(in, 4 * sizeof(From)) && is_aligned(out, 4 * sizeof(To)) ? n / 4 : 0;
  for (int64_t i = first; i < fours; i += step) {
    const float4 x = load4(in + i * 4);
    store4(out + i * 4, make_float4(in_range<To>(x.x), in_range<To>(x.y), in_range<To>(x.z), in_range<To>(x.w)));
  }
  for (int64_t i = fours * 4 + first; i < n; i += step) out[i] = from_float<To>(in_range<To>(to_float(in[i])));
}

/// A convolution's weight [nOut, nIn, 3] -> [nOut, 3, nIn], which its rows of input meet as a matrix product. Grid: any.
template <class From, class To>
DEVICE void cast_conv(const From* in, To* out, int nOut, int nIn) {
  const int64_t n = static_cast<int64_t>(nOut) * 3 * nIn;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t row = i / nIn, column = i % nIn;  // row: nOut, 3
    out[i] = from_float<To>(in_range<To>(to_float(in[(row / 3 * nIn + column) * 3 + row % 3])));
  }
}

#define CAST(From, from, To, to)                                                                                                    \
  KERNEL(256) cast_##from##_##to(const void* in, To* out, int64_t n) { cast(static_cast<const From*>(in), out, n); }                \
  REGISTER(cast_##from##_##to)                                                                                                      \
  KERNEL(256) cast_conv_##from##_##to(const void* in, To* out, int nOut, int nIn) {                                                 \
    cast_conv(static_cast<const From*>(in), out, nOut, nIn);                                                                        \
  }                                                                                                                                 \
  REGISTER(cast_conv_##from##_##to)

#define CASTS(To, to) CAST(float, f32, To, to) CAST(f16, f16, To, to) CAST(bf16, bf16, To, to)

CASTS(float, f32)
CASTS(f16, f16)
CASTS(bf16, bf16)
