// Maximum, log-sum-exp and the best few of a vocabulary's logits.
#include "ranking.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "decoder.h"
#include "exp.h"
#include "vectors.h"

namespace sotto {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;

// Sum of exp(x - top), where top is the largest: at least 1.
double sumOfExp(const float* x, size_t count, float top) {
  // Sums of 64 vectors in float32, and those in float64: the rounding of a long sum in float32 would show.
  constexpr size_t kPiece = 64 * kLanes;
  const __m512 shift = _mm512_set1_ps(top);
  double sum = 0;
  for (size_t from = 0; from < count; from += kPiece) {
    const size_t to = std::min(count, from + kPiece);
    __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
    size_t i = from;
    for (; i + 2 * kLanes <= to; i += 2 * kLanes) {
      even = _mm512_add_ps(even, expOfNegative(_mm512_sub_ps(_mm512_loadu_ps(x + i), shift)));
      odd = _mm512_add_ps(odd, expOfNegative(_mm512_sub_ps(_mm512_loadu_ps(x + i + kLanes), shift)));
    }
    for (; i < to; i += kLanes) {
      const __mmask16 lanes = firstLanes(static_cast<ptrdiff_t>(to - i));
      const __m512 e = expOfNegative(_mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, x + i), shift));
      even = _mm512_mask_add_ps(even, lanes, even, e);
    }
    sum += _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
  }
  return sum;
}

// Index of the first number that equals `value`, which is one of them.
size_t firstOf(const float* x, size_t count, float value) {
  const __m512 wanted = _mm512_set1_ps(value);
  for (size_t i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = firstLanes(static_cast<ptrdiff_t>(count - i));
    const __mmask16 found = _mm512_mask_cmp_ps_mask(lanes, _mm512_maskz_loadu_ps(lanes, x + i), wanted, _CMP_EQ_OQ);
    if (found != 0) return i + __builtin_ctz(found);
  }
  return 0;
}

}  // namespace

float largest(const float* x, size_t count) {
  __m512 top[4];
  for (auto& each : top) each = _mm512_set1_ps(kImpossible);
  size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    for (size_t part = 0; part < 4; part++) top[part] = _mm512_max_ps(_mm512_loadu_ps(x + i + part * kLanes), top[part]);
  }
  for (; i < count; i += kLanes) {
    const __mmask16 lanes = firstLanes(static_cast<ptrdiff_t>(count - i));
    top[0] = _mm512_mask_max_ps(top[0], lanes, _mm512_maskz_loadu_ps(lanes, x + i), top[0]);
  }
  return _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(top[0], top[1]), _mm512_max_ps(top[2], top[3])));
}

double logSumExp(const float* x, size_t count) {
  const float top = largest(x, count);
  if (top == kImpossible) return top;
  return top + std::log(sumOfExp(x, count, top));
}

Choice likeliest(const float* logits, size_t count) {
  const float top = largest(logits, count);
  if (top == kImpossible) return {0, std::numeric_limits<float>::quiet_NaN()};
  return {static_cast<int>(firstOf(logits, count, top)), static_cast<float>(-std::log(sumOfExp(logits, count, top)))};
}

void topTokens(const float* logits, size_t count, int k, int* ids, float* logprobs) {
  // logprobs holds the logits until all are found.
  int found = 0;
  float threshold = kImpossible;
  for (size_t i = 0; i < count && k > 0; i += kLanes) {
    const __mmask16 lanes = firstLanes(static_cast<ptrdiff_t>(count - i));
    const __m512 x = _mm512_maskz_loadu_ps(lanes, logits + i);
    unsigned better = _mm512_mask_cmp_ps_mask(lanes, x, _mm512_set1_ps(threshold), _CMP_GT_OQ);
    for (; better != 0; better &= better - 1) {
      const size_t id = i + __builtin_ctz(better);
      const float value = logits[id];
      if (!(value > threshold)) continue;  // the threshold has risen since
      int place = std::min(found, k - 1);
      for (; place > 0 && logprobs[place - 1] < value; place--) {
        logprobs[place] = logprobs[place - 1];
        ids[place] = ids[place - 1];
      }
      logprobs[place] = value;
      ids[place] = static_cast<int>(id);
      found = std::min(found + 1, k);
      if (found == k) threshold = logprobs[k - 1];
    }
  }
  if (found > 0) {
    const double normalizer = logprobs[0] + std::log(sumOfExp(logits, count, logprobs[0]));
    for (int i = 0; i < found; i++) logprobs[i] = static_cast<float>(logprobs[i] - normalizer);
  }
  // Every comparison passes over NaN: a row of it is not one without a possible token.
  const bool isNumber = found > 0 || std::none_of(logits, logits + count, [](float x) { return std::isnan(x); });
  std::fill(ids + found, ids + std::max(k, found), -1);
  std::fill(logprobs + found, logprobs + std::max(k, found), isNumber ? kImpossible : std::numeric_limits<float>::quiet_NaN());
}

}  // namespace sotto
