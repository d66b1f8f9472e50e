// Probabilities of known tokens.
#pragma once
#include "logits.cuh"

/// out[row] = softmax(logits[row][0 ... limit - 1])[ids[row]]. Grid: rows.
KERNEL(1024)
token_probabilities(const float* logits, const int* ids, float* out, int rows, int nVocab, int limit) {
  const int row = static_cast<int>(blockIdx.x);
  if (row >= rows) return;
  logits += static_cast<int64_t>(row) * nVocab;
  Best best[1] = {best_of_share(logits, {0, limit, nullptr, nullptr, -1})};
  best_of_block(best);
  if (threadIdx.x == 0) out[row] = expf(logits[ids[row]] - best[0].top) / best[0].sum;
}
REGISTER(token_probabilities)
