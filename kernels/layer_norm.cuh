// LayerNorm of the float32 residual stream: one warp a row, which holds the row in its registers, so that it is read once and the
// statistics take two passes (mean, then squares of the distance from it) as the reference does.
#pragma once
#include "rows.cuh"
#include "vectors.cuh"

/// Fours of a row that a lane holds: rows of up to 10 * 32 * 4 = 1280 numbers, the largest model's.
constexpr int NORM_FOURS = 10;

/// out row i = LayerNorm of x row rowIndex[i] (of row i where rowIndex is null). size: a multiple of 4, at most 1280.
/// Grid: ceil(rows / warps of a block).
///
/// A step of the decoder waits for this kernel a hundred times, so there is one wait for memory: all is asked for before anything is used,
/// and only at the end is it asked whether the row counts. All rows of x can be read, whatever they hold.
template <class T>
DEVICE void layer_norm(const float* __restrict__ x, const float* __restrict__ weight, const float* __restrict__ bias, T* __restrict__ out,
                       const int* rowIndex, const int* rowCount, int rows, int size) {
  const int row = static_cast<int>(blockIdx.x * (blockDim.x / 32)) + warp_id();
  if (row >= rows) return;
  const int count = live_rows(rows, rowCount);
  const int source = rowIndex == nullptr ? row : row < count ? rowIndex[row] : 0;
  x += static_cast<int64_t>(source) * size;
  out += static_cast<int64_t>(row) * size;

  const float4 zero = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  float4 v[NORM_FOURS], w[NORM_FOURS], b[NORM_FOURS];
  UNROLL for (int i = 0; i < NORM_FOURS; i++) {
    const int at = (i * 32 + lane_id()) * 4;
    v[i] = at < size ? load4(x + at) : zero;
    w[i] = at < size ? load4(weight + at) : zero;
    b[i] = at < size ? load4(bias + at) : zero;
  }

  float sum = 0.0f;
  UNROLL for (int i = 0; i < NORM_FOURS; i++) sum += (v[i].x + v[i].y) + (v[i].z + v[i].w);
  const float mean = warp_sum(sum) / static_cast<float>(size);

  float squares = 0.0f;
  UNROLL for (int i = 0; i < NORM_FOURS; i++) {
    if ((i * 32 + lane_id()) * 4 >= size) continue;
    v[i] = make_float4(v[i].x - mean, v[i].y - mean, v[i].z - mean, v[i].w - mean);
    squares += (v[i].x * v[i].x + v[i].y * v[i].y) + (v[i].z * v[i].z + v[i].w * v[i].w);
  }
  const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(size) + 1e-5f);

  if (row >= count) return;
  UNROLL for (int i = 0; i < NORM_FOURS; i++) {
    const int at = (i * 32 + lane_id()) * 4;
    if (at >= size) continue;
    store4(out + at, make_float4(v[i].x * scale * w[i].x + b[i].x, v[i].y * scale * w[i].y + b[i].y, v[i].z * scale * w[i].z + b[i].z,
                                 v[i].w * scale * w[i].w + b[i].w));
  }
}

#define LAYER_NORM(T, suffix)                                                                                                       \
  KERNEL(128)                                                                                                                       \
  layer_norm_##suffix(const float* x, const float* weight, const float* bias, T* out, const int* rowIndex, const int* rowCount,     \
                      int rows, int size) {                                                                                         \
    layer_norm<T>(x, weight, bias, out, rowIndex, rowCount, rows, size);                                                            \
  }                                                                                                                                 \
  REGISTER(layer_norm_##suffix)

LAYER_NORM(float, f32)
LAYER_NORM(f16, f16)
LAYER_NORM(bf16, bf16)
