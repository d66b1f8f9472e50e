// Products with AVX-512 VNNI: four bytes of a row, broadcast, times a vector of 16 outputs. Rows and output blocks are held in
// registers together: for many rows each vector of weights is read once for up to 12 of them; for few, several blocks are
// read side by side, because one stream from memory is slower.
#include <array>

#include "matrix_kernels.h"

namespace sotto {
namespace {

constexpr int kMostRows = 12;
constexpr int kAhead = 16;  // blocks

// Output blocks that go together with so many rows: sums, weights and one broadcast fit into 32 registers.
constexpr int blocksFor(int rows) { return rows <= 2 ? 8 : rows <= 6 ? 4 : 2; }

// C of kRows rows and kBlocks neighbouring output blocks.
template <int kRows, int kBlocks>
void multiply(const uint8_t* a, size_t aStride, const int8_t* b, size_t inBlocks, int32_t* c, size_t cStride) {
  __m512i sums[kRows][kBlocks];
#pragma GCC unroll 16  // or the sums would lie in memory
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int i = 0; i < kBlocks; i++) sums[r][i] = _mm512_setzero_si512();
  }
  size_t blockBytes = inBlocks * kBlockIn * kBlockOut;
  for (size_t group = 0; group < inBlocks * 16; group++) {
    __m512i weights[kBlocks];
#pragma GCC unroll 8
    for (int i = 0; i < kBlocks; i++) {
      weights[i] = _mm512_load_si512(b + i * blockBytes + group * 64);
      // Two streams from memory are too few: the next two blocks are asked for as well.
      if (kBlocks == 2) _mm_prefetch(reinterpret_cast<const char*>(b + (i + 2) * blockBytes + group * 64), _MM_HINT_T0);
      // Narrow blocks, as keys are, lie so close that they are one stream: those after them are asked for.
      if (kBlocks == 8 && inBlocks == 1) {
        _mm_prefetch(reinterpret_cast<const char*>(b + (i + kAhead) * blockBytes + group * 64), _MM_HINT_T0);
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; r++) {
      int32_t four;
      __builtin_memcpy(&four, a + r * aStride + group * 4, 4);
      __m512i values = _mm512_set1_epi32(four);
#pragma GCC unroll 8
      for (int i = 0; i < kBlocks; i++) sums[r][i] = _mm512_dpbusd_epi32(sums[r][i], values, weights[i]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int i = 0; i < kBlocks; i++) _mm512_storeu_si512(c + r * cStride + i * kBlockOut, sums[r][i]);
  }
}

using Kernel = void (*)(const uint8_t*, size_t, const int8_t*, size_t, int32_t*, size_t);

// Kernels for kRows rows and 1, 2, 4 and 8 blocks; where 4 or 8 do not go with them, fewer.
template <int kRows>
constexpr std::array<Kernel, 4> kernelsOf() {
  constexpr int kMost = blocksFor(kRows);
  return {multiply<kRows, 1>, multiply<kRows, 2>, multiply<kRows, kMost < 4 ? kMost : 4>, multiply<kRows, kMost>};
}

constexpr std::array<Kernel, 4> kKernels[kMostRows] = {kernelsOf<1>(), kernelsOf<2>(),  kernelsOf<3>(),  kernelsOf<4>(),
                                                       kernelsOf<5>(), kernelsOf<6>(),  kernelsOf<7>(),  kernelsOf<8>(),
                                                       kernelsOf<9>(), kernelsOf<10>(), kernelsOf<11>(), kernelsOf<12>()};

// Cuts rows into as few groups as possible, of nearly the same size, and output blocks into those that go with them. Calls
// body(kernel, first row, rows, first block, blocks).
template <typename Body>
void forParts(int rows, size_t from, size_t to, const Body& body) {
  int groups = (rows + kMostRows - 1) / kMostRows;
  for (int group = 0; group < groups; group++) {
    int first = static_cast<int>(int64_t{rows} * group / groups);
    int count = static_cast<int>(int64_t{rows} * (group + 1) / groups) - first;
    size_t together = blocksFor(count);
    for (size_t block = from; block < to; block += together) {
      while (together > to - block) together /= 2;
      body(kKernels[count - 1][__builtin_ctzll(together)], first, count, block, static_cast<int>(together));
    }
  }
}

template <bool kGelu, bool kAdd>
struct LinearVnni {
  static void run(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to) {
    alignas(64) int32_t c[24 * kBlockOut];
    size_t blockBytes = w.paddedIn() * kBlockOut;
    forParts(product.rows, from, to, [&](Kernel kernel, int first, int count, size_t block, int blocks) {
      size_t cStride = static_cast<size_t>(blocks) * kBlockOut;
      kernel(product.bytes + first * product.stride, product.stride, w.blocks + block * blockBytes, w.inBlocks(), c, cStride);
      finishBlocks<kGelu, kAdd>(c, cStride, first, count, product, w, block, blocks);
    });
  }
};

}  // namespace

void multiplyVnni(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t from, size_t to, int32_t* c,
                  size_t cStride) {
  size_t blockBytes = b.paddedIn() * kBlockOut;
  forParts(rows, from, to, [&](Kernel kernel, int first, int, size_t block, int) {
    kernel(a + first * aStride, aStride, b.blocks + block * blockBytes, b.inBlocks(),
           c + first * cStride + (block - from) * kBlockOut, cStride);
  });
}

void linearVnni(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to) {
  finishAs<LinearVnni>(product, w, from, to);
}

}  // namespace sotto
