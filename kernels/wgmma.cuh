// The words of Hopper's matrix products: a warpgroup, 4 warps in a row of which the first has a number divisible by 4, multiplies tiles that lie in shared
// memory, while its threads do other things. Only where WGMMA is defined: for compute capability 9.0 (sm_90a), and in the stand-in.
#pragma once
#include "platform.cuh"

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WGMMA

/// Rows of 64 numbers of 16 bits (128 bytes) in shared memory, from a multiple of 1024 bytes: the numbers 8 c to 8 c + 7 of row r lie at byte
/// 128 r + 16 (c ^ (r % 8)). That is what the PTX manual calls K-major with 128-byte swizzling, and 1024 bytes from one eight of rows to the next.
struct SharedTile {
  uint64_t descriptor;
};
/// The tile that begins at an address, a multiple of 1024 bytes.
DEVICE SharedTile shared_tile(const void* address) {
  uint64_t place = shared_address(address);
  return {(place & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62};
}
/// The same tile from its 16 k-th number of each row on, k < 4: a product of 16 deep reads 16 numbers of each row.
DEVICE SharedTile deeper(SharedTile tile, int k) { return {tile.descriptor + k * 2}; }

#if !defined(__CUDACC__)
#include "host/wgmma.h"
#else

/// Makes what this thread has written to shared memory (or copied there, and waited for) seen by products; to be said before the barrier that tells others.
DEVICE void fence_for_wgmma() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// Before the first of several products, when the sums have been touched otherwise.
DEVICE void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Ends a group of the warpgroup's products.
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most `Pending` groups are under way. Until then their sums must not be touched, nor their tiles be written.
template <int Pending>
DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory"); }

#define SUM(i) "+f"(c[(i) / 4][(i) % 4])
#define WGMMA_64X256X16(type)                                                                                                                  \
  asm volatile(                                                                                                                                \
      "{ .reg .pred p; setp.ne.b32 p, %130, 0; wgmma.mma_async.sync.aligned.m64n256k16.f32." type "." type " {"                                \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, " \
      "%128, %129, p, 1, 1, 0, 0; }"                                                                                                           \
      : SUM(0), SUM(1), SUM(2), SUM(3), SUM(4), SUM(5), SUM(6), SUM(7), SUM(8), SUM(9), SUM(10), SUM(11), SUM(12), SUM(13), SUM(14), SUM(15), \
        SUM(16), SUM(17), SUM(18), SUM(19), SUM(20), SUM(21), SUM(22), SUM(23), SUM(24), SUM(25), SUM(26), SUM(27), SUM(28), SUM(29), SUM(30), SUM(31), \
        SUM(32), SUM(33), SUM(34), SUM(35), SUM(36), SUM(37), SUM(38), SUM(39), SUM(40), SUM(41), SUM(42), SUM(43), SUM(44), SUM(45), SUM(46), SUM(47), \
        SUM(48), SUM(49), SUM(50), SUM(51), SUM(52), SUM(53), SUM(54), SUM(55), SUM(56), SUM(57), SUM(58), SUM(59), SUM(60), SUM(61), SUM(62), SUM(63), \
        SUM(64), SUM(65), SUM(66), SUM(67), SUM(68), SUM(69), SUM(70), SUM(71), SUM(72), SUM(73), SUM(74), SUM(75), SUM(76), SUM(77), SUM(78), SUM(79), \
        SUM(80), SUM(81), SUM(82), SUM(83), SUM(84), SUM(85), SUM(86), SUM(87), SUM(88), SUM(89), SUM(90), SUM(91), SUM(92), SUM(93), SUM(94), SUM(95), \
        SUM(96), SUM(97), SUM(98), SUM(99), SUM(100), SUM(101), SUM(102), SUM(103), SUM(104), SUM(105), SUM(106), SUM(107), SUM(108), SUM(109), SUM(110), SUM(111), \
        SUM(112), SUM(113), SUM(114), SUM(115), SUM(116), SUM(117), SUM(118), SUM(119), SUM(120), SUM(121), SUM(122), SUM(123), SUM(124), SUM(125), SUM(126), SUM(127) \
      : "l"(a.descriptor), "l"(b.descriptor), "r"(add))

/// Begins c = a bᵀ, or c += a bᵀ: rows 0 to 63 of a and 0 to 255 of b, 16 deep. Thread 32 w + l of the warpgroup has in c[j] the sums of row 16 w + l / 4 at columns
/// 8 j + 2 (l % 4) and the next, then those of row 16 w + l / 4 + 8.
template <class T>
DEVICE void wgmma_64x256x16(float (&c)[32][4], SharedTile a, SharedTile b, int add);
template <>
DEVICE void wgmma_64x256x16<bf16>(float (&c)[32][4], SharedTile a, SharedTile b, int add) { WGMMA_64X256X16("bf16"); }
template <>
DEVICE void wgmma_64x256x16<f16>(float (&c)[32][4], SharedTile a, SharedTile b, int add) { WGMMA_64X256X16("f16"); }
#undef WGMMA_64X256X16
#undef SUM

#endif
#endif
