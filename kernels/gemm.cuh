// Matrix products out = a wᵀ, and what is done with a sum before it is stored: the structure that all variants take, their common ends, and the tiles of
// 16-bit numbers on mma.sync. Sums are float32 and have one order, so a result never changes from run to run.
//
//   kernel                       numbers  tile (m x n x k)  threads  stages  dynamic shared bytes          for
//   gemm_wgmma_128x256_T         16 bits  128 x 256 x 64    256      4       231424                        many rows, compute capability 9.0 (gemm_wgmma.cuh)
//   gemm_128x256_T               16 bits  128 x 256 x 32    256      4       98304                         many rows and columns elsewhere
//   gemm_128x128_T               16 bits  128 x 128 x 32    128      3       49152                         the same with less waste at the edges; two blocks live on a multiprocessor
//   gemm_64x64_T                 16 bits   64 x  64 x 64    128      3       49152                         few tiles: small models, short prompts
//   gemm_rows8_T, gemm_rows16_T  16 bits   8 | 16 x  16     256      -       2 rows (range + 32) + slots   m <= 8 | 16: decode steps (gemm_rows.cuh)
//   gemm_rows32_T                16 bits  32 x  32          256      -       2 rows (range + 32) + slots   m <= 32
//   gemm_rows64_T                16 bits  64 x  64          256      -       2 rows (range + 32) + slots   m <= 64, and up to some hundreds in several z
//   gemm_128x128_f32             float    128 x 128 x 16    256      3       61440                         exact mode and log-Mel (gemm_float.cuh)
//   gemm_64x64_f32               float     64 x  64 x 16    128      3       30720                         the same, few tiles
//   gemm_rows8_f32, 16, 32       float    8 | 16 | 32 x 16  256      -       4 rows (range + 32) + slots   exact decode steps; more rows in several z
//
// rows: of the tile. range: of k that a block has, a multiple of 64: 64 ceil(ceil(k / 64) / splits). slots: 4 sets rows (columns + 4), 8 sets, rows64: 2.
//
// Any m and n; k a multiple of 8 (16 bits) or 4 (float). Rows of a beyond m, and of w beyond n, are not read.
#pragma once
#include "platform.cuh"

/// The parameters of a product. Row i of a begins at a + (i / aRowsPerBatch) * aBatchStride + (i % aRowsPerBatch) * aRowStride elements, and rows may
/// overlap, which makes a convolution a product; row i of out likewise, in elements of out's type. w is [n, k] without gaps.
template <class T>
struct Gemm {
  const T* a;
  const T* w;
  /// [n], or null.
  const float* bias;
  void* out;
  /// POSITIONS only: [outRowsPerBatch, n].
  const float* positions;
  /// Null, or where it is said how many of the m rows count.
  const int* rowCount;
  /// For sums that several blocks share (rows kernels with splits > 1): [splits, m, n] floats, and one zero for each tile of the output, which is zero again after.
  float* partials;
  int* counters;
  int64_t aBatchStride, outBatchStride;
  int aRowsPerBatch, aRowStride, outRowsPerBatch, outRowStride;
  int m, n, k, epilogue, splits, heads;
};

/// What becomes of v = sum + bias. STORE: out T = v. GELU: out T = gelu(v). RESIDUAL: out float += v. POSITIONS: out float = gelu(v) + positions[row % outRowsPerBatch][column].
/// CROSS_KV: out T, columns are (keys | values, head, 64) and go to out + batch * outBatchStride + [keys | values][head][row in batch][64]. FLOAT: out float = v.
enum Epilogue { STORE = 0, GELU = 1, RESIDUAL = 2, POSITIONS = 3, CROSS_KV = 4, FLOAT = 5 };

/// The rows that count.
template <class T>
DEVICE int live_rows(const Gemm<T>& g) {
  if (g.rowCount == nullptr) return g.m;
  int count = *g.rowCount;
  return count < g.m ? count : g.m;
}

/// A row's place in its batch, and the batch: without a division where there is one batch.
struct BatchRow {
  int batch, row;
};
DEVICE BatchRow batch_row(int row, int rowsPerBatch) {
  int batch = row < rowsPerBatch ? 0 : row / rowsPerBatch;
  return {batch, row - batch * rowsPerBatch};
}

/// Where a row of `a` begins, in elements.
template <class T>
DEVICE int64_t row_offset(const Gemm<T>& g, int row) {
  BatchRow at = batch_row(row, g.aRowsPerBatch);
  return at.batch * g.aBatchStride + static_cast<int64_t>(at.row) * g.aRowStride;
}

/// GELU as the type deserves: exact for float; for 16 bits max(x, 0) - |x| Phi(-|x|) with log2 Phi as a polynomial, which is off by less than 2e-7 and by
/// less than 6e-4 of the value up to |x| = 5 (weighted least squares over [0, 6]), and takes half the instructions.
template <class T>
DEVICE float gelu_for(float x) {
  float t = fminf(fabsf(x), 8.0f);
  float q = 3.257983917e-5f;
  q = q * t - 7.576081553e-4f;
  q = q * t + 8.017279208e-3f;
  q = q * t - 5.327008665e-2f;
  q = q * t - 4.589157701e-1f;
  q = q * t - 1.151138186f;
  q = q * t - 1.000002027f;
  return fmaxf(x, 0.0f) - t * exp2_fast(q);
}
template <>
DEVICE float gelu_for<float>(float x) { return gelu(x); }

/// Where the results of a column of the product go: element offset of the column, to be added to that of the row.
template <class T>
DEVICE int64_t column_offset(const Gemm<T>& g, int column) {
  if (g.epilogue != CROSS_KV) return column;
  int half = g.n / 2;
  int part = column >= half ? 1 : 0;
  int within = column - part * half;
  return static_cast<int64_t>(part * g.heads + within / 64) * g.outRowsPerBatch * 64 + within % 64;
}
template <class T>
DEVICE int64_t out_row_offset(const Gemm<T>& g, BatchRow at) {
  int stride = g.epilogue == CROSS_KV ? 64 : g.outRowStride;
  return at.batch * g.outBatchStride + static_cast<int64_t>(at.row) * stride;
}

/// Whether out holds float32 rather than T.
template <class T>
DEVICE bool float_out(const Gemm<T>& g) {
  return sizeof(T) == 4 || g.epilogue == RESIDUAL || g.epilogue == POSITIONS || g.epilogue == FLOAT;
}

/// What a result is added to.
template <class T>
DEVICE float added_to(const Gemm<T>& g, BatchRow at, int column, int64_t offset) {
  if (g.epilogue == RESIDUAL) return static_cast<const float*>(g.out)[offset];
  if (g.epilogue == POSITIONS) return g.positions[static_cast<int64_t>(at.row) * g.n + column];
  return 0.0f;
}
/// Stores one result at an offset of out: v = sum + bias, and what it is added to.
template <class T>
DEVICE void finish_one(const Gemm<T>& g, int64_t offset, float v, float added) {
  if (g.epilogue == GELU || g.epilogue == POSITIONS) v = gelu_for<T>(v);
  v += added;
  if (float_out(g)) {
    static_cast<float*>(g.out)[offset] = v;
  } else {
    static_cast<T*>(g.out)[offset] = from_float<T>(v);
  }
}

/// Stores 4 neighbours, as many as `count` says.
DEVICE void store_quad(float* to, const float* v, int count, bool vectors) {
  if (vectors && count >= 4) {
    *reinterpret_cast<float4*>(to) = make_float4(v[0], v[1], v[2], v[3]);
  } else {
    UNROLL for (int i = 0; i < 4; i++) {
      if (i < count) to[i] = v[i];
    }
  }
}
/// Stores 8 neighbours of 16 bits, as many as `count` says.
template <class T>
DEVICE void store_eight(T* to, const float* v, int count, bool vectors) {
  if (vectors && count >= 8) {
    *reinterpret_cast<uint4*>(to) = make_uint4(pack2<T>(v[0], v[1]), pack2<T>(v[2], v[3]), pack2<T>(v[4], v[5]), pack2<T>(v[6], v[7]));
  } else {
    UNROLL for (int i = 0; i < 8; i++) {
      if (i < count) to[i] = from_float<T>(v[i]);
    }
  }
}

