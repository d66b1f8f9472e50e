// Products of few rows, as decode steps have: the time is that of reading w, so w is read once, by 16 bytes a lane straight into registers, several reads
// ahead, while the few rows of a lie in shared memory. A block has BN rows of w (columns of the product) and a range of k; its warps take turns at the
// range, 64 numbers at a time, and add up at the end. With several splits of k, the block that comes last to a tile adds the others' partial sums, in order.
//
// The grid is (columns, splits, ceil(m / BM)): with fewer blocks than tiles in x, a block does several, and its rows of a stay where they are.
//
// The order of k within a step is the lanes' choice: lane (g, t) = (lane / 4, lane % 4) reads 16 bytes of row g at k = 8 t and gives them to two products as
// the numbers that mma.m16n8k16 expects at 2 t, 2 t + 8 and so on. Rows of a are read alike, so the products are the same, and nothing needs rearranging.
#pragma once
#include "gemm.cuh"

/// Where a lane reads w: a number of a row, how many rows there are from there, and how many numbers of the range.
template <class T>
struct RowsPlace {
  const T* w;
  int rows, numbers;
};

/// What a warp does in a step: 64 numbers of TN * 16 rows of w, times NT * 8 rows of a. In the end the sums are as multiply_16816 leaves them, with rows of w
/// first: c[i][j] = {(16 i + g, 8 j + 2 t), (.., + 1), (16 i + g + 8, 8 j + 2 t), (.., + 1)}.
template <class T, int TN, int NT>
struct RowsStep {
  static constexpr int K = 64;        // numbers of a step
  static constexpr int PADDING = 32;  // between rows of a: two rows at the same k lie in all 32 banks

  struct Sums {
    float c[TN][NT][4];
  };

  uint4 w[TN][2][2];   // [.][row g | g + 8][half of the step]

  /// Where the lane reads the first row at k.
  DEVICE static RowsPlace<T> place(const Gemm<T>& g, int column, int k, int kEnd) {
    int row = column + lane_id() / 4;
    k += lane_id() % 4 * 8;
    return {g.w + static_cast<int64_t>(row) * g.k + k, g.n - row, kEnd - k};
  }

  /// Reads w, `ahead` numbers further than a place; zeros beyond n and kEnd.
  DEVICE void load(const RowsPlace<T>& from, int64_t eightRows, int ahead) {
    UNROLL for (int i = 0; i < 2 * TN; i++) {
      UNROLL for (int half = 0; half < 2; half++) {
        bool inside = i * 8 < from.rows && ahead + half * 32 < from.numbers;
        w[i / 2][i % 2][half] = inside ? load_stream(from.w + i * eightRows + ahead + half * 32) : make_uint4(0, 0, 0, 0);
      }
    }
  }

  /// Adds the products with the rows of a, which begin at `rows`, `pitch` numbers apart.
  DEVICE void multiply(Sums& sums, const T* rows, int pitch) const {
    rows += lane_id() / 4 * pitch + lane_id() % 4 * 8;
    UNROLL for (int half = 0; half < 2; half++) {
      UNROLL for (int j = 0; j < NT; j++) {
        uint4 x = *reinterpret_cast<const uint4*>(rows + j * 8 * pitch + half * 32);
        uint32_t first[2] = {x.x, x.y}, second[2] = {x.z, x.w};
        UNROLL for (int i = 0; i < TN; i++) {
          uint4 upper = w[i][0][half], lower = w[i][1][half];
          uint32_t even[4] = {upper.x, lower.x, upper.y, lower.y}, odd[4] = {upper.z, lower.z, upper.w, lower.w};
          multiply_16816<T>(sums.c[i][j], even, first);
          multiply_16816<T>(sums.c[i][j], odd, second);
        }
      }
    }
  }

  DEVICE static void clear(Sums& sums) {
    UNROLL for (int i = 0; i < TN; i++) {
      UNROLL for (int j = 0; j < NT; j++) {
        UNROLL for (int e = 0; e < 4; e++) sums.c[i][j][e] = 0.0f;
      }
    }
  }
  /// The lane's sums where they belong.
  DEVICE static Sums collect(const Sums& sums) { return sums; }
};

/// WN x WK warps: WN share out the columns of a tile, WK the range of k. DEEP steps are read ahead.
template <class T, int TN, int NT, int WN, int WK, int DEEP>
struct GemmRows {
  using Step = RowsStep<T, TN, NT>;
  static constexpr int BM = NT * 8, BN = WN * TN * 16;
  static constexpr int SUMS_PITCH = BN + 4;
  /// Tiles of sums in shared memory: one for each of the WK warps that sum the same columns, where that is not too much, else for half of them.
  static constexpr int SLOTS = BM * BN <= 1024 ? WK : WK / 2;
  static constexpr int SLOT = BM * SUMS_PITCH;
  static_assert(WN * WK == 8, "256 threads");

  DEVICE static void put(float* slot, int column, const float (&c)[TN][NT][4]) {
    slot += lane_id() % 4 * 2 * SUMS_PITCH + column + lane_id() / 4;
    UNROLL for (int i = 0; i < TN; i++) {
      UNROLL for (int j = 0; j < NT; j++) {
        UNROLL for (int e = 0; e < 4; e++) slot[(j * 8 + e % 2) * SUMS_PITCH + i * 16 + e / 2 * 8] = c[i][j][e];
      }
    }
  }
  DEVICE static void add(const float* slot, int column, float (&c)[TN][NT][4]) {
    slot += lane_id() % 4 * 2 * SUMS_PITCH + column + lane_id() / 4;
    UNROLL for (int i = 0; i < TN; i++) {
      UNROLL for (int j = 0; j < NT; j++) {
        UNROLL for (int e = 0; e < 4; e++) c[i][j][e] += slot[(j * 8 + e % 2) * SUMS_PITCH + i * 16 + e / 2 * 8];
      }
    }
  }

  DEVICE static void run(const Gemm<T>& g) {
    int split = static_cast<int>(blockIdx.y), row = static_cast<int>(blockIdx.z) * BM;
    int columnInTile = warp_id() % WN * (TN * 16), turn = warp_id() / WN;
    int allSteps = ceil_div(g.k, Step::K);
    int perSplit = g.splits == 1 ? allSteps : ceil_div(allSteps, g.splits);
    int kBegin = split * perSplit * Step::K;
    int steps = allSteps - split * perSplit < perSplit ? allSteps - split * perSplit : perSplit;
    if (steps < 0) steps = 0;
    int kEnd = g.k < kBegin + steps * Step::K ? g.k : kBegin + steps * Step::K;
    int rounds = ceil_div(steps, WK * DEEP);   // of DEEP steps of each warp
    int tiles = ceil_div(g.n, BN);
    int first = static_cast<int>(blockIdx.x), stride = static_cast<int>(gridDim.x);
    if (first >= tiles) return;

    // w does not depend on what runs before: its first reads are under way while the rest is looked up.
    int64_t eightRows = 8 * static_cast<int64_t>(g.k);
    int kTurn = kBegin + turn * Step::K;
    RowsPlace<T> from = Step::place(g, first * BN + columnInTile, kTurn, kEnd);
    Step ahead[DEEP];
    UNROLL for (int d = 0; d < DEEP; d++) ahead[d].load(from, eightRows, d * WK * Step::K);

    int rows = live_rows(g) - row;
    if (rows <= 0) return;
    if (rows > BM) rows = BM;

    T* shared = dynamic_shared<T>();
    int pitch = perSplit * Step::K + Step::PADDING;
    float* slots = reinterpret_cast<float*>(shared + BM * pitch);
    // Rows of a that do not exist are left as they are: their sums go nowhere.
    constexpr int CHUNK = 16 / sizeof(T);
    for (int r = warp_id(); r < rows; r += 8) {
      const T* from = g.a + row_offset(g, row + r) + kBegin;
      for (int k = lane_id() * CHUNK; k < steps * Step::K; k += 32 * CHUNK) {
        bool inside = kBegin + k < g.k;
        copy_async16(shared + r * pitch + k, inside ? from + k : g.a, inside);
      }
    }
    copy_commit();
    copy_wait<0>();
    sync_block();

    for (int tile = first; tile < tiles; tile += stride) {
      typename Step::Sums sums;
      Step::clear(sums);
      for (int round = 0; round < rounds; round++) {
        if (round + 1 < rounds) {
          from.w += DEEP * WK * Step::K;
          from.numbers -= DEEP * WK * Step::K;
        } else {
          from = Step::place(g, (tile + stride) * BN + columnInTile, kTurn, kEnd);
        }
        UNROLL for (int d = 0; d < DEEP; d++) {
          int step = (round * DEEP + d) * WK + turn;
          if (step < steps) ahead[d].multiply(sums, shared + step * Step::K, pitch);
          ahead[d].load(from, eightRows, d * WK * Step::K);
        }
      }
      auto collected = Step::collect(sums);
      store(g, collected.c, slots, split, row, rows, tile, tiles, columnInTile, turn);
    }
  }

