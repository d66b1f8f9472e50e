// Scores of one cross-attention head, before the softmax: what word times are aligned by.
#pragma once
#include "softmax_sums.cuh"

constexpr int SCORES_THREADS = 128;

/// scores[row][t] = q · k / 8 of every key. Grid (any, rows): the blocks of a row share its keys, 64 (float: 32) of them at a time.
template <class T>
DEVICE void attention_scores(const T* q, const uint64_t* slotAudio, int64_t layerOffset, const int* rowSlot, float* scores, int rows, int head, int nHead,
                             int nCtx) {
  using L = Lanes<T>;
  constexpr int WARPS = SCORES_THREADS / 32;
  const int row = static_cast<int>(blockIdx.y), warp = static_cast<int>(blockIdx.x) * WARPS + warp_id();
  if (row >= rows) return;
  const T* keys = reinterpret_cast<const T*>(slotAudio[rowSlot[row]]) + layerOffset + int64_t(head) * nCtx * HEAD;
  const int chunk = lane_id() % L::OF_ROW, part = lane_id() / L::OF_ROW;
  float query[1][L::NUMBERS];
  unpack16<T>(query[0], *reinterpret_cast<const uint4*>(q + (int64_t(row) * nHead + head) * HEAD + chunk * L::NUMBERS));
  for (int first = warp * L::KEYS; first < nCtx; first += static_cast<int>(gridDim.x) * WARPS * L::KEYS) {
    uint4 tile[L::LOADS];
    UNROLL for (int j = 0; j < L::LOADS; j++)
      tile[j] = *reinterpret_cast<const uint4*>(keys + min(first + j * L::ROWS + part, nCtx - 1) * HEAD + chunk * L::NUMBERS);
    float score[1][L::LOADS];
    score_tile<T, 1>(score, query, tile);
    UNROLL for (int j = 0; j < L::LOADS; j++) {
      const int t = first + j * L::ROWS + part;
      if (chunk == 0 && t < nCtx) scores[int64_t(row) * nCtx + t] = score[0][j] * 0.125f;
    }
  }
}

#define ATTENTION_SCORES(T, suffix)                                                                                                                   \
  KERNEL(SCORES_THREADS)                                                                                                                              \
  attention_scores_##suffix(const T* q, const uint64_t* slotAudio, int64_t layerOffset, const int* rowSlot, float* scores, int rows, int head,        \
                            int nHead, int nCtx) {                                                                                                    \
    attention_scores<T>(q, slotAudio, layerOffset, rowSlot, scores, rows, head, nHead, nCtx);                                                         \
  }                                                                                                                                                   \
  REGISTER(attention_scores_##suffix)
ATTENTION_SCORES(float, f32)
ATTENTION_SCORES(f16, f16)
ATTENTION_SCORES(bf16, bf16)
#undef ATTENTION_SCORES
