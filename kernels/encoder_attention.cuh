// Self-attention of the encoder: every position of a window sees every other. Tiles of queries against tiles of keys and values, the softmax
// carried along (Dao 2023, FlashAttention-2), so the scores never leave the chip.
//
// 16 bits: matrix instructions, weights rounded to T for the second product, sums in float32. Float: plain multiply-adds and expf.
#pragma once
#include "softmax_sums.cuh"

constexpr int ENCODER_QUERIES = 128;  // of a block
constexpr int ENCODER_KEYS = 64;      // of a tile
constexpr int ENCODER_THREADS = 128;  // a warp has 32 queries: what it loads of keys and values serves two matrix rows
/// A row's sums are kept relative to a score that lies at most 2^8 below its largest, so that most tiles need not rescale them.
constexpr float RESCALE_ABOVE = 8.0f;

/// Grid (ceil(nCtx / 128), nHead, batch).
template <class T>
DEVICE void encoder_attention(const T* qkv, T* out, int nCtx, int nHead) {
  constexpr int ROW = 8;  // pieces of 16 bytes of a key
  constexpr int TILE = ENCODER_KEYS * ROW;
  // [stage][keys, values][key][piece], piece p of key k at p ^ k % 8: no two of the 8 rows of a matrix share banks.
  SHARED(uint4, tiles, 4 * TILE);
  const int thread = static_cast<int>(threadIdx.x), lane = lane_id();
  const int firstQuery = static_cast<int>(blockIdx.x) * ENCODER_QUERIES + warp_id() * 32;
  const int width = nHead * HEAD, rowStride = 3 * width;
  const T* window = qkv + int64_t(blockIdx.z) * nCtx * rowStride + blockIdx.y * HEAD;

  // This thread copies piece `thread % 8` of keys `thread / 8` and each 16 further.
  const int piece = thread % ROW, copyRow = thread / ROW, copyTo = copyRow * ROW + (piece ^ copyRow % 8);
  const T* copyFrom = window + width + copyRow * rowStride + piece * 8;
  auto copy_tile = [&](int tile) {
    uint4* to = tiles + tile % 2 * 2 * TILE + copyTo;
    const T* from = copyFrom + int64_t(tile) * ENCODER_KEYS * rowStride;
    UNROLL for (int i = 0; i < 4; i++) {
      const bool inside = tile * ENCODER_KEYS + copyRow + i * 16 < nCtx;
      copy_async16(to + i * 16 * ROW, from + i * 16 * rowStride, inside);
      copy_async16(to + TILE + i * 16 * ROW, from + i * 16 * rowStride + width, inside);
    }
    copy_commit();
  };
  copy_tile(0);

  // query[m][k]: rows 16 * m.. of the warp's, numbers 16 * k...
  uint32_t query[2][4][4];
  UNROLL for (int m = 0; m < 2; m++)
    UNROLL for (int i = 0; i < 2; i++) {
      const int row = firstQuery + m * 16 + i * 8 + lane / 4;
      const uint32_t* from = reinterpret_cast<const uint32_t*>(window + int64_t(min(row, nCtx - 1)) * rowStride) + lane % 4;
      UNROLL for (int k = 0; k < 4; k++) query[m][k][i] = from[k * 8], query[m][k][i + 2] = from[k * 8 + 4];
    }
  float sum[2][8][4], base[2][2], total[2][2];
  UNROLL for (int m = 0; m < 2; m++) {
    UNROLL for (int n = 0; n < 8; n++) UNROLL for (int i = 0; i < 4; i++) sum[m][n][i] = 0.0f;
    UNROLL for (int i = 0; i < 2; i++) base[m][i] = NO_SCORE, total[m][i] = 0.0f;
  }
  // Where this lane points for four matrices: of keys, two of 8 keys by two pieces; of values, the same, the keys first.
  const int keyRow = (lane % 8 + lane / 16 * 8) * ROW, keyPiece = lane / 8 % 2 ^ lane % 8;
  const int valueRow = (lane % 8 + lane / 8 % 2 * 8) * ROW, valuePiece = lane / 16 ^ lane % 8;

  const int count = (nCtx + ENCODER_KEYS - 1) / ENCODER_KEYS;
  for (int tile = 0; tile < count; tile++) {
    copy_wait<0>();
    sync_block();  // the tile is there, and the one before has been used by all
    if (tile + 1 < count) copy_tile(tile + 1);
    const uint4* keys = tiles + tile % 2 * 2 * TILE;
    const uint4* values = keys + TILE;

    float score[2][8][4];
    UNROLL for (int m = 0; m < 2; m++) UNROLL for (int n = 0; n < 8; n++) UNROLL for (int i = 0; i < 4; i++) score[m][n][i] = 0.0f;
    UNROLL for (int k = 0; k < 4; k++)
      UNROLL for (int n = 0; n < 8; n += 2) {
        uint32_t key[4];
        load_matrices(key, keys + n * 8 * ROW + keyRow + (keyPiece ^ k * 2));
        UNROLL for (int m = 0; m < 2; m++) {
          multiply_16816<T>(score[m][n], query[m][k], {key[0], key[1]});
          multiply_16816<T>(score[m][n + 1], query[m][k], {key[2], key[3]});
        }
      }
    if ((tile + 1) * ENCODER_KEYS > nCtx) {
      UNROLL for (int n = 0; n < 8; n++)
        UNROLL for (int i = 0; i < 4; i++)
          if (tile * ENCODER_KEYS + n * 8 + lane % 4 * 2 + i % 2 >= nCtx) score[0][n][i] = score[1][n][i] = MASKED;
    }

    float largest[2][2];
    bool grew = false;
    UNROLL for (int m = 0; m < 2; m++)
      UNROLL for (int i = 0; i < 2; i++) {
        float now = fmaxf(score[m][0][2 * i], score[m][0][2 * i + 1]);
        UNROLL for (int n = 1; n < 8; n++) now = fmaxf(now, fmaxf(score[m][n][2 * i], score[m][n][2 * i + 1]));
        now = fmaxf(now, shuffle_xor(now, 1));
        now = fmaxf(now, shuffle_xor(now, 2)) * SCORE_SCALE<T>;
        largest[m][i] = now;
        grew = grew || now > base[m][i] + RESCALE_ABOVE;
      }
    if (lanes_where(grew) != 0) {
      UNROLL for (int m = 0; m < 2; m++)
        UNROLL for (int i = 0; i < 2; i++) {
          const float now = fmaxf(base[m][i], largest[m][i]), scale = exp2_fast(base[m][i] - now);
          base[m][i] = now;
          total[m][i] *= scale;
          UNROLL for (int n = 0; n < 8; n++) sum[m][n][2 * i] *= scale, sum[m][n][2 * i + 1] *= scale;
        }
    }

    UNROLL for (int k = 0; k < 4; k++) {
      uint32_t weights[2][4];
      UNROLL for (int m = 0; m < 2; m++)
        UNROLL for (int j = 0; j < 2; j++)
          UNROLL for (int i = 0; i < 2; i++) {
            const float first = exp2_fast(fmaf(score[m][2 * k + j][2 * i], SCORE_SCALE<T>, -base[m][i]));
            const float second = exp2_fast(fmaf(score[m][2 * k + j][2 * i + 1], SCORE_SCALE<T>, -base[m][i]));
            total[m][i] += first + second;
            weights[m][2 * j + i] = pack2<T>(first, second);
          }
      UNROLL for (int n = 0; n < 8; n += 2) {
        uint32_t value[4];
        load_matrices_transposed(value, values + k * 16 * ROW + valueRow + (valuePiece ^ n));
        UNROLL for (int m = 0; m < 2; m++) {
          multiply_16816<T>(sum[m][n], weights[m], {value[0], value[1]});
          multiply_16816<T>(sum[m][n + 1], weights[m], {value[2], value[3]});
        }
      }
    }
  }

  UNROLL for (int m = 0; m < 2; m++)
    UNROLL for (int i = 0; i < 2; i++) {
      total[m][i] += shuffle_xor(total[m][i], 1);
      total[m][i] += shuffle_xor(total[m][i], 2);
      const float scale = 1.0f / total[m][i];
      const int row = firstQuery + m * 16 + i * 8 + lane / 4;
      if (row < nCtx) {
        uint32_t* to = reinterpret_cast<uint32_t*>(out + (int64_t(blockIdx.z) * nCtx + row) * width + blockIdx.y * HEAD) + lane % 4;
        UNROLL for (int n = 0; n < 8; n++) to[n * 4] = pack2<T>(sum[m][n][2 * i] * scale, sum[m][n][2 * i + 1] * scale);
      }
    }
}

