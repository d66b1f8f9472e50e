// What the kernels are written in: CUDA C through these few words, so that one source compiles with nvcc for the GPU and with a
// C++ compiler for the host stand-in (host/), where kernels, launches and graphs are tested without a GPU.
//
// Kernels use no other intrinsic and no other CUDA header. A warp's words (shuffles, matrix words) are said by all 32 lanes of it.
#pragma once
#include <stdint.h>

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define DEVICE __device__ __forceinline__
/// A kernel of at most so many threads a block: KERNEL(256) name(parameters) { ... }; a second number: blocks that fit on a multiprocessor.
#define KERNEL(...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__)
/// Makes a kernel known to the stand-in by its name; nothing on the GPU. Every kernel has one, in the order of the kernels.
#define REGISTER(name)
/// The same for a kernel that only compute capability 9.0a has.
#define REGISTER_SM90A(name)
/// An array in the block's shared memory.
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define UNROLL _Pragma("unroll")
/// A loop that stays a loop, where the compiler would copy its body.
#define ROLLED _Pragma("unroll 1")

using bf16 = __nv_bfloat16;
using f16 = __half;

/// The block's dynamic shared memory, as much as the launch asks for; aligned to 1024 bytes.
template <class T>
DEVICE T* dynamic_shared() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(f16 x) { return __half2float(x); }
DEVICE float to_float(bf16 x) { return __bfloat162float(x); }
template <class T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) { return x; }
template <>
DEVICE f16 from_float<f16>(float x) { return __float2half_rn(x); }
template <>
DEVICE bf16 from_float<bf16>(float x) { return __float2bfloat16_rn(x); }

/// Two neighbouring numbers of 16 bits in one word: the lower half is the first.
template <class T>
DEVICE float2 unpack2(uint32_t pair);
template <>
DEVICE float2 unpack2<f16>(uint32_t pair) { return __half22float2(*reinterpret_cast<__half2*>(&pair)); }
template <>
DEVICE float2 unpack2<bf16>(uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}
template <class T>
DEVICE uint32_t pack2(float first, float second);
template <>
DEVICE uint32_t pack2<f16>(float first, float second) {
  __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<uint32_t*>(&pair);
}
template <>
DEVICE uint32_t pack2<bf16>(float first, float second) {
  __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  return *reinterpret_cast<uint32_t*>(&pair);
}

DEVICE uint32_t bits_of(float x) { return __float_as_uint(x); }
DEVICE float float_of(uint32_t bits) { return __uint_as_float(bits); }

/// e^x, 2^x to about 2 units in the last place, 0 where it would be subnormal: for weights of attention in 16 bits. Exact mode uses expf.
DEVICE float exp_fast(float x) { return __expf(x); }
DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __syncwarp(); }
/// A barrier of `threads` threads of the block (whole warps), numbered 1 to 15.
DEVICE void sync_named(int barrier, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }

DEVICE float shuffle_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE int shuffle_xor(int x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
DEVICE float shuffle(float x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
DEVICE int shuffle(int x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
/// Which lanes say true: bit i is lane i.
DEVICE uint32_t lanes_where(bool x) { return __ballot_sync(0xffffffffu, x); }
DEVICE int count_bits(uint32_t x) { return __popc(x); }

DEVICE int atomic_add(int* address, int value) { return atomicAdd(address, value); }
DEVICE int atomic_max(int* address, int value) { return atomicMax(address, value); }
/// What this thread wrote before is seen by whoever sees what it writes after.
DEVICE void fence_device() { __threadfence(); }
/// A read past the first-level cache: of what other blocks of this launch wrote.
DEVICE float load_fresh(const float* address) { return __ldcg(address); }

/// 16 bytes of global memory that nothing writes during the launch and that are read once: kept out of the first-level cache.
DEVICE uint4 load_stream(const void* address) {
  uint4 r;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(r.x), "=r"(r.y), "=r"(r.z), "=r"(r.w) : "l"(address));
  return r;
}

/// Asks for the 128 bytes around an address to be in the second-level cache when they are read.
DEVICE void prefetch(const void* address) { asm volatile("prefetch.global.L2 [%0];" ::"l"(address)); }

/// Where an address of shared memory lies in it.
DEVICE uint32_t shared_address(const void* address) { return static_cast<uint32_t>(__cvta_generic_to_shared(address)); }

/// Copies 16 bytes from global to shared memory behind the thread's back; zeros where `inside` is false (nothing is read then).
DEVICE void copy_async16(void* shared, const void* global, bool inside) {
  uint32_t to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  int bytes = inside ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}
/// Ends a group of this thread's copies.
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `Pending` of this thread's groups are under way; a barrier makes the others' known.
template <int Pending>
DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory"); }

/// Four 8x8 matrices of 16-bit numbers from shared memory: lane i gives the address of row i % 8 of matrix i / 8 (16 bytes, aligned), and gets in
/// r[j] the two numbers at row lane / 4, columns 2 * (lane % 4) and the next, of matrix j.
DEVICE void load_matrices(uint32_t (&r)[4], const void* row) {
  uint32_t from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}
/// The same with every matrix transposed.
DEVICE void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  uint32_t from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(from) : "memory");
}

/// c[16][8] += a[16][16] b[16][8], fragments as PTX's mma.m16n8k16 has them (a row-major, b column-major, sums in float32).
template <class T>
DEVICE void multiply_16816(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
DEVICE void multiply_16816<bf16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
DEVICE void multiply_16816<f16>(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else
#include "host/device.h"
#endif

// Words made of the words above.

DEVICE int lane_id() { return static_cast<int>(threadIdx.x & 31); }
DEVICE int warp_id() { return static_cast<int>(threadIdx.x >> 5); }

DEVICE float warp_sum(float x) {
  UNROLL for (int mask = 16; mask > 0; mask >>= 1) x += shuffle_xor(x, mask);
  return x;
}
DEVICE float warp_max(float x) {
  UNROLL for (int mask = 16; mask > 0; mask >>= 1) x = fmaxf(x, shuffle_xor(x, mask));
  return x;
}

/// Exact GELU: x times the normal distribution function.
DEVICE float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }
