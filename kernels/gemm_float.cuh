// Products of float numbers in plain float arithmetic: exact mode, and the Fourier and mel steps of log-Mel; tiles, and the step of the rows kernels.
//
// Tiles make each sum in the order of k. A warp has 4 * ROWS rows by 64 columns of a tile, a lane every fourth row and every eighth column of them, and reads four k at once.
#pragma once
#include "gemm_rows.cuh"

template <int WM, int WN, int ROWS, int STAGES>
struct FloatTile {
  static constexpr int BK = 16, PITCH = BK + 4;   // eight rows at the same k lie in all 32 banks
  static constexpr int WARP_M = 4 * ROWS, BM = WM * WARP_M, BN = WN * 64, THREADS = WM * WN * 32;
  static constexpr int STAGE = (BM + BN) * PITCH;
  static constexpr int CHUNKS = BK / 4, STEP = THREADS / CHUNKS;
  static constexpr int COPIES_A = BM / STEP, COPIES_W = BN / STEP;
  using Ends = Slab<float, 16, 64>;
  static_assert(BM % STEP == 0 && BN % STEP == 0 && WM * WN * Ends::FLOATS <= STAGES * STAGE, "no such tile");

  const float* a[COPIES_A];
  const float* w;
  int64_t wStep;
  uint32_t inside;   // bit i: row i of a exists; bit 16 + i: of w
  int k, chunk, place;

  DEVICE FloatTile(const Gemm<float>& g, int rows, int row, int column) {
    int first = static_cast<int>(threadIdx.x) / CHUNKS;
    chunk = static_cast<int>(threadIdx.x) % CHUNKS * 4;
    place = first * PITCH + chunk;
    k = g.k;
    inside = 0;
    UNROLL for (int i = 0; i < COPIES_A; i++) {
      int r = row + first + i * STEP;
      bool exists = r < rows;
      inside |= exists ? 1u << i : 0u;
      a[i] = g.a + (exists ? row_offset(g, r) : 0) + chunk;
    }
    UNROLL for (int i = 0; i < COPIES_W; i++) inside |= column + first + i * STEP < g.n ? 1u << (16 + i) : 0u;
    w = g.w + (inside >> 16 == 0 ? 0 : static_cast<int64_t>(column + first) * g.k) + chunk;
    wStep = static_cast<int64_t>(STEP) * g.k;
  }

  /// Begins the copies of the next step of k; zeros beyond the edges.
  DEVICE void next(float* stage) {
    bool within = chunk < k;
    UNROLL for (int i = 0; i < COPIES_A; i++) {
      copy_async16(stage + place + i * STEP * PITCH, a[i], within && (inside >> i & 1) != 0);
      a[i] += BK;
    }
    UNROLL for (int i = 0; i < COPIES_W; i++) copy_async16(stage + (BM + i * STEP) * PITCH + place, w + i * wStep, within && (inside >> (16 + i) & 1) != 0);
    w += BK;
    chunk += BK;
  }

  DEVICE static void run(const Gemm<float>& g) {
    float* shared = dynamic_shared<float>();
    int rows = live_rows(g);
    int tilesM = ceil_div(rows, BM), tilesN = ceil_div(g.n, BN);
    int number = static_cast<int>(blockIdx.x);
    if (number >= tilesM * tilesN) return;
    TilePlace tile = tile_place(number, tilesM, tilesN);
    int row = tile.m * BM, column = tile.n * BN;
    int rowInTile = warp_id() / WN * WARP_M, columnInTile = warp_id() % WN * 64;

    FloatTile copy(g, rows, row, column);
    int count = ceil_div(g.k, BK);
    UNROLL for (int s = 0; s < STAGES - 1; s++) {
      copy.next(shared + s * STAGE);
      copy_commit();
    }
    float c[ROWS][8];
    UNROLL for (int i = 0; i < ROWS; i++) {
      UNROLL for (int j = 0; j < 8; j++) c[i][j] = 0.0f;
    }
    int placeA = (rowInTile + lane_id() / 8) * PITCH, placeW = (BM + columnInTile + lane_id() % 8) * PITCH;
    int reading = 0, writing = STAGES - 1;
    for (int step = 0; step < count; step++) {
      copy_wait<STAGES - 2>();
      // Now the copies are there, and all warps have left the stage that is written next.
      sync_block();
      copy.next(shared + writing * STAGE);
      copy_commit();
      writing = writing + 1 == STAGES ? 0 : writing + 1;
      const float* fromA = shared + reading * STAGE + placeA;
      const float* fromW = shared + reading * STAGE + placeW;
      reading = reading + 1 == STAGES ? 0 : reading + 1;
      UNROLL for (int four = 0; four < BK; four += 4) {
        float4 x[ROWS];
        UNROLL for (int i = 0; i < ROWS; i++) x[i] = *reinterpret_cast<const float4*>(fromA + i * 4 * PITCH + four);
        UNROLL for (int j = 0; j < 8; j++) {
          float4 y = *reinterpret_cast<const float4*>(fromW + j * 8 * PITCH + four);
          UNROLL for (int i = 0; i < ROWS; i++) {
            c[i][j] += x[i].x * y.x;
            c[i][j] += x[i].y * y.y;
            c[i][j] += x[i].z * y.z;
            c[i][j] += x[i].w * y.w;
          }
        }
      }
    }
    copy_wait<0>();
    sync_block();
    float* mine = shared + warp_id() * Ends::FLOATS;
    float* to = mine + lane_id() / 8 * slab_pitch(64) + lane_id() % 8;
    Ends slab(g, mine, rows);
    UNROLL for (int top = 0; top < ROWS; top += 4) {
      slab.store(row + rowInTile + 4 * top, column + columnInTile, [&] {
        UNROLL for (int i = 0; i < 4; i++) {
          UNROLL for (int j = 0; j < 8; j++) to[i * 4 * slab_pitch(64) + 8 * j] = c[top + i][j];
        }
      });
    }
  }
};

