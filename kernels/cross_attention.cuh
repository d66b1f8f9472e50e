// Attention of decoder rows to the audio: each step of each sequence reads all keys and values of its window, the largest cost of decoding.
// They are read once for all rows of a group (one row, or up to 8 that listen to the same window), straight into registers.
//
// The blocks of the grid share the work of the groups that are live: as groups finish, the windows of the others are split further. The last
// block of a (group, head) to arrive merges the parts in their order.
#pragma once
#include "softmax_sums.cuh"

constexpr int CROSS_THREADS = 256;
constexpr int CROSS_WARPS = CROSS_THREADS / 32;
/// A window is split so far that each lane of a warp still has a number of a part's.
constexpr int MOST_PARTS = 32;

/// Keys and values of one head of a window, [nCtx][64] each.
template <class T>
struct CrossSource {
  const T* keys;
  const T* values;

  DEVICE uint4 key(int t, int chunk) const { return load_stream(keys + t * HEAD + chunk * Lanes<T>::NUMBERS); }
  DEVICE uint4 value(int t, int chunk) const { return load_stream(values + t * HEAD + chunk * Lanes<T>::NUMBERS); }
};

/// What one warp finds in its keys of first..end, for each row of the group: `states` [ROWS][STATE]. The plain form, in float32.
template <class T, int ROWS>
struct CrossWarp {
  static DEVICE void attend(const T* q, int rows, int rowStride, const CrossSource<T>& source, int first, int end, float* states) {
    Sums<T, ROWS> sums;
    UNROLL for (int r = 0; r < ROWS; r++) start_sums(sums, r, q + r * rowStride, r < rows);
    add_keys(sums, source, first + warp_id() * Lanes<T>::KEYS, end, CROSS_WARPS * Lanes<T>::KEYS);
    store_sums(sums, states);
  }
};