/// Floats from one row of a slab to the next. Eight more than a multiple of 32: what a half warp stores together, pairs in four rows, lies in 32 banks.
DEVICE constexpr int slab_pitch(int width) { return width + 8; }

/// Stores results by slabs that a warp has laid into shared memory as [ROWS][slab_pitch(WIDTH)], WIDTH columns (32, 64 or 128) of which count: whole sectors of
/// memory at once, 16 bytes a lane. A lane has the same columns of all rows: 8 neighbours where out is of 16 bits, else two times 4. What is added to the
/// results from memory is asked for one turn ahead.
template <class T, int ROWS, int WIDTH>
struct Slab {
  static constexpr int LANES = WIDTH / 8;   // of a row
  static constexpr int STEP = 32 / LANES;   // rows at once
  static constexpr int FLOATS = ROWS * slab_pitch(WIDTH);

  const Gemm<T>& g;
  const float* slab;
  int rows;         // that count
  bool floats;      // out is float32
  bool added;       // the results are added to something
  bool vectors;     // rows of out begin at multiples of 16 bytes
  bool vectorsIn;   // and so do rows of what is added
  int quad[2];      // columns, in the slab, of the lane's two quads
  int column;       // of the slab, in the product

  DEVICE Slab(const Gemm<T>& gemm, const float* shared, int liveRows) : g(gemm), slab(shared), rows(liveRows) {
    int lane = lane_id() % LANES;
    floats = float_out(g);
    added = g.epilogue == RESIDUAL || g.epilogue == POSITIONS;
    quad[0] = floats ? 4 * lane : 8 * lane;
    quad[1] = floats ? 4 * lane + WIDTH / 2 : 8 * lane + 4;
    uint64_t size = floats ? 4 : 2;
    uint64_t stride = g.epilogue == CROSS_KV ? 64 : static_cast<uint64_t>(g.outRowStride);
    vectors = ((reinterpret_cast<uint64_t>(g.out) | stride * size | static_cast<uint64_t>(g.outBatchStride) * size) & 15) == 0;
    vectorsIn = g.epilogue == RESIDUAL ? vectors : g.n % 4 == 0 && (reinterpret_cast<uint64_t>(g.positions) & 15) == 0;
  }

  /// Asks for what is added to the lane's results of a row.
  DEVICE void ask(float (&extra)[8], int row) const {
    if (!added) return;
    BatchRow place = batch_row(row, g.outRowsPerBatch);
    const float* from = g.epilogue == RESIDUAL ? static_cast<const float*>(g.out) + out_row_offset(g, place) : g.positions + static_cast<int64_t>(place.row) * g.n;
    UNROLL for (int j = 0; j < 2; j++) {
      int c = column + quad[j];
      if (row < rows && vectorsIn && c + 4 <= g.n) {
        float4 four = *reinterpret_cast<const float4*>(from + c);
        extra[4 * j] = four.x, extra[4 * j + 1] = four.y, extra[4 * j + 2] = four.z, extra[4 * j + 3] = four.w;
      } else {
        UNROLL for (int i = 0; i < 4; i++) extra[4 * j + i] = row < rows && c + i < g.n ? from[c + i] : 0.0f;
      }
    }
  }

  /// Stores the lane's results of a row.
  DEVICE void put(float (&v)[8], int row) const {
    int64_t offset = out_row_offset(g, batch_row(row, g.outRowsPerBatch));
    if (floats) {
      UNROLL for (int j = 0; j < 2; j++) {
        int c = column + quad[j];
        store_quad(static_cast<float*>(g.out) + offset + column_offset(g, c), v + 4 * j, g.n - c, vectors);
      }
    } else if constexpr (sizeof(T) == 2) {
      int c = column + quad[0];
      store_eight(static_cast<T*>(g.out) + offset + column_offset(g, c), v, g.n - c, vectors);
    }
  }