KERNEL(256) gemm_128x128_f32(const Gemm<float> g) { FloatTile<4, 2, 8, 3>::run(g); }
REGISTER(gemm_128x128_f32)
KERNEL(128) gemm_64x64_f32(const Gemm<float> g) { FloatTile<4, 1, 4, 3>::run(g); }
REGISTER(gemm_64x64_f32)

/// The step of few rows: a lane multiplies 4 numbers of rows g and g + 8 of w with those of all rows of a, and the four lanes of a g add up in the end.
template <int NT>
struct RowsStep<float, 1, NT> {
  static constexpr int K = 64, PADDING = 32;
  struct Sums {
    float c[2][NT][8];   // [row g | g + 8 of w][.][row of a]
  };
  struct Collected {
    float c[1][NT][4];
  };

  float4 w[2][4];

  DEVICE static RowsPlace<float> place(const Gemm<float>& g, int column, int k, int kEnd) {
    int row = column + lane_id() / 4;
    k += lane_id() % 4 * 4;
    return {g.w + static_cast<int64_t>(row) * g.k + k, g.n - row, kEnd - k};
  }

  DEVICE void load(const RowsPlace<float>& from, int64_t eightRows, int ahead) {
    UNROLL for (int i = 0; i < 2; i++) {
      UNROLL for (int quarter = 0; quarter < 4; quarter++) {
        bool inside = i * 8 < from.rows && ahead + quarter * 16 < from.numbers;
        uint4 four = inside ? load_stream(from.w + i * eightRows + ahead + quarter * 16) : make_uint4(0, 0, 0, 0);
        w[i][quarter] = make_float4(float_of(four.x), float_of(four.y), float_of(four.z), float_of(four.w));
      }
    }
  }

  DEVICE void multiply(Sums& sums, const float* rows, int pitch) const {
    rows += lane_id() % 4 * 4;
    UNROLL for (int quarter = 0; quarter < 4; quarter++) {
      UNROLL for (int j = 0; j < NT * 8; j++) {
        float4 x = *reinterpret_cast<const float4*>(rows + j * pitch + quarter * 16);
        UNROLL for (int i = 0; i < 2; i++) {
          float4 y = w[i][quarter];
          float& sum = sums.c[i][j / 8][j % 8];
          sum += y.x * x.x;
          sum += y.y * x.y;
          sum += y.z * x.z;
          sum += y.w * x.w;
        }
      }
    }
  }

  DEVICE static void clear(Sums& sums) {
    UNROLL for (int i = 0; i < 2; i++) {
      UNROLL for (int j = 0; j < NT * 8; j++) sums.c[i][j / 8][j % 8] = 0.0f;
    }
  }

  DEVICE static Collected collect(const Sums& sums) {
    bool upper = (lane_id() & 2) != 0, odd = (lane_id() & 1) != 0;
    Collected to;
    UNROLL for (int i = 0; i < 2; i++) {
      UNROLL for (int j = 0; j < NT; j++) {
        // Lanes 2 apart exchange halves of 4 rows of a, neighbours halves of 2: lane t ends with rows 2 t and 2 t + 1.
        const float(&c)[8] = sums.c[i][j];
        float four[4], two[2];
        UNROLL for (int e = 0; e < 4; e++) four[e] = (upper ? c[e + 4] : c[e]) + shuffle_xor(upper ? c[e] : c[e + 4], 2);
        UNROLL for (int e = 0; e < 2; e++) two[e] = (odd ? four[e + 2] : four[e]) + shuffle_xor(odd ? four[e] : four[e + 2], 1);
        to.c[0][j][2 * i] = two[0], to.c[0][j][2 * i + 1] = two[1];
      }
    }
    return to;
  }
};

KERNEL(256, 1) gemm_rows8_f32(const Gemm<float> g) { GemmRows<float, 1, 1, 1, 8, 2>::run(g); }
REGISTER(gemm_rows8_f32)
KERNEL(256, 1) gemm_rows16_f32(const Gemm<float> g) { GemmRows<float, 1, 2, 1, 8, 2>::run(g); }
REGISTER(gemm_rows16_f32)
KERNEL(256, 1) gemm_rows32_f32(const Gemm<float> g) { GemmRows<float, 1, 4, 1, 8, 1>::run(g); }
REGISTER(gemm_rows32_f32)
