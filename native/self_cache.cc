// Places of keys and values, and attention of one query to them, computed in float32.
#include "self_cache.h"

#include <immintrin.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>

#include "exp.h"
#include "vectors.h"

namespace sotto {
namespace {

constexpr int kLanes = 16;
constexpr size_t kAhead = 16;  // positions: keys are scattered, and the processor does not foresee the next piece

// The sums of 16 vectors, in their order.
__m512 sumsOf(__m512 (&v)[kLanes]) {
  // Each round adds halves of vectors and leaves half as many; the last two, of whole 128-bit lanes, want other shuffles.
  __m512 w[8], x[4];
  for (int i = 0; i < 8; i++) {
    const __m512 a = v[2 * i], b = v[2 * i + 1];
    w[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
  for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd(w[2 * i]), b = _mm512_castps_pd(w[2 * i + 1]);
    x[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  // Every 128-bit lane of x[i] now holds four partial sums of v[4 i .. 4 i + 3].
  for (int i = 0; i < 2; i++) {
    const __m512 a = x[2 * i], b = x[2 * i + 1];
    w[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
  }
  return _mm512_add_ps(_mm512_shuffle_f32x4(w[0], w[1], 0x88), _mm512_shuffle_f32x4(w[0], w[1], 0xDD));
}

__m512 load(const uint16_t* halves) { return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(halves))); }

void store(const float* x, uint16_t* halves) {
  const __m512 largest = _mm512_set1_ps(65504.0f);
  for (int i = 0; i < kHeadSize; i += kLanes) {
    __m512 v = _mm512_loadu_ps(x + i);
    v = _mm512_max_ps(_mm512_min_ps(v, largest), _mm512_sub_ps(_mm512_setzero_ps(), largest));
    _mm256_store_si256(reinterpret_cast<__m256i*>(halves + i), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
}

void fetch(const uint16_t* halves) {
  _mm_prefetch(reinterpret_cast<const char*>(halves), _MM_HINT_T0);
  _mm_prefetch(reinterpret_cast<const char*>(halves + 32), _MM_HINT_T0);
}

}  // namespace

SelfCache::SelfCache(const Dimensions& dims, int rows)
    : layers_(dims.nTextLayer), heads_(dims.nTextHead), context_(dims.nTextCtx), rows_(rows) {
  if (rows < 0 || rows > std::numeric_limits<uint16_t>::max()) throw std::length_error("Too many rows");
  for (Row& row : rows_) row.owners.reserve(context_);
}

SelfCache::~SelfCache() {
  for (Row& row : rows_) {
    for (uint16_t* step : row.steps) std::free(step);
  }
}

void SelfCache::reserve(int row, int count) {
  const size_t positions = rows_[row].owners.size() + count;
  if (positions > static_cast<size_t>(context_)) throw std::length_error("More tokens than the model has room for");
  std::vector<uint16_t*>& steps = rows_[row].steps;
  const size_t wanted = roundUp(positions, kStep) / kStep;
  steps.reserve(wanted);
  while (steps.size() < wanted) {
    void* memory = std::aligned_alloc(64, part(layers_, 0) * sizeof(uint16_t));
    if (memory == nullptr) throw std::bad_alloc();
    steps.push_back(static_cast<uint16_t*>(memory));
  }
}

void SelfCache::append(int row) { rows_[row].owners.push_back(static_cast<uint16_t>(row)); }

void SelfCache::reorder(const std::vector<int>& from) {
  for (size_t row = 0; row < from.size(); row++) {
    if (length(from[row]) < length(static_cast<int>(row))) {
      throw std::invalid_argument("A row cannot go on from a shorter one");
    }
  }
  std::vector<std::vector<uint16_t>> owners(from.size());
  for (size_t row = 0; row < from.size(); row++) {
    if (from[row] != static_cast<int>(row)) owners[row] = rows_[from[row]].owners;
  }
  for (size_t row = 0; row < from.size(); row++) {
    if (from[row] == static_cast<int>(row)) continue;
    // Not swapped: a list keeps the memory that it has reserved.
    rows_[row].owners.assign(owners[row].begin(), owners[row].end());
  }
}

void SelfCache::write(int row, int position, int layer, int head, const float* key, const float* value) {
  uint16_t* place = rows_[row].steps[position / kStep] + part(layer, head) + position % kStep * kHeadSize;
  store(key, place);
  store(value, place + kPart);
}

void SelfCache::attend(int row, int positions, int layer, int head, const float* query, Scratch& scratch, float* out) const {
  const Row& own = rows_[row];
  const size_t where = part(layer, head);
  const size_t padded = roundUp(positions, kLanes);
  const uint16_t** places = scratch.get<const uint16_t*>(padded + padded);  // room for the scores behind them
  float* scores = reinterpret_cast<float*>(places + padded);
  for (int p = 0; p < positions; p++) places[p] = keys(own, p, where);
  for (size_t p = positions; p < padded; p++) places[p] = places[positions - 1];

  const __m512 scale = _mm512_set1_ps(0.125f);  // 1 / sqrt(kHeadSize)
  __m512 q[4];
  for (int i = 0; i < 4; i++) q[i] = _mm512_mul_ps(_mm512_loadu_ps(query + i * kLanes), scale);
  __m512 top = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  for (size_t p = 0; p < padded; p += kLanes) {
    __m512 dots[kLanes];
    for (int j = 0; j < kLanes; j++) {
      const uint16_t* key = places[p + j];
      if (p + kAhead < padded) fetch(places[p + j + kAhead]);
      fetch(key + kPart);  // the values, which come next
      dots[j] = _mm512_mul_ps(q[0], load(key));
      for (int i = 1; i < 4; i++) dots[j] = _mm512_fmadd_ps(q[i], load(key + i * kLanes), dots[j]);
    }
    const __m512 sums = sumsOf(dots);
    top = _mm512_max_ps(top, sums);  // the last position's repeats change nothing
    _mm512_storeu_ps(scores + p, sums);
  }
  const __m512 shift = _mm512_set1_ps(_mm512_reduce_max_ps(top));
  __m512 total = _mm512_setzero_ps();
  for (size_t p = 0; p < padded; p += kLanes) {
    const __mmask16 within = firstLanes(positions - static_cast<ptrdiff_t>(p));
    const __m512 weights = _mm512_maskz_mov_ps(within, expOfNegative(_mm512_sub_ps(_mm512_loadu_ps(scores + p), shift)));
    total = _mm512_add_ps(total, weights);
    _mm512_storeu_ps(scores + p, weights);
  }

  __m512 even[4], odd[4];
  for (int i = 0; i < 4; i++) even[i] = odd[i] = _mm512_setzero_ps();
  for (size_t p = 0; p < padded; p += 2) {  // padding has the weight 0
    const __m512 a = _mm512_set1_ps(scores[p]), b = _mm512_set1_ps(scores[p + 1]);
    const uint16_t* valueA = places[p] + kPart;
    const uint16_t* valueB = places[p + 1] + kPart;
    for (int i = 0; i < 4; i++) {
      even[i] = _mm512_fmadd_ps(a, load(valueA + i * kLanes), even[i]);
      odd[i] = _mm512_fmadd_ps(b, load(valueB + i * kLanes), odd[i]);
    }
  }
  const __m512 share = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(total));
  for (int i = 0; i < 4; i++) _mm512_storeu_ps(out + i * kLanes, _mm512_mul_ps(_mm512_add_ps(even[i], odd[i]), share));
}

}  // namespace sotto