  /// Stores the slab that begins at a row and a column. `fill` lays it out.
  template <class Fill>
  DEVICE void store(int firstRow, int firstColumn, const Fill& fill) {
    if (firstRow >= rows || firstColumn >= g.n) return;
    column = firstColumn;
    int local = lane_id() / LANES;
    float extra[8], bias[8];
    ask(extra, firstRow + local);
    UNROLL for (int i = 0; i < 8; i++) {
      int c = column + quad[i / 4] + i % 4;
      bias[i] = g.bias != nullptr && c < g.n ? g.bias[c] : 0.0f;
    }
    fill();
    sync_warp();
    ROLLED for (int pass = 0; pass < ROWS / STEP; pass++) {
      int row = firstRow + local;
      float v[8];
      UNROLL for (int j = 0; j < 2; j++) {
        float4 four = *reinterpret_cast<const float4*>(slab + local * slab_pitch(WIDTH) + quad[j]);
        v[4 * j] = four.x, v[4 * j + 1] = four.y, v[4 * j + 2] = four.z, v[4 * j + 3] = four.w;
      }
      UNROLL for (int i = 0; i < 8; i++) v[i] += bias[i];
      if (g.epilogue == GELU || g.epilogue == POSITIONS) {
        UNROLL for (int i = 0; i < 8; i++) v[i] = gelu_for<T>(v[i]);
      }
      if (added) {
        UNROLL for (int i = 0; i < 8; i++) v[i] += extra[i];
        if (pass + 1 < ROWS / STEP) ask(extra, row + STEP);
      }
      if (row < rows) put(v, row);
      local += STEP;
    }
    sync_warp();
  }
};

/// Stores what a warp has summed in fragments of multiply_16816: MT * 16 rows from `row`, NT * 8 columns from `column`, through slabs of ROWS by WIDTH.
template <class T, int ROWS, int WIDTH, int MT, int NT>
DEVICE void store_fragments(const Gemm<T>& g, const float (&c)[MT][NT][4], float* shared, int rows, int row, int column) {
  Slab<T, ROWS, WIDTH> slab(g, shared, rows);
  float* to = shared + lane_id() / 4 * slab_pitch(WIDTH) + lane_id() % 4 * 2;
  UNROLL for (int first = 0; first < NT * 8; first += WIDTH) {
    UNROLL for (int top = 0; top < MT * 16; top += ROWS) {
      slab.store(row + top, column + first, [&] {
        UNROLL for (int r = 0; r < ROWS; r += 8) {
          UNROLL for (int j = 0; j < WIDTH / 8; j++) {
            const float* pair = c[(top + r) / 16][first / 8 + j] + (top + r) % 16 / 4;
            *reinterpret_cast<float2*>(to + r * slab_pitch(WIDTH) + 8 * j) = make_float2(pair[0], pair[1]);
          }
        }
      });
    }
  }
}

/// The tile of a number, of tilesM by tilesN: column by column within bands of 16 rows of tiles, so that the tiles that run at one time share a and w.
struct TilePlace {
  int m, n;
};
DEVICE TilePlace tile_place(int number, int tilesM, int tilesN) {
  constexpr int BAND = 16;
  int band = number / (BAND * tilesN);
  int within = number - band * BAND * tilesN;
  int height = tilesM - band * BAND < BAND ? tilesM - band * BAND : BAND;
  return {band * BAND + within % height, within / height};
}
DEVICE constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Copies the tiles of a and w that belong to one step of k into shared memory, 16 bytes a thread and copy, with the chunks of 16 bytes of a row swizzled so
/// that 8 rows at the same k lie in all 32 banks: chunk c of row r at c ^ (r % 8) where a row is 128 bytes, at c ^ (r / 2 % 4) where it is 64.
template <class T, int BM, int BN, int BK, int THREADS>
struct TileCopy {
  static constexpr int CHUNKS = BK / 8;
  static constexpr int STEP = THREADS / CHUNKS;   // rows at once
  static constexpr int A = BM / STEP, W = BN / STEP;
  static_assert(STEP % 8 == 0 && BM % STEP == 0 && BN % STEP == 0 && (BK == 32 || BK == 64), "no such tile");

