// Which token comes next: the rules of src/engine/token-rules.ts, which has the reasons (facts 2.4.5-2.4.7), and the choice by them.
//
// The row of logits is read once. The rules leave a range of text tokens and a range of timestamps, less single ids; the likeliest and
// the sum of exponentials of either are kept apart until it is known whether the timestamps together outweigh every text token.
#pragma once
#include "logits.cuh"
#include "rows.cuh"

/// The record of token-rules.ts; bitsets of nVocab, bit i % 32 of word i / 32.
struct Rules {
  const uint32_t* suppress;
  const uint32_t* suppressAtBegin;
  int eot, timestampBegin;
  int timestamps;  // 0 or 1: whether the three that follow hold
  int noTimestamps;
  int maxInitialTimestampIndex;  // -1: any
  int reserved;
};

/// What the rules need to know of the tokens generated so far.
struct History {
  int generated, lastWasTimestamp, penultimateWasTimestamp, lastTimestamp;
};

/// What the rules leave, before text and timestamps are weighed: [0] tokens below the first timestamp, [1] the timestamps.
DEVICE void allowed_tokens(const Rules& rules, const History& history, int nVocab, Tokens (&allowed)[2]) {
  const int begin = min(rules.timestampBegin, nVocab);
  const uint32_t* atBegin = history.generated == 0 ? rules.suppressAtBegin : nullptr;
  allowed[0] = {0, begin, rules.suppress, atBegin, -1};
  allowed[1] = {begin, nVocab, rules.suppress, atBegin, -1};
  if (rules.timestamps == 0) return;

  allowed[0].never = allowed[1].never = rules.noTimestamps;
  int textFrom = 0, from = begin, to = nVocab;
  if (history.lastWasTimestamp != 0) {
    if (history.penultimateWasTimestamp != 0) to = begin;
    else textFrom = rules.eot;
  }
  if (history.lastTimestamp >= 0) {
    // A segment may begin where the last one ended; a segment may not end where it began.
    const bool mayEqual = history.lastWasTimestamp != 0 && history.penultimateWasTimestamp == 0;
    from = max(from, mayEqual ? history.lastTimestamp : history.lastTimestamp + 1);
  }
  if (history.generated == 0) {
    textFrom = begin;
    // The sum may be past what an int holds: any limit is allowed.
    if (rules.maxInitialTimestampIndex >= 0) to = min(to, begin + min(rules.maxInitialTimestampIndex, nVocab) + 1);
  }
  allowed[0].from = min(textFrom, begin);
  allowed[1].from = max(from, textFrom);
  allowed[1].to = to;
}

/// Whether the timestamps together are likelier than any one text token: it is a timestamp then.
DEVICE bool timestamps_outweigh(const Best& text, const Best& timestamps) {
  if (timestamps.top == IMPOSSIBLE) return false;
  return text.top == IMPOSSIBLE || logf(timestamps.sum) > text.top - timestamps.top;
}

/// Chooses the token of each row and moves its slot on: the likeliest by the rules, of equally likely ones the lowest id; where none is
/// possible, id 0 with a log-probability that is no number, as the reference does. On entry Slot.position is where the token stands
/// whose logits these are, the prompt's last one at first; on return it is where the chosen one will.
/// logits: [rows, nVocab]; tokens, logprobs: [slots][nTextCtx], by index of the generated token; endoftext has a log-probability but is
/// no token. Grid: rows.
KERNEL(1024)
choose_tokens(const float* logits, const int* rowSlot, const int* rowCount, Slot* slots, const Rules* rules, int* tokens,
              float* logprobs, int rows, int nVocab, int nTextCtx) {
  const int row = static_cast<int>(blockIdx.x);
  if (row >= live_rows(rows, rowCount)) return;
  const int slot = rowSlot[row];
  Slot& own = slots[slot];
  if (own.finished != 0) return;
  logits += static_cast<int64_t>(row) * nVocab;
  const Rules& ruling = rules[own.rules];

  Tokens allowed[2];
  allowed_tokens(ruling, {own.generated, own.lastWasTimestamp, own.penultimateWasTimestamp, own.lastTimestamp}, nVocab, allowed);
  Best best[2] = {best_of_share(logits, allowed[0]), best_of_share(logits, allowed[1])};
  best_of_block(best);
  if (threadIdx.x != 0) return;

  const bool isTimestamp = ruling.timestamps != 0 && timestamps_outweigh(best[0], best[1]);
  const Best chosen = isTimestamp ? best[1] : best_of_both(best[0], best[1]);
  const bool isPossible = chosen.top > IMPOSSIBLE;
  const int token = isPossible ? chosen.id : 0;
  const int generated = own.generated;
  const int64_t at = static_cast<int64_t>(slot) * nTextCtx + generated;
  logprobs[at] = isPossible ? -logf(chosen.sum) : NAN;
  if (token == ruling.eot) {
    own.finished = 1;
    return;
  }
  tokens[at] = token;
  own.token = token;
  own.position++;
  own.generated = generated + 1;
  own.penultimateWasTimestamp = generated == 0 || own.lastWasTimestamp != 0 ? 1 : 0;
  own.lastWasTimestamp = token >= ruling.timestampBegin ? 1 : 0;
  if (token >= ruling.timestampBegin) own.lastTimestamp = token;
  if (generated + 1 >= own.maxNewTokens) own.finished = 2;
}
REGISTER(choose_tokens)