constexpr int EXACT_QUERIES = 64;
constexpr int EXACT_KEYS = 32;
constexpr int EXACT_THREADS = 256;

/// Exact mode. Grid (ceil(nCtx / 64), nHead, batch). Thread (x, y) of 16 by 16 has queries 4 * y.., of the scores keys x and 16 + x, of the output
/// numbers 4 * x...
DEVICE void encoder_attention_exact(const float* qkv, float* out, int nCtx, int nHead) {
  constexpr int ROW = HEAD + 4, WEIGHTS = EXACT_KEYS + 4;  // floats of a row in shared memory, apart from banks of the next
  SHARED(float, queries, EXACT_QUERIES* ROW);
  SHARED(float, keys, EXACT_KEYS* ROW);
  SHARED(float, values, EXACT_KEYS* ROW);
  SHARED(float, weights, EXACT_QUERIES* WEIGHTS);
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16, y = thread / 16;
  const int firstQuery = static_cast<int>(blockIdx.x) * EXACT_QUERIES, width = nHead * HEAD, rowStride = 3 * width;
  const float* window = qkv + int64_t(blockIdx.z) * nCtx * rowStride + blockIdx.y * HEAD;
  auto row_of = [](const float* row, int i) { return *reinterpret_cast<const float4*>(row + i); };
  for (int row = y; row < EXACT_QUERIES; row += 16)
    *reinterpret_cast<float4*>(queries + row * ROW + x * 4) = row_of(window + int64_t(min(firstQuery + row, nCtx - 1)) * rowStride, x * 4);

  float sum[4][4], largest[4], total[4];
  UNROLL for (int i = 0; i < 4; i++) {
    UNROLL for (int e = 0; e < 4; e++) sum[i][e] = 0.0f;
    largest[i] = NO_SCORE, total[i] = 0.0f;
  }
  for (int first = 0; first < nCtx; first += EXACT_KEYS) {
    sync_block();
    for (int row = y; row < EXACT_KEYS; row += 16) {
      const float* from = window + int64_t(min(first + row, nCtx - 1)) * rowStride + width;
      *reinterpret_cast<float4*>(keys + row * ROW + x * 4) = row_of(from, x * 4);
      *reinterpret_cast<float4*>(values + row * ROW + x * 4) = row_of(from + width, x * 4);
    }
    sync_block();
    float score[4][2];
    UNROLL for (int i = 0; i < 4; i++) score[i][0] = score[i][1] = 0.0f;
    UNROLL for (int e = 0; e < HEAD; e += 4) {
      const float4 key[2] = {row_of(keys + x * ROW, e), row_of(keys + (16 + x) * ROW, e)};
      UNROLL for (int i = 0; i < 4; i++) {
        const float4 query = row_of(queries + (4 * y + i) * ROW, e);
        UNROLL for (int j = 0; j < 2; j++)
          score[i][j] = fmaf(query.w, key[j].w, fmaf(query.z, key[j].z, fmaf(query.y, key[j].y, fmaf(query.x, key[j].x, score[i][j]))));
      }
    }
    UNROLL for (int i = 0; i < 4; i++) {
      UNROLL for (int j = 0; j < 2; j++) score[i][j] = first + 16 * j + x < nCtx ? score[i][j] * 0.125f : MASKED;
      float now = fmaxf(score[i][0], score[i][1]);
      UNROLL for (int mask = 1; mask < 16; mask <<= 1) now = fmaxf(now, shuffle_xor(now, mask));
      now = fmaxf(now, largest[i]);
      const float scale = expf(largest[i] - now);
      largest[i] = now;
      UNROLL for (int j = 0; j < 2; j++) weights[(4 * y + i) * WEIGHTS + 16 * j + x] = score[i][j] = expf(score[i][j] - now);
      total[i] = fmaf(total[i], scale, score[i][0] + score[i][1]);
      UNROLL for (int e = 0; e < 4; e++) sum[i][e] *= scale;
    }
    sync_warp();  // the 16 threads of a row lie in one warp
    UNROLL for (int t = 0; t < EXACT_KEYS; t += 4) {
      const float4 value[4] = {row_of(values + t * ROW, x * 4), row_of(values + (t + 1) * ROW, x * 4), row_of(values + (t + 2) * ROW, x * 4),
                               row_of(values + (t + 3) * ROW, x * 4)};
      UNROLL for (int i = 0; i < 4; i++) {
        const float4 weight = row_of(weights + (4 * y + i) * WEIGHTS, t);
        const float of[4] = {weight.x, weight.y, weight.z, weight.w};
        UNROLL for (int j = 0; j < 4; j++) {
          sum[i][0] = fmaf(of[j], value[j].x, sum[i][0]);
          sum[i][1] = fmaf(of[j], value[j].y, sum[i][1]);
          sum[i][2] = fmaf(of[j], value[j].z, sum[i][2]);
          sum[i][3] = fmaf(of[j], value[j].w, sum[i][3]);
        }
      }
    }
    sync_warp();
  }
  UNROLL for (int i = 0; i < 4; i++) {
    UNROLL for (int mask = 1; mask < 16; mask <<= 1) total[i] += shuffle_xor(total[i], mask);
    const int row = firstQuery + 4 * y + i;
    const float scale = 1.0f / total[i];
    if (row < nCtx)
      *reinterpret_cast<float4*>(out + (int64_t(blockIdx.z) * nCtx + row) * width + blockIdx.y * HEAD + x * 4) =
          make_float4(sum[i][0] * scale, sum[i][1] * scale, sum[i][2] * scale, sum[i][3] * scale);
  }
}

KERNEL(EXACT_THREADS) encoder_attention_f32(const float* qkv, float* out, int nCtx, int nHead) { encoder_attention_exact(qkv, out, nCtx, nHead); }
REGISTER(encoder_attention_f32)
KERNEL(ENCODER_THREADS) encoder_attention_f16(const f16* qkv, f16* out, int nCtx, int nHead) { encoder_attention(qkv, out, nCtx, nHead); }
REGISTER(encoder_attention_f16)
KERNEL(ENCODER_THREADS) encoder_attention_bf16(const bf16* qkv, bf16* out, int nCtx, int nHead) { encoder_attention(qkv, out, nCtx, nHead); }
REGISTER(encoder_attention_bf16)