  const T* a[A];
  const T* w;
  int64_t wStep;
  uint32_t inside;   // bit i: row i of a exists; bit 16 + i: of w
  int k, chunk, place;

  DEVICE static int swizzle(int row) { return BK == 64 ? row % 8 : row / 2 % 4; }

  DEVICE TileCopy(const Gemm<T>& g, int rows, int row, int column) {
    int first = static_cast<int>(threadIdx.x) / CHUNKS;
    chunk = static_cast<int>(threadIdx.x) % CHUNKS * 8;
    place = first * BK + ((chunk / 8) ^ swizzle(first)) * 8;
    k = g.k;
    inside = 0;
    UNROLL for (int i = 0; i < A; i++) {
      int r = row + first + i * STEP;
      bool exists = r < rows;
      inside |= exists ? 1u << i : 0u;
      a[i] = g.a + (exists ? row_offset(g, r) : 0) + chunk;
    }
    UNROLL for (int i = 0; i < W; i++) inside |= column + first + i * STEP < g.n ? 1u << (16 + i) : 0u;
    w = g.w + (inside >> 16 == 0 ? 0 : static_cast<int64_t>(column + first) * g.k) + chunk;
    wStep = static_cast<int64_t>(STEP) * g.k;
  }

  /// Begins the copies of the next step; zeros beyond the edges.
  DEVICE void next(T* toA, T* toW) {
    bool within = chunk < k;
    UNROLL for (int i = 0; i < A; i++) {
      copy_async16(toA + place + i * STEP * BK, a[i], within && (inside >> i & 1) != 0);
      a[i] += BK;
    }
    UNROLL for (int i = 0; i < W; i++) copy_async16(toW + place + i * STEP * BK, w + i * wStep, within && (inside >> (16 + i) & 1) != 0);
    w += BK;
    chunk += BK;
  }
};

/// A block's tile of the product: WM x WN warps, each of MT * 16 rows by NT * 8 columns. Copies run STAGES - 1 steps ahead; fragments are loaded one step of
/// 16 ahead of their products.
template <class T, int WM, int WN, int MT, int NT, int BK, int STAGES>
struct GemmTile {
  static constexpr int BM = WM * MT * 16, BN = WN * NT * 8, THREADS = WM * WN * 32;
  static constexpr int STAGE = (BM + BN) * BK;   // elements
  static constexpr int STEPS = BK / 16;
  using Ends = Slab<T, 32, NT * 8>;
  static_assert(STEPS % 2 == 0 && WM * WN * Ends::FLOATS * 4 <= STAGES * STAGE * 2, "no room");
  using Copy = TileCopy<T, BM, BN, BK, THREADS>;

  uint32_t fa[2][MT][4];
  uint32_t fb[2][NT / 2][4];
  float c[MT][NT][4];
  int placeA, placeB;   // of the rows whose addresses this lane gives, in a stage

  DEVICE GemmTile() {
    int lane = lane_id(), warp = warp_id();
    int rowA = warp / WN * (MT * 16) + lane % 16;
    int rowB = warp % WN * (NT * 8) + lane % 8 + lane / 16 * 8;
    placeA = rowA * BK + ((lane / 16) ^ Copy::swizzle(rowA)) * 8;
    placeB = BM * BK + rowB * BK + ((lane / 8 % 2) ^ Copy::swizzle(rowB)) * 8;
    UNROLL for (int i = 0; i < MT; i++) {
      UNROLL for (int j = 0; j < NT; j++) {
        UNROLL for (int e = 0; e < 4; e++) c[i][j][e] = 0.0f;
      }
    }
  }