/// The same for 8 rows in 16 bits, by matrix instructions: rows 0..7 of 16 are the queries, the others zeros. A product may take its columns in any
/// order that both factors share, so fragments are loaded as 16 bytes a lane and no shared memory is passed.
template <class T>
DEVICE void attend_by_matrices(const T* q, int rows, int rowStride, const CrossSource<T>& source, int first, int end, float* states) {
  constexpr int KEYS = 16;
  const int row = lane_id() / 4, quad = lane_id() % 4;
  // Lane (row, quad) holds numbers 8 * quad.. and 32 + 8 * quad.. of its query, and of the keys `row` and 8 + `row` of a tile.
  uint4 query[2] = {make_uint4(0, 0, 0, 0), make_uint4(0, 0, 0, 0)};
  if (row < rows)
    UNROLL for (int h = 0; h < 2; h++) query[h] = *reinterpret_cast<const uint4*>(q + row * rowStride + (h * 4 + quad) * 8);
  float sum[8][4];  // [i][0], [i][1]: numbers 16 * quad + i and 16 * quad + 8 + i of `row`
  UNROLL for (int i = 0; i < 8; i++) UNROLL for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
  float largest = NO_SCORE, total = 0.0f;

  uint4 keys[2][2], values[4];
  auto load_keys = [&](int tile) {
    UNROLL for (int n = 0; n < 2; n++) UNROLL for (int h = 0; h < 2; h++) keys[n][h] = source.key(min(tile + n * 8 + row, end - 1), h * 4 + quad);
  };
  // Lane (row, quad) holds numbers 8 * row.. of the values 2 * quad, 2 * quad + 1 and 8 further.
  auto load_values = [&](int tile) {
    UNROLL for (int k = 0; k < 4; k++) values[k] = source.value(min(tile + k / 2 * 8 + quad * 2 + k % 2, end - 1), row);
  };
  first += warp_id() * KEYS;
  if (first < end) {
    load_keys(first);
    load_values(first);
  }
  for (int tile = first; tile < end; tile += CROSS_WARPS * KEYS) {
    const int next = tile + CROSS_WARPS * KEYS;
    float score[2][4];  // [n][0], [n][1]: keys 8 * n + 2 * quad and the next, of `row`
    UNROLL for (int n = 0; n < 2; n++) {
      UNROLL for (int j = 0; j < 4; j++) score[n][j] = 0.0f;
      UNROLL for (int h = 0; h < 2; h++) {
        multiply_16816<T>(score[n], {query[h].x, 0, query[h].y, 0}, {keys[n][h].x, keys[n][h].y});
        multiply_16816<T>(score[n], {query[h].z, 0, query[h].w, 0}, {keys[n][h].z, keys[n][h].w});
      }
    }
    if (next < end) load_keys(next);
    UNROLL for (int n = 0; n < 2; n++)
      UNROLL for (int j = 0; j < 2; j++) score[n][j] = tile + n * 8 + quad * 2 + j < end ? score[n][j] * SCORE_SCALE<T> : MASKED;
    float now = fmaxf(fmaxf(score[0][0], score[0][1]), fmaxf(score[1][0], score[1][1]));
    now = fmaxf(now, shuffle_xor(now, 1));
    now = fmaxf(fmaxf(now, shuffle_xor(now, 2)), largest);
    const float scale = weight_of<T>(largest - now);
    largest = now;
    UNROLL for (int n = 0; n < 2; n++) UNROLL for (int j = 0; j < 2; j++) score[n][j] = weight_of<T>(score[n][j] - now);
    total = fmaf(total, scale, (score[0][0] + score[0][1]) + (score[1][0] + score[1][1]));
    UNROLL for (int i = 0; i < 8; i++) sum[i][0] *= scale, sum[i][1] *= scale;

    const uint32_t weights[4] = {pack2<T>(score[0][0], score[0][1]), 0, pack2<T>(score[1][0], score[1][1]), 0};
    UNROLL for (int i = 0; i < 8; i++) {
      uint32_t pair[2];
      UNROLL for (int k = 0; k < 2; k++) {
        const uint4 &a = values[2 * k], &b = values[2 * k + 1];
        const uint32_t low = i / 2 == 0 ? a.x : i / 2 == 1 ? a.y : i / 2 == 2 ? a.z : a.w;
        const uint32_t high = i / 2 == 0 ? b.x : i / 2 == 1 ? b.y : i / 2 == 2 ? b.z : b.w;
        pair[k] = i % 2 == 0 ? (low & 0xffffu) | high << 16 : low >> 16 | (high & 0xffff0000u);
      }
      multiply_16816<T>(sum[i], weights, pair);
    }
    if (next < end) load_values(next);
  }
  total += shuffle_xor(total, 1);
  total += shuffle_xor(total, 2);
  float* state = states + row * STATE;
  UNROLL for (int i = 0; i < 8; i++) state[quad * 16 + i] = sum[i][0], state[quad * 16 + 8 + i] = sum[i][1];
  if (quad == 0) state[HEAD] = largest, state[HEAD + 1] = total;
}
template <>
struct CrossWarp<f16, 8> {
  static DEVICE void attend(const f16* q, int rows, int rowStride, const CrossSource<f16>& source, int first, int end, float* states) {
    attend_by_matrices<f16>(q, rows, rowStride, source, first, end, states);
  }
};
template <>
struct CrossWarp<bf16, 8> {
  static DEVICE void attend(const bf16* q, int rows, int rowStride, const CrossSource<bf16>& source, int first, int end, float* states) {
    attend_by_matrices<bf16>(q, rows, rowStride, source, first, end, states);
  }
};

