// Reading a row of logits, by one block: the largest, its id, and the sum of exponentials, in one pass.
//
// Every thread has its own share of the row, fixed by the block's size; results of threads are put together in a fixed order, so that a
// row gives the same bits whatever runs beside it.
#pragma once
#include "platform.cuh"

constexpr float IMPOSSIBLE = -INFINITY;
constexpr int NOBODY = 0x7fffffff;

/// The likeliest of some tokens, of equally likely ones the lowest id, and the sum of exp(logit - top) of them all.
/// With no possible token: -infinity, NOBODY, 0.
struct Best {
  float top;
  int id;
  float sum;
};

/// Tokens [from, to) but those in the bitsets and `never`. A bitset may be null: it has none then.
struct Tokens {
  int from, to;
  const uint32_t* suppress;
  const uint32_t* suppressToo;
  int never;
};

/// Bits 0 to 3: whether ids id to id + 3 are in the bitset; id may be from -3, and ids past `last` have any bit.
DEVICE uint32_t bits4(const uint32_t* set, int id, int last) {
  const int low = max(id, 0), high = min(id + 3, last);
  const uint64_t words = static_cast<uint64_t>(set[high >> 5]) << 32 | set[low >> 5];
  return static_cast<uint32_t>(words >> (id & 31));
}

/// Fours of a row that a thread has under way at a time.
constexpr int FOURS = 4;

/// Some of a thread's tokens: logits[i][j] is that of id first + i * step + j, -infinity where it is not to be.
struct Share {
  float logits[FOURS][4];
  int first, step;
};

/// Hands visit(share) this thread's tokens in ascending order. Rows of odd length begin anywhere: fours begin where 16 bytes do, the
/// first perhaps before the row.
template <class Visit>
DEVICE void for_tokens(const float* logits, const Tokens& tokens, Visit visit) {
  if (tokens.from >= tokens.to) return;
  const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(logits) / 4 % 4);
  const int threads = static_cast<int>(blockDim.x);
  const int end = (tokens.to + shift + 3) / 4;
  for (int four = (tokens.from + shift) / 4 + static_cast<int>(threadIdx.x); four < end; four += FOURS * threads) {
    Share share;
    share.first = four * 4 - shift;
    share.step = threads * 4;
    UNROLL for (int i = 0; i < FOURS; i++) {
      const int id = share.first + i * share.step;
      if (id >= tokens.from && id + 4 <= tokens.to) {
        const float4 four4 = *reinterpret_cast<const float4*>(logits + id);
        share.logits[i][0] = four4.x;
        share.logits[i][1] = four4.y;
        share.logits[i][2] = four4.z;
        share.logits[i][3] = four4.w;
      } else {
        UNROLL for (int j = 0; j < 4; j++) {
          share.logits[i][j] = id + j >= tokens.from && id + j < tokens.to ? logits[id + j] : IMPOSSIBLE;
        }
      }
    }
    UNROLL for (int i = 0; i < FOURS; i++) {
      const int id = share.first + i * share.step;
      if (id >= tokens.to) continue;
      uint32_t forbidden = 0;
      if (tokens.suppress != nullptr) forbidden |= bits4(tokens.suppress, id, tokens.to - 1);
      if (tokens.suppressToo != nullptr) forbidden |= bits4(tokens.suppressToo, id, tokens.to - 1);
      if (tokens.never >= id && tokens.never < id + 4) forbidden |= 1u << (tokens.never - id);
      UNROLL for (int j = 0; j < 4; j++) {
        if ((forbidden >> j & 1u) != 0) share.logits[i][j] = IMPOSSIBLE;
      }
    }
    visit(share);
  }
}

/// Best of this thread's share of tokens.
DEVICE Best best_of_share(const float* logits, const Tokens& tokens) {
  Best best = {IMPOSSIBLE, NOBODY, 0.0f};
  for_tokens(logits, tokens, [&](const Share& share) {
    float top = IMPOSSIBLE;
    UNROLL for (int i = 0; i < FOURS; i++) {
      UNROLL for (int j = 0; j < 4; j++) top = fmaxf(top, share.logits[i][j]);
    }
    if (top > best.top) {
      best.sum *= expf(best.top - top);
      best.top = top;
      best.id = NOBODY;
      UNROLL for (int i = FOURS - 1; i >= 0; i--) {
        UNROLL for (int j = 3; j >= 0; j--) {
          if (share.logits[i][j] == top) best.id = share.first + i * share.step + j;
        }
      }
    }
    if (best.top == IMPOSSIBLE) return;
    float sums[FOURS];
    UNROLL for (int i = 0; i < FOURS; i++) {
      const float* x = share.logits[i];
      sums[i] = (expf(x[0] - best.top) + expf(x[1] - best.top)) + (expf(x[2] - best.top) + expf(x[3] - best.top));
    }
    best.sum += (sums[0] + sums[1]) + (sums[2] + sums[3]);
  });
  return best;
}

DEVICE int warp_least(int x) {
  UNROLL for (int mask = 16; mask > 0; mask >>= 1) x = min(x, shuffle_xor(x, mask));
  return x;
}

/// Best of what the lanes of a warp have.
DEVICE Best best_of_warp(const Best& own) {
  Best best;
  best.top = warp_max(own.top);
  best.id = warp_least(own.top == best.top ? own.id : NOBODY);
  best.sum = warp_sum(own.top == IMPOSSIBLE ? 0.0f : own.sum * expf(own.top - best.top));
  return best;
}

/// Best of two sets of tokens; ids of the first are below those of the second.
DEVICE Best best_of_both(const Best& a, const Best& b) {
  Best best = a.top >= b.top ? a : b;
  if (best.top == IMPOSSIBLE) return best;
  best.sum = a.sum * expf(a.top - best.top) + b.sum * expf(b.top - best.top);
  return best;
}

/// Best of what the threads of the block have, of `Sets` sets of tokens at once: known to the first warp only. Once a kernel.
template <int Sets>
DEVICE void best_of_block(Best (&best)[Sets]) {
  SHARED(Best, warps, Sets * 32);
  UNROLL for (int set = 0; set < Sets; set++) {
    best[set] = best_of_warp(best[set]);
    if (lane_id() == 0) warps[set * 32 + warp_id()] = best[set];
  }
  sync_block();
  if (warp_id() != 0) return;
  const bool isWarp = lane_id() < static_cast<int>(blockDim.x / 32);
  UNROLL for (int set = 0; set < Sets; set++) {
    best[set] = best_of_warp(isWarp ? warps[set * 32 + lane_id()] : Best{IMPOSSIBLE, NOBODY, 0.0f});
  }
}
