// The tiles of many rows on Hopper's matrix products (compute capability 9.0): 128 x 256 of the product a block, 64 steps of k at once.
//
// The block stays on its multiprocessor (grid: as many blocks as there are multiprocessors) and goes through tiles number blockIdx.x, + gridDim.x, ... as
// one sequence of steps, so the copies for the next tile are under way while a tile is stored. Of the 4 stages, two are copied into, one is multiplied, and
// one may still be: the matrix units never wait for the barrier of a step.
#pragma once
#include "gemm.cuh"
#include "wgmma.cuh"

#ifdef WGMMA

template <class T>
struct GemmWgmma {
  static constexpr int BM = 128, BN = 256, BK = 64, STAGES = 4, AHEAD = STAGES - 2;
  static constexpr int STAGE = (BM + BN) * BK;   // elements
  using Copy = TileCopy<T, BM, BN, BK, 256>;

  /// Asks for what the results will be added to, so that it is near when they are there.
  DEVICE static void prefetch_tile(const Gemm<T>& g, int rows, int row, int column) {
    constexpr int LINE = 32, LINES = BN / LINE, STEP = 256 / LINES;   // 128 bytes
    int tid = static_cast<int>(threadIdx.x);
    int c = column + tid % LINES * LINE;
    ROLLED for (int r = row + tid / LINES; r < row + BM && r < rows && c < g.n; r += STEP) {
      prefetch(static_cast<const float*>(g.out) + out_row_offset(g, batch_row(r, g.outRowsPerBatch)) + c);
    }
  }

  DEVICE static void run(const Gemm<T>& g) {
    T* shared = dynamic_shared<T>();
    float* slab = reinterpret_cast<float*>(shared + STAGES * STAGE) + warp_id() * Slab<T, 8, 128>::FLOATS;
    int rows = live_rows(g);
    int tilesM = ceil_div(rows, BM), tilesN = ceil_div(g.n, BN), tiles = tilesM * tilesN;
    int number = static_cast<int>(blockIdx.x), stride = static_cast<int>(gridDim.x);
    if (number >= tiles) return;
    int count = ceil_div(g.k, BK);

    // Where the copies are: AHEAD steps before the products.
    TilePlace first = tile_place(number, tilesM, tilesN);
    Copy copy(g, rows, first.m * BM, first.n * BN);
    int copying = number, copied = 0, writing = 0;
    auto next = [&] {
      if (copied == count) {
        copied = 0;
        copying += stride;
        if (copying < tiles) {
          TilePlace fresh = tile_place(copying, tilesM, tilesN);
          copy = Copy(g, rows, fresh.m * BM, fresh.n * BN);
        }
      }
      if (copying < tiles) copy.next(shared + writing * STAGE, shared + writing * STAGE + BM * BK);
      copied++;
      copy_commit();
      writing = (writing + 1) % STAGES;
    };
    for (int s = 0; s < AHEAD; s++) next();

    int reading = 0, warpgroup = warp_id() / 4;
    for (; number < tiles; number += stride) {
      TilePlace place = tile_place(number, tilesM, tilesN);
      if (g.epilogue == RESIDUAL) prefetch_tile(g, rows, place.m * BM, place.n * BN);
      float c[1][32][4];
      for (int i = 0; i < count; i++) {
        copy_wait<AHEAD - 1>();
        fence_for_wgmma();
        // Now the copies of this step are there, and both warpgroups have done with the products before the last.
        sync_block();
        const T* stage = shared + reading * STAGE;
        reading = (reading + 1) % STAGES;
        SharedTile a = shared_tile(stage + warpgroup * 64 * BK), b = shared_tile(stage + BM * BK);
        wgmma_begin();
        UNROLL for (int k = 0; k < BK / 16; k++) wgmma_64x256x16<T>(c[0], deeper(a, k), deeper(b, k), i > 0 || k > 0 ? 1 : 0);
        wgmma_commit();
        next();
        wgmma_wait<1>();
      }
      wgmma_wait<0>();
      store_fragments<T, 8, 128>(g, c, slab, rows, place.m * BM + warp_id() * 16, place.n * BN);
    }
  }
};

#define GEMM_WGMMA_BODY(T) GemmWgmma<T>::run(g);
#else
// Other GPUs have a kernel of this name that must not be launched.
#define GEMM_WGMMA_BODY(T)
#endif

KERNEL(256, 1) gemm_wgmma_128x256_f16(const Gemm<f16> g) { GEMM_WGMMA_BODY(f16) }
REGISTER_SM90A(gemm_wgmma_128x256_f16)
KERNEL(256, 1) gemm_wgmma_128x256_bf16(const Gemm<bf16> g) { GEMM_WGMMA_BODY(bf16) }
REGISTER_SM90A(gemm_wgmma_128x256_bf16)
#undef GEMM_WGMMA_BODY