  /// Adds the warps' sums and stores them, or leaves them to the block that comes last.
  DEVICE static void store(const Gemm<T>& g, float (&c)[TN][NT][4], float* slots, int split, int row, int rows, int tile, int tiles, int columnInTile, int turn) {
    if (SLOTS < WK) {
      if (turn >= SLOTS) put(slots + (turn - SLOTS) * SLOT, columnInTile, c);
      sync_block();
      if (turn < SLOTS) add(slots + turn * SLOT, columnInTile, c);
      sync_block();
    }
    if (turn < SLOTS) put(slots + turn * SLOT, columnInTile, c);
    sync_block();

    int tid = static_cast<int>(threadIdx.x);
    int column = tile * BN + tid % BN, first = tid / BN;   // of the thread: one column, each STEP-th row from `first`
    constexpr int STEP = 256 / BN;
    constexpr int TURNS = ceil_div(BM, STEP);
    // Where the first slot has the thread's sums: nobody else reads or writes them from here on, so their sums can take their place.
    float* own = slots + first * SUMS_PITCH + tid % BN;
    constexpr int DOWN = STEP * SUMS_PITCH;
    int turns = column < g.n && first < rows ? ceil_div(rows - first, STEP) : 0;
    UNROLL for (int i = 0; i < TURNS; i++) {
      if (i >= turns) continue;
      float v = 0.0f;
      UNROLL for (int s = 0; s < SLOTS; s++) v += own[s * SLOT + i * DOWN];
      own[i * DOWN] = v;
    }
    bool isLast = true;
    if (g.splits > 1) {
      int64_t partial = static_cast<int64_t>(g.m) * g.n, down = static_cast<int64_t>(STEP) * g.n;
      float* mine = g.partials + static_cast<int64_t>(row + first) * g.n + column;
      UNROLL for (int i = 0; i < TURNS; i++) {
        if (i < turns) mine[split * partial + i * down] = own[i * DOWN];
      }
      int* counter = g.counters + static_cast<int>(blockIdx.z) * tiles + tile;
      int* arrived = reinterpret_cast<int*>(slots + BN);   // between two rows of sums
      sync_block();
      if (tid == 0) {
        // A fence holds for what this thread has seen through the barrier, too.
        fence_device();
        *arrived = atomic_add(counter, 1);
        fence_device();
      }
      sync_block();
      isLast = *arrived == g.splits - 1;
      if (isLast) {
        // Many reads at once: the block's only wait that nothing hides.
        constexpr int AT_ONCE = TURNS > 4 ? 2 : 4;
        float v[TURNS];
        UNROLL for (int i = 0; i < TURNS; i++) v[i] = 0.0f;
        ROLLED for (int from = 0; from < g.splits; from += AT_ONCE) {
          float fresh[AT_ONCE][TURNS];
          UNROLL for (int s = 0; s < AT_ONCE; s++) {
            UNROLL for (int i = 0; i < TURNS; i++) fresh[s][i] = i < turns && from + s < g.splits ? load_fresh(mine + (from + s) * partial + i * down) : 0.0f;
          }
          UNROLL for (int s = 0; s < AT_ONCE; s++) {
            UNROLL for (int i = 0; i < TURNS; i++) v[i] += fresh[s][i];
          }
        }
        UNROLL for (int i = 0; i < TURNS; i++) {
          if (i < turns) own[i * DOWN] = v[i];
        }
        if (tid == 0) *counter = 0;
      }
    }
    if (isLast && turns > 0) {
      // Some at a time: what they are added to is asked for together, and the code stays small enough for the multiprocessor's cache.
      constexpr int AT_ONCE = TURNS < 4 ? TURNS : 4;
      float bias = g.bias != nullptr ? g.bias[column] : 0.0f;
      int64_t toColumn = column_offset(g, column);
      ROLLED for (int turn = 0; turn < turns; turn += AT_ONCE) {
        int64_t offset[AT_ONCE];
        float added[AT_ONCE];
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
          BatchRow at = batch_row(row + first + (turn + i) * STEP, g.outRowsPerBatch);
          offset[i] = out_row_offset(g, at) + toColumn;
          added[i] = turn + i < turns ? added_to(g, at, column, offset[i]) : 0.0f;
        }
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
          if (turn + i < turns) finish_one(g, offset[i], own[(turn + i) * DOWN] + bias, added[i]);
        }
      }
    }
    // The slots are free for the next tile.
    sync_block();
  }
};

#define GEMM_ROWS(T, suffix)                                                                               \
  KERNEL(256, 2) gemm_rows8_##suffix(const Gemm<T> g) { GemmRows<T, 1, 1, 1, 8, 3>::run(g); }              \
  REGISTER(gemm_rows8_##suffix)                                                                            \
  KERNEL(256, 2) gemm_rows16_##suffix(const Gemm<T> g) { GemmRows<T, 1, 2, 1, 8, 3>::run(g); }             \
  REGISTER(gemm_rows16_##suffix)                                                                           \
  KERNEL(256) gemm_rows32_##suffix(const Gemm<T> g) { GemmRows<T, 2, 4, 1, 8, 2>::run(g); }                \
  REGISTER(gemm_rows32_##suffix)                                                                           \
  KERNEL(256) gemm_rows64_##suffix(const Gemm<T> g) { GemmRows<T, 2, 8, 2, 4, 2>::run(g); }                \
  REGISTER(gemm_rows64_##suffix)
GEMM_ROWS(f16, f16)
GEMM_ROWS(bf16, bf16)
