// Which rows a step of the decoder runs. A row is a token of this step; a slot is a sequence with its place in the caches. Steps are
// graphs with fixed grids: rows past the count that begin_step writes are nobody's, and their blocks leave at once.
#pragma once
#include "platform.cuh"

/// A sequence under way: written by the host when it begins, then by choose_tokens. 64 bytes.
struct Slot {
  int position;   // where `token` stands in the sequence
  int token;      // to be run by the next step
  int generated;  // tokens after the prompt so far
  int maxNewTokens;
  int rules;  // index of its rules
  // The history that the rules read, as src/engine/token-rules.ts packs it.
  int lastWasTimestamp;
  int penultimateWasTimestamp;  // 1 while fewer than two are generated
  int lastTimestamp;            // -1: none yet
  int finished;                 // 0 no, 1 endoftext, 2 maxNewTokens
  int reserved[7];
};

/// Rows that count: all, or those below *rowCount.
DEVICE int live_rows(int rows, const int* rowCount) {
  return rowCount == nullptr ? rows : min(rows, *rowCount);
}

/// Drops finished slots from `live`, keeping the order, and lays out the rows of the step: row i runs the token of slot live[i], and is
/// group i of cross-attention alone. One block of any number of whole warps.
DEVICE void begin_step_rows(const Slot* slots, int* live, int* liveCount, int* rowToken, int* rowPosition, int* rowSlot, int* groupFirst,
                       int* groupRows) {
  SHARED(int, warpCounts, 32);
  const int count = *liveCount;
  const int threads = static_cast<int>(blockDim.x);
  int kept = 0;  // rows before this pass
  for (int from = 0; from < count; from += threads) {
    const int i = from + static_cast<int>(threadIdx.x);
    const int slot = i < count ? live[i] : 0;
    bool runs = false;
    int token = 0, position = 0;
    if (i < count) {
      const Slot& own = slots[slot];
      runs = own.finished == 0;
      token = own.token;
      position = own.position;
    }
    const uint32_t running = lanes_where(runs);
    if (lane_id() == 0) warpCounts[warp_id()] = count_bits(running);
    // All have read `live` before it is written; it is written at or before where it was read.
    sync_block();
    int row = kept + count_bits(running & ((1u << lane_id()) - 1u));
    for (int warp = 0; warp < threads / 32; warp++) {
      const int others = warpCounts[warp];
      if (warp < warp_id()) row += others;
      kept += others;
    }
    if (runs) {
      live[row] = slot;
      rowToken[row] = token;
      rowPosition[row] = position;
      rowSlot[row] = slot;
      groupFirst[row] = row;
      groupRows[row] = 1;
    }
    sync_block();
  }
  if (threadIdx.x == 0) *liveCount = kept;
}

KERNEL(1024)
begin_step(const Slot* slots, int* live, int* liveCount, int* rowToken, int* rowPosition, int* rowSlot, int* groupFirst,
           int* groupRows) {
  begin_step_rows(slots, live, liveCount, rowToken, rowPosition, rowSlot, groupFirst, groupRows);
}
REGISTER(begin_step)

/// Slot to[i] goes on from what slot from[i] was, for the first `length` positions: fresh[to[i]][t] = old[from[i]][t].
/// places: [slots][nTextCtx]. Grid: (any, rows).
KERNEL(256)
reorder_places(const int* from, const int* to, const int* old, int* fresh, int rows, int length, int nTextCtx) {
  const int row = static_cast<int>(blockIdx.y);
  if (row >= rows) return;
  old += static_cast<int64_t>(from[row]) * nTextCtx;
  fresh += static_cast<int64_t>(to[row]) * nTextCtx;
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  for (int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); t < length; t += step) fresh[t] = old[t];
}
REGISTER(reorder_places)
