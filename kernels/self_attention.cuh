// Attention of decoder rows to their own past, and the append of their keys and values to the cache.
//
// The cache of a layer is [2][slots][nHead][nTextCtx][64], keys then values. Position t of a slot was written by slot places[slot][t]: beams
// share what they have in common, and a reorder permutes places alone.
#pragma once
#include "softmax_sums.cuh"

constexpr int SELF_THREADS = 128;
/// Positions that a row can see; a launch with a longer context is refused by the engine.
constexpr int MOST_POSITIONS = 448;

/// Copies the key and the value of one head of a row into the cache: 2 * HEAD numbers by 32 lanes, or the first of them.
template <class T>
DEVICE void append_head(const T* qkv, T* cache, int row, int slot, int position, int head, int slots, int nHead, int nTextCtx, int lane) {
  constexpr int N = Lanes<T>::NUMBERS, OF_ROW = Lanes<T>::OF_ROW;
  if (lane >= 2 * OF_ROW) return;
  const int part = lane / OF_ROW, chunk = lane % OF_ROW;
  const T* from = qkv + (int64_t(row) * 3 + 1 + part) * nHead * HEAD + head * HEAD + chunk * N;
  T* to = cache + (((int64_t(part) * slots + slot) * nHead + head) * nTextCtx + position) * HEAD + chunk * N;
  *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
}

/// A warp for each head of a row. Grid (ceil(nHead / 4), rows).
template <class T>
DEVICE void self_append(const T* qkv, const int* rowSlot, const int* rowPosition, const int* rowCount, T* cache, int rows, int slots, int nHead, int nTextCtx) {
  const int row = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.x) * (SELF_THREADS / 32) + warp_id();
  if (row >= (rowCount ? min(rows, *rowCount) : rows) || head >= nHead) return;
  append_head(qkv, cache, row, rowSlot[row], rowPosition[row], head, slots, nHead, nTextCtx, lane_id());
}

/// Keys and values of one head of the past of a slot. They may have been written by this launch: no reads past coherence.
template <class T>
struct SelfSource {
  const T* keys;        // of the head in slot 0
  int64_t values;       // from a key to its value
  int64_t slotStride;
  const int* places;    // of the slot, in shared memory

  DEVICE const T* at(int t, int chunk) const { return keys + places[t] * slotStride + t * HEAD + chunk * Lanes<T>::NUMBERS; }
  DEVICE uint4 key(int t, int chunk) const { return *reinterpret_cast<const uint4*>(at(t, chunk)); }
  DEVICE uint4 value(int t, int chunk) const { return *reinterpret_cast<const uint4*>(at(t, chunk) + values); }
};

/// Row i to positions 0..rowPosition[i] of its slot. Grid (nHead, rows).
template <class T>
DEVICE void self_attention(const T* qkv, const int* rowSlot, const int* rowPosition, const int* rowCount, T* cache, const int* places, T* out, int rows,
                           int slots, int nHead, int nTextCtx, int append) {
  constexpr int WARPS = SELF_THREADS / 32;
  SHARED(int, place, MOST_POSITIONS);
  SHARED(float, states, WARPS* STATE);
  const int row = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  if (row >= (rowCount ? min(rows, *rowCount) : rows)) return;
  const int slot = rowSlot[row], position = rowPosition[row];
  for (int t = thread; t <= position; t += SELF_THREADS) place[t] = places[int64_t(slot) * nTextCtx + t];
  if (append && warp_id() == 0) append_head(qkv, cache, row, slot, position, head, slots, nHead, nTextCtx, lane_id());
  Sums<T, 1> sums;
  start_sums(sums, 0, qkv + int64_t(row) * 3 * nHead * HEAD + head * HEAD, true);
  sync_block();

  const int64_t slotStride = int64_t(nHead) * nTextCtx * HEAD;
  const SelfSource<T> source = {cache + int64_t(head) * nTextCtx * HEAD, slots * slotStride, slotStride, place};
  add_keys(sums, source, warp_id() * Lanes<T>::KEYS, position + 1, WARPS * Lanes<T>::KEYS);
  store_sums(sums, states + warp_id() * STATE);
  sync_block();
  if (thread < HEAD) {
    float largest, total;
    const float sum = merge_states<T>(states, WARPS, STATE, thread, largest, total);
    out[int64_t(row) * nHead * HEAD + head * HEAD + thread] = from_float<T>(sum / total);
  }
}

#define SELF_ATTENTION(T, suffix)                                                                                                                     \
  KERNEL(SELF_THREADS)                                                                                                                                \
  self_append_##suffix(const T* qkv, const int* rowSlot, const int* rowPosition, const int* rowCount, T* cache, int rows, int slots, int nHead,       \
                       int nTextCtx) {                                                                                                                \
    self_append<T>(qkv, rowSlot, rowPosition, rowCount, cache, rows, slots, nHead, nTextCtx);                                                         \
  }                                                                                                                                                   \
  REGISTER(self_append_##suffix)                                                                                                                      \
  KERNEL(SELF_THREADS)                                                                                                                                \
  self_attention_##suffix(const T* qkv, const int* rowSlot, const int* rowPosition, const int* rowCount, T* cache, const int* places, T* out,         \
                          int rows, int slots, int nHead, int nTextCtx, int append) {                                                                 \
    self_attention<T>(qkv, rowSlot, rowPosition, rowCount, cache, places, out, rows, slots, nHead, nTextCtx, append);                                 \
  }                                                                                                                                                   \
  REGISTER(self_attention_##suffix)
SELF_ATTENTION(float, f32)
SELF_ATTENTION(f16, f16)
SELF_ATTENTION(bf16, bf16)
#undef SELF_ATTENTION
