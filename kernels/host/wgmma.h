// The words of wgmma.cuh for the CPU. A product begins when the warpgroup has said it, and its sums appear when it is waited for; until
// then they hold NaN, and whoever changes its tiles is found out.
#pragma once

#include "device.h"

namespace standin {
void wgmmaBegin();
void wgmmaFence();
void wgmmaCommit();
void wgmmaWait(unsigned pending);
// sums: of this thread, [columns / 8][4]
void wgmma(float* sums, uint64_t a, uint64_t b, unsigned columns, bool add, bool isBf16);
}  // namespace standin

DEVICE void fence_for_wgmma() { standin::wgmmaFence(); }
DEVICE void wgmma_begin() { standin::wgmmaBegin(); }
DEVICE void wgmma_commit() { standin::wgmmaCommit(); }
template <int Pending>
DEVICE void wgmma_wait() { standin::wgmmaWait(Pending); }

template <class T>
DEVICE void wgmma_64x256x16(float (&c)[32][4], SharedTile a, SharedTile b, int add);
template <>
DEVICE void wgmma_64x256x16<bf16>(float (&c)[32][4], SharedTile a, SharedTile b, int add) {
  standin::wgmma(&c[0][0], a.descriptor, b.descriptor, 256, add != 0, true);
}
template <>
DEVICE void wgmma_64x256x16<f16>(float (&c)[32][4], SharedTile a, SharedTile b, int add) {
  standin::wgmma(&c[0][0], a.descriptor, b.descriptor, 256, add != 0, false);
}
