// Which tokens may come next, on logits: src/engine/token-rules.ts, which has the reasons (facts 2.4.5-2.4.7).
#include <algorithm>
#include <limits>

#include "decoder.h"
#include "ranking.h"

namespace sotto {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

void forbid(float* logits, int nVocab, int id) {
  if (id >= 0 && id < nVocab) logits[id] = kImpossible;
}

void forbid(float* logits, int nVocab, int from, int to) {
  to = std::min(to, nVocab);
  if (from < to) std::fill(logits + from, logits + to, kImpossible);
}

void applyTimestampRules(float* logits, int nVocab, const History& history, const TokenRules& rules) {
  const int begin = std::min(rules.timestampBegin, nVocab);
  forbid(logits, nVocab, rules.noTimestamps);

  if (history.lastIsTimestamp) {
    if (history.penultimateIsTimestamp) forbid(logits, nVocab, begin, nVocab);
    else forbid(logits, nVocab, 0, rules.eot);
  }
  if (history.lastTimestamp >= 0) {
    // A segment may begin where the last one ended; a segment may not end where it began.
    const bool mayEqual = history.lastIsTimestamp && !history.penultimateIsTimestamp;
    forbid(logits, nVocab, begin, mayEqual ? history.lastTimestamp : history.lastTimestamp + 1);
  }
  if (history.count == 0) {
    forbid(logits, nVocab, 0, begin);
    if (rules.maxInitialTimestampIndex >= 0) {
      // The sum may be past what an int holds: any limit is allowed.
      const int allowed = std::min(rules.maxInitialTimestampIndex, nVocab);
      forbid(logits, nVocab, begin + allowed + 1, nVocab);
    }
  }

  // If the timestamps together are likelier than any one text token, it is a timestamp.
  if (logSumExp(logits + begin, nVocab - begin) > largest(logits, begin)) forbid(logits, nVocab, 0, begin);
}

}  // namespace

void History::add(int token, const TokenRules& rules) {
  const bool isTimestamp = token >= rules.timestampBegin;
  penultimateIsTimestamp = count < 1 || lastIsTimestamp;
  lastIsTimestamp = isTimestamp;
  if (isTimestamp) lastTimestamp = token;
  count++;
}

void applyTokenRules(float* logits, int nVocab, const History& history, const TokenRules& rules) {
  if (history.count == 0) {
    for (const int id : rules.suppressAtBegin) forbid(logits, nVocab, id);
  }
  for (const int id : rules.suppress) forbid(logits, nVocab, id);
  if (rules.timestamps) applyTimestampRules(logits, nVocab, history, rules);
}

}  // namespace sotto
