// Attention of few queries by one warp: keys and values pass through registers once, 16 bytes a lane, and the softmax is carried along (a
// largest score so far, sums relative to it). What a warp or a block has summed is a state, and states merge in a fixed order.
// The larger form, many queries at once, is in encoder_attention.cuh.
#pragma once
#include "platform.cuh"

/// Numbers of a head.
constexpr int HEAD = 64;
/// Floats of a state: the sums of weighted values, then the largest score, then the sum of the weights.
constexpr int STATE = HEAD + 2;
/// Below every score, and finite, so that differences of it are numbers.
constexpr float NO_SCORE = -1e30f;
/// Below NO_SCORE by so much that its weight is 0 beside it.
constexpr float MASKED = -3e38f;

/// Scores are kept in units in which weight_of is cheap: natural for exact mode, powers of 2 for 16 bits.
template <class T>
constexpr float SCORE_SCALE = 0.125f * 1.44269504088896341f;
template <>
constexpr float SCORE_SCALE<float> = 0.125f;
template <class T>
DEVICE float weight_of(float score) { return exp2_fast(score); }
template <>
DEVICE float weight_of<float>(float score) { return expf(score); }

/// The numbers of 16 bytes.
template <class T>
DEVICE void unpack16(float (&out)[16 / sizeof(T)], uint4 in) {
  float2 pair = unpack2<T>(in.x);
  out[0] = pair.x, out[1] = pair.y;
  pair = unpack2<T>(in.y);
  out[2] = pair.x, out[3] = pair.y;
  pair = unpack2<T>(in.z);
  out[4] = pair.x, out[5] = pair.y;
  pair = unpack2<T>(in.w);
  out[6] = pair.x, out[7] = pair.y;
}
template <>
DEVICE void unpack16<float>(float (&out)[4], uint4 in) {
  out[0] = float_of(in.x), out[1] = float_of(in.y), out[2] = float_of(in.z), out[3] = float_of(in.w);
}

/// How a warp lies over rows of 64 numbers when each lane holds 16 bytes.
template <class T>
struct Lanes {
  static constexpr int NUMBERS = 16 / sizeof(T);       // of a lane
  static constexpr int OF_ROW = HEAD / NUMBERS;        // lanes that hold one row
  static constexpr int ROWS = 32 / OF_ROW;             // rows of the warp
  static constexpr int LOADS = 4;                      // under way together, of keys and of values each
  static constexpr int KEYS = ROWS * LOADS;            // keys that a warp takes at once
};

/// ROWS queries, of each lane its 16 bytes, and what was summed for them so far by the lanes that share rows of keys with this one.
template <class T, int ROWS>
struct Sums {
  float query[ROWS][Lanes<T>::NUMBERS];
  float sum[ROWS][Lanes<T>::NUMBERS];
  float largest[ROWS];
  float total[ROWS];
};

/// Starts row `r` of the sums with its query, or with zeros.
template <class T, int ROWS>
DEVICE void start_sums(Sums<T, ROWS>& s, int r, const T* query, bool present) {
  constexpr int N = Lanes<T>::NUMBERS;
  uint4 raw = make_uint4(0, 0, 0, 0);
  if (present) raw = *reinterpret_cast<const uint4*>(query + lane_id() % Lanes<T>::OF_ROW * N);
  unpack16<T>(s.query[r], raw);
  UNROLL for (int i = 0; i < N; i++) s.query[r][i] *= SCORE_SCALE<T>, s.sum[r][i] = 0.0f;
  s.largest[r] = NO_SCORE;
  s.total[r] = 0.0f;
}

/// The score of each row and key of one tile, in all lanes that share the key.
template <class T, int ROWS>
DEVICE void score_tile(float (&score)[ROWS][Lanes<T>::LOADS], const float (&query)[ROWS][Lanes<T>::NUMBERS], const uint4 (&keys)[Lanes<T>::LOADS]) {
  using L = Lanes<T>;
  UNROLL for (int j = 0; j < L::LOADS; j++) {
    float key[L::NUMBERS];
    unpack16<T>(key, keys[j]);
    UNROLL for (int r = 0; r < ROWS; r++) {
      float dot = query[r][0] * key[0];
      UNROLL for (int i = 1; i < L::NUMBERS; i++) dot = fmaf(query[r][i], key[i], dot);
      score[r][j] = dot;
    }
  }
  UNROLL for (int mask = 1; mask < L::OF_ROW; mask <<= 1)
    UNROLL for (int r = 0; r < ROWS; r++)
      UNROLL for (int j = 0; j < L::LOADS; j++) score[r][j] += shuffle_xor(score[r][j], mask);
}