/// Whether a token comes after another one in the order of a ranking: the likelier first, of equally likely ones the lower id.
DEVICE bool ranks_after(float logit, int id, float otherLogit, int otherId) {
  return logit < otherLogit || (logit == otherLogit && id > otherId);
}

/// The first of this thread's share of both sets of tokens that comes after a token in the order of the ranking.
DEVICE Best next_of_share(const float* logits, const Tokens (&allowed)[2], float afterLogit, int afterId) {
  Best next = {IMPOSSIBLE, NOBODY, 0.0f};
  UNROLL for (int set = 0; set < 2; set++) {
    for_tokens(logits, allowed[set], [&](const Share& share) {
      UNROLL for (int i = 0; i < FOURS; i++) {
        UNROLL for (int j = 0; j < 4; j++) {
          const float logit = share.logits[i][j];
          const int id = share.first + i * share.step + j;
          if (logit > next.top && ranks_after(logit, id, afterLogit, afterId)) {
            next.top = logit;
            next.id = id;
          }
        }
      }
    });
  }
  return next;
}

/// The k likeliest tokens of each row by the rules, the likeliest first, of equally likely ones the lower id; -1 and -infinity where
/// fewer are possible. A tournament: every thread puts forward the best of its share, and the one whose token has won the next one.
/// logits: [rows, nVocab]; history: [rows, 4] as History has it; ids, logprobs: [rows, k]. Grid: rows.
KERNEL(1024)
rank_tokens(const float* logits, const int* history, const Rules* rules, int* ids, float* logprobs, int rows, int nVocab, int k) {
  SHARED(float, warpTops, 32);
  SHARED(int, warpIds, 32);
  SHARED(Best, whole, 1);
  SHARED(int, textIsOut, 1);
  const int row = static_cast<int>(blockIdx.x);
  if (row >= rows) return;
  logits += static_cast<int64_t>(row) * nVocab;
  ids += static_cast<int64_t>(row) * k;
  logprobs += static_cast<int64_t>(row) * k;

  Tokens allowed[2];
  const Rules ruling = *rules;
  allowed_tokens(ruling, {history[row * 4], history[row * 4 + 1], history[row * 4 + 2], history[row * 4 + 3]}, nVocab, allowed);
  const Best own[2] = {best_of_share(logits, allowed[0]), best_of_share(logits, allowed[1])};
  Best best[2] = {own[0], own[1]};
  best_of_block(best);
  if (threadIdx.x == 0) {
    const bool isTimestamp = ruling.timestamps != 0 && timestamps_outweigh(best[0], best[1]);
    whole[0] = isTimestamp ? best[1] : best_of_both(best[0], best[1]);
    textIsOut[0] = isTimestamp ? 1 : 0;
  }
  sync_block();
  if (textIsOut[0] != 0) allowed[0].to = allowed[0].from;
  const float top = whole[0].top, normalizer = logf(whole[0].sum);
  Best candidate = textIsOut[0] != 0 || own[1].top > own[0].top ? own[1] : own[0];

  int found = 0;
  for (bool isNew = true; found < k; found++) {
    // Warps whose candidates have changed; the others' stand.
    if (isNew) {
      const float warpTop = warp_max(candidate.top);
      const int warpBest = warp_least(candidate.top == warpTop ? candidate.id : NOBODY);
      if (lane_id() == 0) {
        warpTops[warp_id()] = warpTop;
        warpIds[warp_id()] = warpBest;
      }
    }
    sync_block();
    const bool isWarp = lane_id() < static_cast<int>(blockDim.x / 32);
    const float laneTop = isWarp ? warpTops[lane_id()] : IMPOSSIBLE;
    const float logit = warp_max(laneTop);
    const int id = warp_least(isWarp && laneTop == logit ? warpIds[lane_id()] : NOBODY);
    if (logit == IMPOSSIBLE) break;
    if (threadIdx.x == 0) {
      ids[found] = id;
      logprobs[found] = (logit - top) - normalizer;
    }
    const bool isMine = candidate.id == id;
    if (isMine && found + 1 < k) candidate = next_of_share(logits, allowed, logit, id);
    isNew = lanes_where(isMine) != 0;
    sync_block();
  }
  for (int i = found + static_cast<int>(threadIdx.x); i < k; i += static_cast<int>(blockDim.x)) {
    ids[i] = -1;
    logprobs[i] = IMPOSSIBLE;
  }
}
REGISTER(rank_tokens)
