// The words of platform.cuh for a C++ compiler: kernels run on the CPU, a thread of a block in a fiber of its own.
//
// Stricter than a GPU where that finds mistakes: shared memory and copies under way hold NaN, lanes that say different words, threads
// that miss a barrier and misaligned addresses end the launch with an error. Memory of other blocks is not protected from a kernel,
// memory behind an allocation is.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <utility>
#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "block.h"

#define STANDIN_JOIN2(a, b) a##b
#define STANDIN_JOIN(a, b) STANDIN_JOIN2(a, b)

#define DEVICE inline __attribute__((always_inline))
#define KERNEL(...)                                                                         \
  static const ::standin::Bound STANDIN_JOIN(standin_bound_, __COUNTER__)(__VA_ARGS__); \
  extern "C" void
#define REGISTER(name) static const ::standin::Registration standin_registration_##name(#name, name, 80);
#define REGISTER_SM90A(name) static const ::standin::Registration standin_registration_##name(#name, name, 90);
#define SHARED(type, name, count)                                                       \
  static const ::standin::SharedArray standin_shared_##name(#name, sizeof(type[count])); \
  type(&name)[count] = *static_cast<type(*)[count]>(standin_shared_##name.here())
#define UNROLL
#define ROLLED

#define threadIdx (::standin::fiber->thread)
#define blockIdx (::standin::block->index)
#define blockDim (::standin::block->size)
#define gridDim (::standin::block->grid)

// CUDA's vectors. Their alignment lets the compiler use loads that fault on a misaligned address, as a GPU's do.
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
DEVICE float2 make_float2(float x, float y) { return {x, y}; }
DEVICE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
DEVICE int2 make_int2(int x, int y) { return {x, y}; }
DEVICE int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
DEVICE uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
DEVICE uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
DEVICE uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// What CUDA has without a header.
DEVICE int min(int a, int b) { return a < b ? a : b; }
DEVICE int max(int a, int b) { return a > b ? a : b; }
DEVICE unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
DEVICE unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
DEVICE long min(long a, long b) { return a < b ? a : b; }
DEVICE long max(long a, long b) { return a > b ? a : b; }
DEVICE long long min(long long a, long long b) { return a < b ? a : b; }
DEVICE long long max(long long a, long long b) { return a > b ? a : b; }
DEVICE unsigned long min(unsigned long a, unsigned long b) { return a < b ? a : b; }
DEVICE unsigned long max(unsigned long a, unsigned long b) { return a > b ? a : b; }
// As fminf and fmaxf: the other one where one is NaN. Those are calls of a library, and kernels say them often.
DEVICE float standin_fminf(float a, float b) { return a < b || b != b ? a : b; }
DEVICE float standin_fmaxf(float a, float b) { return a > b || b != b ? a : b; }
#define fminf standin_fminf
#define fmaxf standin_fmaxf
DEVICE float min(float a, float b) { return fminf(a, b); }
DEVICE float max(float a, float b) { return fmaxf(a, b); }
DEVICE float rsqrtf(float x) { return 1.0f / sqrtf(x); }

struct bf16 { uint16_t bits; };
struct f16 { uint16_t bits; };

DEVICE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}
DEVICE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }
DEVICE float to_float(f16 x) {
#if defined(__F16C__)
  return _cvtsh_ss(x.bits);
#else
  uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16, rest = static_cast<uint32_t>(x.bits & 0x7fffu) << 13;
  if (rest >= 0x0f800000u) return float_of(sign | (rest + 0x70000000u));  // infinity, NaN
  // A number whose exponent is 112 too small, subnormals too: exact.
  return float_of(sign | bits_of(float_of(rest) * 0x1p112f));
#endif
}

template <class T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) { return x; }
template <>
DEVICE bf16 from_float<bf16>(float x) {
  uint32_t bits = bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
template <>
DEVICE f16 from_float<f16>(float x) {
#if defined(__F16C__)
  return x == x ? f16{static_cast<uint16_t>(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT))} : f16{0x7fff};
#else
  uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return {0x7fff};
  if (size >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // 65520 and more round to infinity
  // Below the smallest normal number the adder rounds: 0.5 has its last place where a subnormal has.
  if (size < 0x38800000u) return {static_cast<uint16_t>(sign | (bits_of(float_of(size) + 0.5f) - 0x3f000000u))};
  return {static_cast<uint16_t>(sign | (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13)};
#endif
}

template <class T>
DEVICE float2 unpack2(uint32_t pair) {
  return {to_float(T{static_cast<uint16_t>(pair)}), to_float(T{static_cast<uint16_t>(pair >> 16)})};
}
template <class T>
DEVICE uint32_t pack2(float first, float second) {
  return static_cast<uint32_t>(from_float<T>(second).bits) << 16 | from_float<T>(first).bits;
}

DEVICE float exp_fast(float x) { return expf(x); }
DEVICE float exp2_fast(float x) { return exp2f(x); }

template <class T>
DEVICE T* dynamic_shared() {
  return reinterpret_cast<T*>(standin::block->dynamic);
}

DEVICE void sync_block() { standin::syncBarrier(0, 0); }
DEVICE void sync_warp() { standin::syncWarp(); }
DEVICE void sync_named(int barrier, int threads) { standin::syncBarrier(barrier, static_cast<unsigned>(threads)); }

DEVICE int lane_of_standin() { return static_cast<int>(standin::fiber->lane); }
DEVICE float shuffle(float x, int lane) { return float_of(standin::shuffleBits(bits_of(x), static_cast<unsigned>(lane))); }
DEVICE int shuffle(int x, int lane) {
  return static_cast<int>(standin::shuffleBits(static_cast<uint32_t>(x), static_cast<unsigned>(lane)));
}
DEVICE float shuffle_xor(float x, int mask) { return shuffle(x, lane_of_standin() ^ mask); }
DEVICE int shuffle_xor(int x, int mask) { return shuffle(x, lane_of_standin() ^ mask); }
DEVICE uint32_t lanes_where(bool x) { return standin::lanesWhere(x); }
DEVICE int count_bits(uint32_t x) { return __builtin_popcount(x); }

DEVICE int atomic_add(int* address, int value) { return __atomic_fetch_add(address, value, __ATOMIC_RELAXED); }
DEVICE int atomic_max(int* address, int value) {
  int old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(address, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
DEVICE void fence_device() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
DEVICE float load_fresh(const float* address) { return *static_cast<const volatile float*>(address); }

DEVICE uint4 load_stream(const void* address) {
  if (reinterpret_cast<uintptr_t>(address) % 16 != 0) standin::fault(standin::kMisalignedAddress, "load_stream from %p", address);
  return *static_cast<const uint4*>(address);
}

DEVICE void prefetch(const void*) {}
DEVICE uint32_t shared_address(const void* address) { return standin::sharedOffset(address, 16); }

DEVICE void copy_async16(void* shared, const void* global, bool inside) { standin::copyAsync16(shared, inside ? global : nullptr); }
DEVICE void copy_commit() { standin::copyCommit(); }
template <int Pending>
DEVICE void copy_wait() { standin::copyWait(Pending); }

DEVICE void load_matrices(uint32_t (&r)[4], const void* row) { standin::loadMatrices(r, row, false); }
DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) { standin::loadMatrices(r, row, true); }

template <class T>
DEVICE void multiply_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
DEVICE void multiply_16816<bf16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { standin::multiplyBf16(c, a, b); }
template <>
DEVICE void multiply_16816<f16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { standin::multiplyF16(c, a, b); }