/// Adds the keys first, first + 1 .. of each tile at first, first + stride .. below end. `source.key(t, chunk)` and `source.value(t, chunk)`
/// are 16 bytes of key t. The loads of the next tile start as soon as registers are free: 4 to 8 of them are always under way.
template <class T, int ROWS, class Source>
DEVICE void add_keys(Sums<T, ROWS>& s, const Source& source, int first, int end, int stride) {
  using L = Lanes<T>;
  if (first >= end) return;
  const int chunk = lane_id() % L::OF_ROW, row = lane_id() / L::OF_ROW;
  uint4 keys[L::LOADS], values[L::LOADS];
  UNROLL for (int j = 0; j < L::LOADS; j++) keys[j] = source.key(min(first + j * L::ROWS + row, end - 1), chunk);
  UNROLL for (int j = 0; j < L::LOADS; j++) values[j] = source.value(min(first + j * L::ROWS + row, end - 1), chunk);
  for (int tile = first; tile < end; tile += stride) {
    const int next = tile + stride;
    float weight[ROWS][L::LOADS];
    score_tile<T, ROWS>(weight, s.query, keys);
    if (next < end) {
      UNROLL for (int j = 0; j < L::LOADS; j++) keys[j] = source.key(min(next + j * L::ROWS + row, end - 1), chunk);
    }
    if (tile + L::KEYS > end) {
      UNROLL for (int j = 0; j < L::LOADS; j++)
        if (tile + j * L::ROWS + row >= end)
          UNROLL for (int r = 0; r < ROWS; r++) weight[r][j] = MASKED;
    }
    UNROLL for (int r = 0; r < ROWS; r++) {
      float largest = s.largest[r];
      UNROLL for (int j = 0; j < L::LOADS; j++) largest = fmaxf(largest, weight[r][j]);
      const float scale = weight_of<T>(s.largest[r] - largest);
      float total = 0.0f;
      UNROLL for (int j = 0; j < L::LOADS; j++) total += weight[r][j] = weight_of<T>(weight[r][j] - largest);
      s.largest[r] = largest;
      s.total[r] = fmaf(s.total[r], scale, total);
      UNROLL for (int i = 0; i < L::NUMBERS; i++) s.sum[r][i] *= scale;
    }
    UNROLL for (int j = 0; j < L::LOADS; j++) {
      float value[L::NUMBERS];
      unpack16<T>(value, values[j]);
      UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int i = 0; i < L::NUMBERS; i++) s.sum[r][i] = fmaf(weight[r][j], value[i], s.sum[r][i]);
    }
    if (next < end) {
      UNROLL for (int j = 0; j < L::LOADS; j++) values[j] = source.value(min(next + j * L::ROWS + row, end - 1), chunk);
    }
  }
}

/// Merges the warp's lanes and writes the state of row r to states + r * STATE.
template <class T, int ROWS>
DEVICE void store_sums(Sums<T, ROWS>& s, float* states) {
  using L = Lanes<T>;
  UNROLL for (int r = 0; r < ROWS; r++) {
    float largest = s.largest[r];
    UNROLL for (int mask = L::OF_ROW; mask < 32; mask <<= 1) largest = fmaxf(largest, shuffle_xor(largest, mask));
    const float scale = weight_of<T>(s.largest[r] - largest);
    float total = s.total[r] * scale;
    UNROLL for (int mask = L::OF_ROW; mask < 32; mask <<= 1) total += shuffle_xor(total, mask);
    UNROLL for (int i = 0; i < L::NUMBERS; i++) {
      float sum = s.sum[r][i] * scale;
      UNROLL for (int mask = L::OF_ROW; mask < 32; mask <<= 1) sum += shuffle_xor(sum, mask);
      if (lane_id() < L::OF_ROW) states[r * STATE + lane_id() * L::NUMBERS + i] = sum;
    }
    if (lane_id() == 0) states[r * STATE + HEAD] = largest, states[r * STATE + HEAD + 1] = total;
  }
}

/// Number e of `count` states that lie `stride` floats apart, and the largest score and the sum of weights of all.
template <class T>
DEVICE float merge_states(const float* states, int count, int stride, int e, float& largest, float& total) {
  largest = NO_SCORE;
  for (int i = 0; i < count; i++) largest = fmaxf(largest, states[i * stride + HEAD]);
  float sum = 0.0f;
  total = 0.0f;
  for (int i = 0; i < count; i++) {
    const float scale = weight_of<T>(states[i * stride + HEAD] - largest);
    total = fmaf(states[i * stride + HEAD + 1], scale, total);
    sum = fmaf(states[i * stride + e], scale, sum);
  }
  return sum;
}