  DEVICE void load(const T* stage, int step, int buffer) {
    // A step of 16 is two chunks, and steps differ in bits that the lane's first chunk has not: one exclusive or moves a swizzled place.
    UNROLL for (int i = 0; i < MT; i++) load_matrices(fa[buffer][i], stage + ((placeA + i * 16 * BK) ^ (step * 16)));
    UNROLL for (int j = 0; j < NT / 2; j++) load_matrices(fb[buffer][j], stage + ((placeB + j * 16 * BK) ^ (step * 16)));
  }

  DEVICE void multiply(int buffer) {
    UNROLL for (int j = 0; j < NT; j++) {
      uint32_t b[2] = {fb[buffer][j / 2][j % 2 * 2], fb[buffer][j / 2][j % 2 * 2 + 1]};
      UNROLL for (int i = 0; i < MT; i++) multiply_16816<T>(c[i][j], fa[buffer][i], b);
    }
  }

  DEVICE static void run(const Gemm<T>& g) {
    T* shared = dynamic_shared<T>();
    int rows = live_rows(g);
    int tilesM = ceil_div(rows, BM), tilesN = ceil_div(g.n, BN);
    int number = static_cast<int>(blockIdx.x);
    if (number >= tilesM * tilesN) return;
    TilePlace tile = tile_place(number, tilesM, tilesN);
    int row = tile.m * BM, column = tile.n * BN;

    Copy copy(g, rows, row, column);
    int count = ceil_div(g.k, BK);
    UNROLL for (int s = 0; s < STAGES - 1; s++) {
      copy.next(shared + s * STAGE, shared + s * STAGE + BM * BK);
      copy_commit();
    }
    copy_wait<STAGES - 2>();
    sync_block();

    GemmTile tiles;
    tiles.load(shared, 0, 0);
    int reading = 0, writing = STAGES - 1;
    for (int i = 0; i < count; i++) {
      const T* stage = shared + reading * STAGE;
      UNROLL for (int step = 0; step < STEPS; step++) {
        if (step + 1 < STEPS) {
          tiles.load(stage, step + 1, (step + 1) % 2);
        } else {
          copy_wait<STAGES - 2>();
          sync_block();
          reading = reading + 1 == STAGES ? 0 : reading + 1;
          tiles.load(shared + reading * STAGE, 0, 0);
        }
        if (step == 0) {
          // All warps have left the stage before this one, at the barrier.
          copy.next(shared + writing * STAGE, shared + writing * STAGE + BM * BK);
          copy_commit();
          writing = writing + 1 == STAGES ? 0 : writing + 1;
        }
        tiles.multiply(step % 2);
      }
    }
    copy_wait<0>();
    sync_block();
    float* slab = reinterpret_cast<float*>(shared) + warp_id() * Ends::FLOATS;
    store_fragments<T, 32, NT * 8>(g, tiles.c, slab, rows, row + warp_id() / WN * (MT * 16), column + warp_id() % WN * (NT * 8));
  }
};

#define GEMM_TILES(T, suffix)                                                                                \
  KERNEL(256) gemm_128x256_##suffix(const Gemm<T> g) { GemmTile<T, 2, 4, 4, 8, 32, 4>::run(g); }             \
  REGISTER(gemm_128x256_##suffix)                                                                            \
  KERNEL(128) gemm_128x128_##suffix(const Gemm<T> g) { GemmTile<T, 2, 2, 4, 8, 32, 3>::run(g); }             \
  REGISTER(gemm_128x128_##suffix)                                                                            \
  KERNEL(128) gemm_64x64_##suffix(const Gemm<T> g) { GemmTile<T, 2, 2, 2, 4, 64, 3>::run(g); }               \
  REGISTER(gemm_64x64_##suffix)
GEMM_TILES(f16, f16)
GEMM_TILES(bf16, bf16)
