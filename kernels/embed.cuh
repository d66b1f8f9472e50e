// The decoder's first layer: tokens and their positions.
#pragma once
#include "rows.cuh"
#include "vectors.cuh"

/// x row = embedding of its token + of its position, in float32; and places says that the slot itself wrote that position of its
/// caches. size: a multiple of 4. Grid: rows.
template <class T>
DEVICE void embed(const int* rowToken, const int* rowPosition, const int* rowSlot, const int* rowCount, const T* tokenEmbedding,
                  const float* positionalEmbedding, float* x, int* places, int rows, int size, int nTextCtx) {
  const int row = static_cast<int>(blockIdx.x);
  if (row >= live_rows(rows, rowCount)) return;
  const int position = rowPosition[row];
  tokenEmbedding += static_cast<int64_t>(rowToken[row]) * size;
  positionalEmbedding += static_cast<int64_t>(position) * size;
  x += static_cast<int64_t>(row) * size;
  for (int at = static_cast<int>(threadIdx.x) * 4; at < size; at += static_cast<int>(blockDim.x) * 4) {
    const float4 token = load4(tokenEmbedding + at), place = load4(positionalEmbedding + at);
    store4(x + at, make_float4(token.x + place.x, token.y + place.y, token.z + place.z, token.w + place.w));
  }
  if (threadIdx.x == 0) {
    const int slot = rowSlot[row];
    places[static_cast<int64_t>(slot) * nTextCtx + position] = slot;
  }
}

#define EMBED(T, suffix)                                                                                                            \
  KERNEL(128)                                                                                                                       \
  embed_##suffix(const int* rowToken, const int* rowPosition, const int* rowSlot, const int* rowCount, const T* tokenEmbedding,     \
                 const float* positionalEmbedding, float* x, int* places, int rows, int size, int nTextCtx) {                       \
    embed<T>(rowToken, rowPosition, rowSlot, rowCount, tokenEmbedding, positionalEmbedding, x, places, rows, size, nTextCtx);       \
  }                                                                                                                                 \
  REGISTER(embed_##suffix)

EMBED(float, f32)
EMBED(f16, f16)
EMBED(bf16, bf16)