/// Group g is rows groupFirst[g].. + groupRows[g], at most ROWS, all listening to the window of the first. Grid (nHead, groups, splits).
/// partials: [groups * nHead * splits][ROWS][STATE]; counters: [groups * nHead], zeros between launches.
template <class T, int ROWS>
DEVICE void cross_attention(const T* q, const uint64_t* slotAudio, int64_t layerOffset, const int* rowSlot, const int* groupFirst, const int* groupRows,
                            const int* groupCount, T* out, float* partials, int* counters, int groups, int nHead, int nCtx, int splits) {
  constexpr int BLOCK_KEYS = CROSS_WARPS * Lanes<T>::KEYS;
  SHARED(float, states, CROSS_WARPS* ROWS* STATE);
  SHARED(int, arrived, 4);
  const int thread = static_cast<int>(threadIdx.x);
  const int pairs = (groupCount ? min(groups, *groupCount) : groups) * nHead;
  if (pairs <= 0) return;
  const int parts = max(1, min(min(groups * nHead * splits / pairs, MOST_PARTS), (nCtx + BLOCK_KEYS - 1) / BLOCK_KEYS));
  const int block = static_cast<int>(blockIdx.x + nHead * (blockIdx.y + groups * blockIdx.z));
  const int pair = block % pairs, part = block / pairs;
  if (part >= parts) return;
  const int head = pair % nHead, group = pair / nHead;
  const int firstRow = groupFirst[group], rows = ROWS == 1 ? 1 : min(ROWS, groupRows[group]), rowStride = nHead * HEAD;

  const T* window = reinterpret_cast<const T*>(slotAudio[rowSlot[firstRow]]) + layerOffset;
  const CrossSource<T> source = {window + int64_t(head) * nCtx * HEAD, window + int64_t(nHead + head) * nCtx * HEAD};
  const int length = (nCtx + parts - 1) / parts;
  const int64_t rowOffset = int64_t(firstRow) * rowStride + head * HEAD;
  CrossWarp<T, ROWS>::attend(q + rowOffset, rows, rowStride, source, part * length, min(nCtx, (part + 1) * length), states + warp_id() * ROWS * STATE);
  sync_block();

  float* partial = partials + int64_t(pair) * parts * ROWS * STATE;
  for (int i = thread; i < rows * HEAD; i += CROSS_THREADS) {
    const int r = i / HEAD, e = i % HEAD;
    float largest, total;
    const float sum = merge_states<T>(states + r * STATE, CROSS_WARPS, ROWS * STATE, e, largest, total);
    if (parts == 1) {
      out[rowOffset + r * rowStride + e] = from_float<T>(sum / total);
    } else {
      float* state = partial + (part * ROWS + r) * STATE;
      state[e] = sum;
      if (e == 0) state[HEAD] = largest, state[HEAD + 1] = total;
    }
  }
  if (parts == 1) return;

  // One thread's fence speaks for the block: the barrier before it has ordered the others' writes.
  sync_block();
  if (thread == 0) {
    fence_device();
    arrived[0] = atomic_add(counters + pair, 1);
    fence_device();
  }
  sync_block();
  if (arrived[0] != parts - 1) return;
  if (thread == 0) counters[pair] = 0;
  // A warp for half a row; lane i has the largest score and the sum of weights of part i.
  for (int half = warp_id(); half < rows * 2; half += CROSS_WARPS) {
    const float* state = partial + half / 2 * STATE;
    const bool present = lane_id() < parts;
    const float mine = present ? load_fresh(state + lane_id() * ROWS * STATE + HEAD) : NO_SCORE;
    const float weights = present ? load_fresh(state + lane_id() * ROWS * STATE + HEAD + 1) : 0.0f;
    const float scale = weight_of<T>(mine - warp_max(mine));
    const float total = warp_sum(weights * scale);
    const int e = half % 2 * 32 + lane_id();
    float sum = 0.0f;
    for (int i = 0; i < parts; i++) sum = fmaf(load_fresh(state + i * ROWS * STATE + e), shuffle(scale, i), sum);
    out[rowOffset + half / 2 * rowStride + e] = from_float<T>(sum / total);
  }
}

#define CROSS_ATTENTION(T, suffix, ROWS)                                                                                                              \
  KERNEL(CROSS_THREADS)                                                                                                                               \
  cross_attention##ROWS##_##suffix(const T* q, const uint64_t* slotAudio, int64_t layerOffset, const int* rowSlot, const int* groupFirst,             \
                                   const int* groupRows, const int* groupCount, T* out, float* partials, int* counters, int groups, int nHead,        \
                                   int nCtx, int splits) {                                                                                            \
    cross_attention<T, ROWS>(q, slotAudio, layerOffset, rowSlot, groupFirst, groupRows, groupCount, out, partials, counters, groups, nHead, nCtx,     \
                             splits);                                                                                                                 \
  }                                                                                                                                                   \
  REGISTER(cross_attention##ROWS##_##suffix)
CROSS_ATTENTION(float, f32, 1)
CROSS_ATTENTION(f16, f16, 1)
CROSS_ATTENTION(bf16, bf16, 1)
CROSS_ATTENTION(float, f32, 8)
CROSS_ATTENTION(f16, f16, 8)
CROSS_ATTENTION(bf16, bf16, 8)
#undef CROSS_ATTENTION
