// Checks the decoder: against plain float code (within what 8 bits allow), against itself (to the bit), and its rules and
// rankings against plain programs.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>

#include "../cpu.h"
#include "check.h"
#include "../decoder.h"
#include "../ranking.h"
#include "../self_cache.h"

using namespace sotto;

namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

struct Random {
  std::mt19937 engine;
  explicit Random(unsigned seed) : engine(seed) {}
  float normal() { return std::normal_distribution<float>()(engine); }
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine); }
  bool chance(double p) { return std::uniform_real_distribution<double>()(engine) < p; }
  std::vector<float> normals(size_t count, float deviation, float mean = 0) {
    std::vector<float> x(count);
    for (float& each : x) each = mean + deviation * normal();
    return x;
  }
  std::vector<int> tokens(int count, int nVocab) {
    std::vector<int> ids(count);
    for (int& id : ids) id = below(nVocab);
    return ids;
  }
};

// Memory on 64 bytes, kept by whoever keeps this.
using Bytes = std::shared_ptr<void>;
Bytes aligned(size_t bytes) { return Bytes(std::aligned_alloc(64, roundUp(bytes, 64)), std::free); }

double relativeError(const float* actual, const float* expected, size_t count) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < count; i++) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  return std::sqrt(difference / size);
}

// -----------------------------------------------------------------------------------------------------------------------
// A random model and plain code for it.

struct PlainLinear {
  int nIn, nOut;
  std::vector<float> weight, bias;  // [nOut, nIn]; bias may be empty

  std::vector<float> operator()(const std::vector<float>& x) const {
    std::vector<float> y(nOut);
    for (int o = 0; o < nOut; o++) {
      double sum = bias.empty() ? 0 : bias[o];
      for (int i = 0; i < nIn; i++) sum += static_cast<double>(weight[static_cast<size_t>(o) * nIn + i]) * x[i];
      y[o] = static_cast<float>(sum);
    }
    return y;
  }
};

struct PlainNorm {
  std::vector<float> weight, bias;

  std::vector<float> operator()(const std::vector<float>& x) const {
    double mean = 0, variance = 0;
    for (const float each : x) mean += each / x.size();
    for (const float each : x) variance += (each - mean) * (each - mean) / x.size();
    std::vector<float> y(x.size());
    for (size_t i = 0; i < x.size(); i++) y[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
    return y;
  }
};

struct PlainBlock {
  PlainNorm attnNorm, crossNorm, mlpNorm;
  PlainLinear qkv, attnOut, crossQuery, crossOut, mlpIn, mlpOut;
};

// Keys and values of a window: [layer][head] of [nAudioCtx, kHeadSize].
struct PlainWindow {
  std::vector<std::vector<std::vector<float>>> keys, values;
};

// softmax(q.k / 8) v of one head.
void plainAttention(const float* query, const std::vector<const float*>& keys, const std::vector<const float*>& values,
                    float* out) {
  std::vector<double> weights;
  double top = -1e300, total = 0;
  for (const float* key : keys) {
    double score = 0;
    for (int i = 0; i < kHeadSize; i++) score += static_cast<double>(query[i]) * key[i];
    weights.push_back(score / 8);
    top = std::max(top, score / 8);
  }
  for (double& each : weights) total += each = std::exp(each - top);
  for (int i = 0; i < kHeadSize; i++) {
    double sum = 0;
    for (size_t p = 0; p < values.size(); p++) sum += weights[p] / total * values[p][i];
    out[i] = static_cast<float>(sum);
  }
}

struct Toy {
  Model model;
  std::vector<PlainBlock> blocks;
  PlainNorm norm;
  PlainLinear head;
  std::vector<float> embedding, positions;
  std::vector<uint16_t> halves;
  std::vector<Bytes> packed;
  std::vector<PlainWindow> plainWindows;
  std::vector<std::shared_ptr<Window>> windows;
  Random random;

  // ids: text below eot = 0.7 nVocab, 8 specials, timestamps.
  int eot() const { return model.dims.nVocab * 7 / 10; }
  int timestampBegin() const { return eot() + 8; }

  Toy(int state, int layers, int nVocab, int audio, int nTextCtx, unsigned seed) : random(seed) {
    model.dims = {80, audio, state, state / kHeadSize, 1, nVocab, nTextCtx, state, state / kHeadSize, layers};
    embedding = random.normals(static_cast<size_t>(nVocab) * state, 1);
    for (float& each : embedding) {
      halves.push_back(_cvtss_sh(each, 0));
      each = _cvtsh_ss(halves.back());
    }
    positions = random.normals(static_cast<size_t>(nTextCtx) * state, 1);
    model.tokenEmbedding = halves.data();
    model.textPositions = positions.data();
    blocks.resize(layers);
    model.decoder.resize(layers);
    for (int layer = 0; layer < layers; layer++) {
      PlainBlock& plain = blocks[layer];
      DecoderBlock& block = model.decoder[layer];
      make(plain.attnNorm, block.attnNorm, state);
      make(plain.crossNorm, block.crossNorm, state);
      make(plain.mlpNorm, block.mlpNorm, state);
      make(plain.qkv, block.qkv, state, 3 * state, 1.4f);
      make(plain.attnOut, block.attnOut, state, state, 2);
      make(plain.crossQuery, block.crossQuery, state, state, 1.4f);
      make(plain.crossOut, block.crossOut, state, state, 2);
      make(plain.mlpIn, block.mlpIn, state, 4 * state, 1);
      make(plain.mlpOut, block.mlpOut, 4 * state, state, 1);
    }
    make(norm, model.decoderNorm, state);
    Linear projection;
    make(head, projection, state, nVocab, 3, false);
    model.head = projection.weight;
    for (int window = 0; window < 3; window++) addWindow();
  }

  void make(PlainNorm& plain, Norm& norm, int size) {
    plain = {random.normals(size, 0.1f, 1), random.normals(size, 0.1f)};
    norm = {plain.weight.data(), plain.bias.data()};
  }

  void make(PlainLinear& plain, Linear& layer, int nIn, int nOut, float size, bool bias = true) {
    plain = {nIn, nOut, random.normals(static_cast<size_t>(nIn) * nOut, size / std::sqrt(static_cast<float>(nIn))), {}};
    if (bias) plain.bias = random.normals(nOut, 0.1f);
    packed.push_back(aligned(packedBytes(nIn, nOut)));
    packMatrix(plain.weight.data(), nIn, nOut, nIn, packed.back().get());
    layer = {viewPacked(packed.back().get(), nIn, nOut), bias ? plain.bias.data() : nullptr};
  }

  void addWindow() {
    const Dimensions& dims = model.dims;
    PlainWindow plain;
    auto window = std::make_shared<Window>(dims);
    plain.keys.resize(dims.nTextLayer);
    plain.values.resize(dims.nTextLayer);
    for (int layer = 0; layer < dims.nTextLayer; layer++) {
      for (int head = 0; head < dims.nTextHead; head++) {
        std::vector<float> keys = random.normals(static_cast<size_t>(dims.nAudioCtx) * kHeadSize, 1);
        const std::vector<float> mean = random.normals(kHeadSize, 2);
        for (size_t i = 0; i < keys.size(); i++) keys[i] += mean[i % kHeadSize];
        const std::vector<float> values = random.normals(keys.size(), 1);
        packKeys(keys.data(), kHeadSize, dims.nAudioCtx, window->keyBytes(layer, head), window->keyMean(layer, head));
        packValues(values.data(), kHeadSize, dims.nAudioCtx, window->valueBytes(layer, head));
        plain.keys[layer].push_back(keys);
        plain.values[layer].push_back(values);
      }
    }
    plainWindows.push_back(plain);
    windows.push_back(window);
  }

  // Logits of every position of a sequence, in plain float code. queries: cross-attention queries [layer] of
  // [tokens, state].
  std::vector<float> plainLogits(int window, const std::vector<int>& tokens,
                                 std::vector<std::vector<float>>* queries = nullptr) const {
    const size_t state = model.dims.nTextState;
    std::vector<std::vector<float>> x;
    for (size_t p = 0; p < tokens.size(); p++) {
      std::vector<float> row(state);
      for (size_t k = 0; k < state; k++) row[k] = embedding[tokens[p] * state + k] + positions[p * state + k];
      x.push_back(row);
    }
    const auto add = [](std::vector<float>& to, const std::vector<float>& from) {
      for (size_t k = 0; k < to.size(); k++) to[k] += from[k];
    };
    for (size_t layer = 0; layer < blocks.size(); layer++) {
      const PlainBlock& block = blocks[layer];
      std::vector<std::vector<float>> qkv;
      for (const auto& row : x) qkv.push_back(block.qkv(block.attnNorm(row)));
      if (queries != nullptr) queries->emplace_back();
      for (size_t p = 0; p < x.size(); p++) {
        std::vector<float> heard(state);
        for (size_t at = 0; at < state; at += kHeadSize) {
          std::vector<const float*> keys, values;
          for (size_t seen = 0; seen <= p; seen++) {
            keys.push_back(qkv[seen].data() + state + at);
            values.push_back(qkv[seen].data() + 2 * state + at);
          }
          plainAttention(qkv[p].data() + at, keys, values, heard.data() + at);
        }
        add(x[p], block.attnOut(heard));
        const std::vector<float> query = block.crossQuery(block.crossNorm(x[p]));
        if (queries != nullptr) queries->back().insert(queries->back().end(), query.begin(), query.end());
        for (size_t at = 0; at < state; at += kHeadSize) {
          std::vector<const float*> keys, values;
          for (int seen = 0; seen < model.dims.nAudioCtx; seen++) {
            keys.push_back(plainWindows[window].keys[layer][at / kHeadSize].data() + seen * kHeadSize);
            values.push_back(plainWindows[window].values[layer][at / kHeadSize].data() + seen * kHeadSize);
          }
          plainAttention(query.data() + at, keys, values, heard.data() + at);
        }
        add(x[p], block.crossOut(heard));
        std::vector<float> hidden = block.mlpIn(block.mlpNorm(x[p]));
        for (float& h : hidden) h = 0.5 * h * (1 + std::erf(h / std::sqrt(2.0)));
        add(x[p], block.mlpOut(hidden));
      }
    }
    std::vector<float> logits;
    for (const auto& row : x) {
      const std::vector<float> each = head(norm(row));
      logits.insert(logits.end(), each.begin(), each.end());
    }
    return logits;
  }
};

// Logits of every position of a sequence, run at once in rows of its own.
std::vector<float> runWhole(const Toy& toy, Decoder& decoder, int window, const std::vector<int>& tokens) {
  Rows rows(toy.model.dims, {toy.windows[window]});
  std::vector<NewToken> added;
  std::vector<int> wanted;
  for (const int token : tokens) {
    wanted.push_back(static_cast<int>(added.size()));
    added.push_back({0, token});
  }
  std::vector<float> logits(tokens.size() * toy.model.dims.nVocab);
  decoder.run(rows, added, wanted, logits.data());
  return logits;
}

bool same(const float* a, const float* b, size_t count) { return std::memcmp(a, b, count * sizeof(float)) == 0; }

// -----------------------------------------------------------------------------------------------------------------------
// Plain rules and rankings.

double plainLogSumExp(const std::vector<float>& x, int from, int to) {
  double top = -1e300, sum = 0;
  for (int i = from; i < to; i++) top = std::max<double>(top, x[i]);
  if (top <= -1e300) return kImpossible;
  for (int i = from; i < to; i++) sum += std::exp(x[i] - top);
  return top + std::log(sum);
}

// src/engine/token-rules.ts, line by line.
void plainRules(std::vector<float>& logits, const std::vector<int>& generated, const TokenRules& rules) {
  const int size = static_cast<int>(logits.size()), begin = rules.timestampBegin, n = static_cast<int>(generated.size());
  const auto fill = [&](int from, int to) {
    for (int i = from; i < std::min(to, size); i++) logits[i] = kImpossible;
  };
  if (n == 0) for (const int id : rules.suppressAtBegin) logits[id] = kImpossible;
  for (const int id : rules.suppress) logits[id] = kImpossible;
  if (!rules.timestamps) return;
  logits[rules.noTimestamps] = kImpossible;
  const bool lastWas = n >= 1 && generated[n - 1] >= begin;
  const bool penultimateWas = n < 2 || generated[n - 2] >= begin;
  if (lastWas && penultimateWas) fill(begin, size);
  if (lastWas && !penultimateWas) fill(0, rules.eot);
  int last = -1;
  for (int i = n - 1; i >= 0 && last < 0; i--) if (generated[i] >= begin) last = generated[i];
  if (last >= 0) fill(begin, lastWas && !penultimateWas ? last : last + 1);
  if (n == 0) {
    fill(0, begin);
    if (rules.maxInitialTimestampIndex >= 0) fill(begin + rules.maxInitialTimestampIndex + 1, size);
  }
  float text = kImpossible;
  for (int i = 0; i < begin; i++) text = std::max(text, logits[i]);
  if (plainLogSumExp(logits, begin, size) > text) fill(0, begin);
}

TokenRules rulesOf(int eot, int begin, bool timestamps) {
  TokenRules rules;
  rules.eot = eot;
  rules.timestampBegin = begin;
  for (int id = eot + 1; id < begin; id++) rules.suppress.push_back(id);
  rules.suppressAtBegin = {eot, 3};
  rules.timestamps = timestamps;
  rules.noTimestamps = begin - 1;
  rules.maxInitialTimestampIndex = 10;
  return rules;
}

History historyOf(const std::vector<int>& generated, const TokenRules& rules) {
  History history;
  for (const int token : generated) history.add(token, rules);
  return history;
}

void testRules() {
  Random random(1);
  bool equal = true;
  int forced = 0, free = 0;
  for (int turn = 0; turn < 3000; turn++) {
    const int size = turn % 10 == 0 ? 51865 : 250 + random.below(80);
    const int eot = size * 7 / 10, begin = size > 50000 ? 50364 : eot + 8;
    TokenRules rules = rulesOf(eot, begin, random.chance(0.8));
    rules.maxInitialTimestampIndex = random.below(size - begin + 5) - 1;
    for (int i = random.below(40); i > 0; i--) rules.suppress.push_back(random.below(size));
    std::vector<int> generated;
    for (int i = random.below(6); i > 0; i--) {
      generated.push_back(random.chance(0.5) ? begin + random.below(size - begin) : random.below(eot));
    }
    std::vector<float> logits = random.normals(size, 3);
    // Timestamps now likelier, now less likely than the text.
    for (int i = begin; i < size; i++) logits[i] += 3 * random.normal() - 3;
    std::vector<float> expected = logits;
    plainRules(expected, generated, rules);
    applyTokenRules(logits.data(), size, historyOf(generated, rules), rules);
    equal = equal && same(logits.data(), expected.data(), size);
    if (rules.timestamps) (*std::max_element(expected.begin(), expected.begin() + begin) == kImpossible ? forced : free)++;
  }
  check(equal, "applyTokenRules() forbids what the plain rules forbid");
  check(std::min(forced, free) > 200, "the random rules force timestamps at times");
}

void testRankings() {
  Random random(2);
  bool best = true, top = true;
  double error = 0;
  for (int turn = 0; turn < 400; turn++) {
    const int size = turn % 20 == 0 ? 51865 : 1 + random.below(200);
    std::vector<float> x = random.normals(size, 4);
    // Many ties, and few possible ones at times.
    if (turn % 3 == 0) for (float& each : x) each = std::round(each);
    if (turn % 4 == 0) for (float& each : x) if (random.chance(0.97)) each = kImpossible;
    std::vector<int> order;
    for (int i = 0; i < size; i++) if (x[i] > kImpossible) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return x[a] > x[b]; });
    const double normalizer = plainLogSumExp(x, 0, size);
    const int k = 1 + random.below(8);
    std::vector<int> ids(k, 77);
    std::vector<float> logprobs(k, 77);
    topTokens(x.data(), size, k, ids.data(), logprobs.data());
    for (int i = 0; i < k; i++) {
      const bool possible = i < static_cast<int>(order.size());
      top = top && ids[i] == (possible ? order[i] : -1);
      if (possible) error = std::max(error, std::fabs(logprobs[i] - (x[order[i]] - normalizer)));
    }
    const Choice choice = likeliest(x.data(), size);
    best = best && choice.id == (order.empty() ? 0 : order[0]) && !(choice.logprob > 0);
    if (order.empty()) {
      best = best && std::isnan(choice.logprob) && logSumExp(x.data(), size) == kImpossible;
    } else {
      error = std::max(error, std::fabs(choice.logprob - (x[order[0]] - normalizer)));
      error = std::max(error, std::fabs(logSumExp(x.data(), size) - normalizer));
    }
  }
  check(best, "likeliest() is the first of the best");
  check(top, "topTokens() is in order, lower ids first, -1 where none is left");
  // Rounding of float32 results up to 20 in size is 1e-6.
  checkBelow(error, 1.5e-6, "log-probabilities against float64");
}

// -----------------------------------------------------------------------------------------------------------------------

void testSelfCache() {
  // Beams as plain lists of copied keys and values.
  Dimensions dims{};
  dims.nTextCtx = 100;
  dims.nTextLayer = 2;
  dims.nTextHead = 3;
  const int count = 5;
  Random random(3);
  SelfCache cache(dims, count);
  struct Copies {
    std::vector<std::vector<float>> keys, values;
  };
  std::vector<Copies> rows(count);
  Scratch scratch;
  double error = 0;
  for (int position = 0; position < dims.nTextCtx; position++) {
    if (position > 0 && random.chance(0.6)) {
      std::vector<int> from;
      for (int row = 0; row < count; row++) from.push_back(random.below(count));
      cache.reorder(from);
      const std::vector<Copies> before = rows;
      for (int row = 0; row < count; row++) rows[row] = before[from[row]];
    }
    for (int row = 0; row < count; row++) {
      // Numbers that float16 holds.
      for (auto* part : {&rows[row].keys, &rows[row].values}) {
        part->push_back(random.normals(6 * kHeadSize, 1));
        for (float& each : part->back()) each = _cvtsh_ss(_cvtss_sh(each, 0));
      }
      cache.reserve(row, 1);
      cache.append(row);
      for (int part = 0; part < 6; part++) {
        cache.write(row, position, part / 3, part % 3, rows[row].keys.back().data() + part * kHeadSize,
                    rows[row].values.back().data() + part * kHeadSize);
      }
    }
    for (int row = 0; row < count; row++) {
      const int part = random.below(6);
      const std::vector<float> query = random.normals(kHeadSize, 2);
      std::vector<const float*> keys, values;
      for (const auto& each : rows[row].keys) keys.push_back(each.data() + part * kHeadSize);
      for (const auto& each : rows[row].values) values.push_back(each.data() + part * kHeadSize);
      float actual[kHeadSize], expected[kHeadSize];
      plainAttention(query.data(), keys, values, expected);
      cache.attend(row, position + 1, part / 3, part % 3, query.data(), scratch, actual);
      error = std::max(error, relativeError(actual, expected, kHeadSize));
    }
  }
  // Scores of about 2 are rounded by 1e-7 of that in every one of 64 products.
  checkBelow(error, 3e-6, "SelfCache::attend() after random reorders, against copies in float64");
}

void testAgainstPlain(int state, int nVocab, int audio) {
  const std::string name = "state " + std::to_string(state) + ", " + std::to_string(audio) + " positions of audio: ";
  Toy toy(state, 2, nVocab, audio, 45, state + audio);
  Threads threads(2);
  Decoder decoder(toy.model, threads);
  double error = 0, difference = 1;
  for (int window = 0; window < 3; window++) {
    const std::vector<int> tokens = toy.random.tokens(12 + 11 * window, nVocab);
    const std::vector<float> expected = toy.plainLogits(window, tokens);
    error = std::max(error, relativeError(runWhole(toy, decoder, window, tokens).data(), expected.data(), expected.size()));
    // What the bound is worth: with the audio of another window, the logits are others.
    const std::vector<float> other = toy.plainLogits((window + 1) % 3, tokens);
    difference = std::min(difference, relativeError(other.data(), expected.data(), expected.size()));
  }
  // A product of 8-bit numbers is wrong by about 1 %: steps of 1/127 of the largest, which is three deviations, make errors
  // of 0.7 % in either factor. Those of ten products, some behind a softmax, add up.
  checkBelow(error, 0.03, name + "logits against plain float code");
  check(difference > 0.2, name + "the audio matters");

  const std::vector<int> tokens = toy.random.tokens(20, toy.eot());
  const std::vector<std::pair<int, int>> heads = {{1, 0}, {0, state / kHeadSize - 1}, {1, state / kHeadSize - 1}};
  const int from = 3;
  std::vector<float> scores(heads.size() * tokens.size() * audio), probs(tokens.size() - from - 2);
  decoder.attend(toy.windows[1], tokens, from, toy.eot(), heads, scores.data(), probs.data());
  std::vector<std::vector<float>> queries;
  toy.plainLogits(1, tokens, &queries);
  std::vector<float> expected;
  for (const auto& [layer, head] : heads) {
    for (size_t t = 0; t < tokens.size(); t++) {
      for (int p = 0; p < audio; p++) {
        double sum = 0;
        for (int k = 0; k < kHeadSize; k++) {
          sum += queries[layer][t * state + head * kHeadSize + k] * toy.plainWindows[1].keys[layer][head][p * kHeadSize + k];
        }
        expected.push_back(static_cast<float>(sum / 8));
      }
    }
  }
  const double scoresError = relativeError(scores.data(), expected.data(), expected.size());
  checkBelow(scoresError, 0.04, name + "attend() scores against plain float code");
  const std::vector<float> logits = runWhole(toy, decoder, 1, tokens);
  double wrong = 0;
  for (size_t i = 0; i < probs.size(); i++) {
    const std::vector<float> row(logits.begin() + (from + i) * nVocab, logits.begin() + (from + i + 1) * nVocab);
    wrong = std::max(wrong, std::fabs(probs[i] - std::exp(row[tokens[from + 1 + i]] - plainLogSumExp(row, 0, toy.eot()))));
  }
  checkBelow(wrong, 1e-6, name + "attend() probabilities against the logits of run()");
}

void testExactness() {
  Toy toy(128, 2, 301, 37, 45, 5);
  const int nVocab = toy.model.dims.nVocab;
  Threads one(1), three(3);
  Decoder decoder(toy.model, one), other(toy.model, three);

  const std::vector<int> tokens = toy.random.tokens(45, nVocab);
  const std::vector<float> whole = runWhole(toy, decoder, 0, tokens);
  const std::vector<float> threaded = runWhole(toy, other, 0, tokens);
  check(same(whole.data(), threaded.data(), whole.size()), "run() gives the same on one thread and on three");

  // Rows of several windows and lengths: parts of any size in one call, in mixed order.
  bool equal = true;
  for (int turn = 0; turn < 10; turn++) {
    const int count = 1 + toy.random.below(20);
    std::vector<std::shared_ptr<Window>> windows;
    std::vector<std::vector<int>> sequences;
    std::vector<std::vector<float>> expected;
    for (int row = 0; row < count; row++) {
      const int window = toy.random.below(3);
      windows.push_back(toy.windows[window]);
      sequences.push_back(toy.random.tokens(1 + toy.random.below(45), nVocab));
      expected.push_back(runWhole(toy, decoder, window, sequences.back()));
    }
    Rows rows(toy.model.dims, windows);
    std::vector<size_t> done(count);
    for (bool going = true; going;) {
      going = false;
      std::vector<NewToken> added;
      std::vector<size_t> position;
      for (int parts = 0; parts < 2; parts++) {
        for (int row = 0; row < count; row++) {
          const size_t left = sequences[row].size() - done[row];
          const size_t now = std::min<size_t>(left, toy.random.chance(0.3) ? toy.random.below(20) : toy.random.below(2));
          for (size_t i = 0; i < now; i++) {
            position.push_back(done[row]);
            added.push_back({row, sequences[row][done[row]++]});
          }
          going = going || done[row] < sequences[row].size();
        }
      }
      std::vector<int> wanted;
      for (size_t i = 0; i < added.size(); i++) if (toy.random.chance(0.7)) wanted.push_back(static_cast<int>(i));
      std::shuffle(wanted.begin(), wanted.end(), toy.random.engine);
      std::vector<float> logits(wanted.size() * nVocab);
      (turn % 2 == 0 ? decoder : other).run(rows, added, wanted, logits.data());
      for (size_t i = 0; i < wanted.size(); i++) {
        const float* row = expected[added[wanted[i]].row].data() + position[wanted[i]] * nVocab;
        equal = equal && same(logits.data() + i * nVocab, row, nVocab);
      }
    }
    for (int row = 0; row < count; row++) equal = equal && rows.length(row) == static_cast<int>(sequences[row].size());
  }
  check(equal, "run() in parts, beside any other rows, gives the logits of each sequence alone");
}

void testReorder() {
  Toy toy(64, 2, 299, 12, 45, 6);
  const int nVocab = toy.model.dims.nVocab;
  Threads threads(2);
  Decoder decoder(toy.model, threads);
  // Two windows of five beams each.
  std::vector<std::shared_ptr<Window>> windows;
  for (int row = 0; row < 10; row++) windows.push_back(toy.windows[row / 5]);
  Rows rows(toy.model.dims, windows);
  std::vector<std::vector<int>> histories(10);
  const TokenRules rules = rulesOf(toy.eot(), toy.timestampBegin(), true);
  bool equal = true, ranked = true;
  for (int position = 0; position < 45; position++) {
    if (position > 0) {
      std::vector<int> from;
      for (int row = 0; row < 10; row++) from.push_back(row / 5 * 5 + toy.random.below(5));
      rows.reorder(from);
      const auto before = histories;
      for (int row = 0; row < 10; row++) histories[row] = before[from[row]];
    }
    const std::vector<int> tokens = toy.random.tokens(10, nVocab);
    std::vector<History> rulesHistories;
    for (int row = 0; row < 10; row++) {
      histories[row].push_back(tokens[row]);
      rulesHistories.push_back(historyOf(histories[row], rules));
    }
    const int k = 6;
    std::vector<float> logits(10 * nVocab);
    Top top;
    if (position % 2 == 0) {
      std::vector<NewToken> added;
      std::vector<int> wanted;
      for (int row = 0; row < 10; row++) {
        added.push_back({row, tokens[row]});
        wanted.push_back(row);
      }
      decoder.run(rows, added, wanted, logits.data());
    } else {
      top = decoder.stepTop(rows, tokens, rulesHistories, rules, k);
    }
    for (int row = 0; row < 10; row++) {
      const std::vector<float> whole = runWhole(toy, decoder, row / 5, histories[row]);
      if (position % 2 == 0) {
        equal = equal && same(logits.data() + row * nVocab, whole.data() + position * nVocab, nVocab);
        continue;
      }
      std::vector<float> last(whole.begin() + position * nVocab, whole.end());
      plainRules(last, histories[row], rules);
      const double normalizer = plainLogSumExp(last, 0, nVocab);
      std::vector<int> order(nVocab);
      for (int i = 0; i < nVocab; i++) order[i] = i;
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return last[a] > last[b]; });
      for (int i = 0; i < k; i++) {
        const bool possible = last[order[i]] > kImpossible;
        ranked = ranked && top.ids[row * k + i] == (possible ? order[i] : -1);
        if (possible) ranked = ranked && std::fabs(top.logprobs[row * k + i] - (last[order[i]] - normalizer)) < 2e-6;
      }
    }
  }
  check(equal, "run() after random reorders gives the logits of each row's whole history");
  check(ranked, "stepTop() gives the best of those logits by the rules");
}

// Plain program of greedy generation: one row, one token after another.
Generated generatePlainly(const Toy& toy, Decoder& decoder, const GenerateRequest& request, int window) {
  const int nVocab = toy.model.dims.nVocab;
  Generated result{};
  std::vector<int> tokens = request.prompt;
  const auto rowOf = [&](const std::vector<float>& all, size_t position) {
    return std::vector<float>(all.begin() + position * nVocab, all.begin() + (position + 1) * nVocab);
  };
  const std::vector<float> atSot = rowOf(runWhole(toy, decoder, window, tokens), request.sotIndex);
  result.noSpeechProb = static_cast<float>(std::exp(atSot[request.noSpeech] - plainLogSumExp(atSot, 0, nVocab)));
  while (static_cast<int>(result.tokens.size()) < request.maxNewTokens) {
    std::vector<float> logits = rowOf(runWhole(toy, decoder, window, tokens), tokens.size() - 1);
    plainRules(logits, result.tokens, request.rules);
    const int token = static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    result.logprobs.push_back(static_cast<float>(logits[token] - plainLogSumExp(logits, 0, nVocab)));
    result.ended = token == request.rules.eot;
    if (result.ended) break;
    result.tokens.push_back(token);
    tokens.push_back(token);
  }
  return result;
}

// All requests to their ends, so many steps at a time.
std::vector<Generated> generate(const Toy& toy, Decoder& decoder, const std::vector<GenerateRequest>& requests, int maxRows,
                                int steps) {
  std::vector<Generated> results(requests.size());
  Generation generation(toy.model.dims, maxRows);
  for (const GenerateRequest& request : requests) generation.add(request);
  for (size_t ended = 0; ended < requests.size();) {
    for (Finished& each : decoder.advance(generation, steps)) {
      results[each.number] = std::move(each.generated);
      ended++;
    }
  }
  return results;
}

void testGenerate() {
  Toy toy(64, 2, 300, 30, 45, 7);
  Threads one(1), two(2);
  Decoder decoder(toy.model, one), other(toy.model, two);
  std::vector<GenerateRequest> requests;
  std::vector<int> windows;
  for (int i = 0; i < 23; i++) {
    GenerateRequest request;
    windows.push_back(toy.random.below(3));
    request.window = toy.windows[windows.back()];
    request.prompt = toy.random.tokens(1 + toy.random.below(9), toy.eot());
    const int length = static_cast<int>(request.prompt.size());
    request.sotIndex = i % 3 == 0 ? length - 1 : toy.random.below(length);
    request.noSpeech = toy.timestampBegin() - 2;
    request.maxNewTokens = i % 8 == 0 ? 0 : i % 8 == 1 ? 1 : i % 8 == 2 ? 45 - length : 20;
    request.rules = rulesOf(toy.eot(), toy.timestampBegin(), i % 2 == 0);
    // Few words left, so that endoftext turns up.
    for (int id = 0; id < toy.eot(); id++) if (toy.random.chance(0.95)) request.rules.suppress.push_back(id);
    requests.push_back(request);
  }
  std::vector<Generated> expected;
  for (size_t i = 0; i < requests.size(); i++) expected.push_back(generatePlainly(toy, decoder, requests[i], windows[i]));
  int ended = 0, full = 0;
  for (const Generated& each : expected) (each.ended ? ended : full)++;
  check(std::min(ended, full) >= 4, "the requests end in both ways");

  const auto sameTokens = [](const Generated& a, const Generated& b) { return a.tokens == b.tokens && a.ended == b.ended; };
  bool right = true, alone = true;
  double error = 0;
  const std::vector<Generated> reference = generate(toy, other, requests, 4, 1000);
  for (size_t i = 0; i < requests.size(); i++) {
    right = right && sameTokens(reference[i], expected[i]) && reference[i].logprobs.size() == expected[i].logprobs.size();
    for (size_t t = 0; t < reference[i].logprobs.size() && right; t++) {
      error = std::max<double>(error, std::fabs(reference[i].logprobs[t] - expected[i].logprobs[t]));
    }
    error = std::max<double>(error, std::fabs(reference[i].noSpeechProb - expected[i].noSpeechProb));
  }
  check(right, "advance() gives the tokens of the plain program");
  checkBelow(error, 2e-6, "advance() probabilities against the plain program");
  const auto isReference = [&](const Generated& each, size_t i) {
    return sameTokens(each, reference[i]) && each.logprobs == reference[i].logprobs &&
           each.noSpeechProb == reference[i].noSpeechProb;
  };
  for (const int maxRows : {1, 3, 16, 64}) {
    for (const int steps : {1, 5, 1000}) {
      const std::vector<Generated> batch = generate(toy, decoder, requests, maxRows, steps);
      for (size_t i = 0; i < requests.size(); i++) alone = alone && isReference(batch[i], i);
    }
  }
  check(alone, "advance() gives the same with 1, 3, 4, 16 and all rows, 1, 5 and all steps at a time");

  Generation generation(toy.model.dims, 4);
  check(decoder.advance(generation, 5).empty(), "advance() of no requests is no results");
  // Requests come one a step, every third is cancelled two steps later: the others are as they were.
  std::vector<bool> done(requests.size());
  bool joined = true;
  for (size_t step = 0; step < 600; step++) {
    if (step < requests.size()) joined = joined && generation.add(requests[step]) == static_cast<int>(step);
    if (step >= 2 && step - 2 < requests.size() && (step - 2) % 3 == 0) generation.cancel(static_cast<int>(step) - 2);
    for (const Finished& each : decoder.advance(generation, 1)) {
      joined = joined && isReference(each.generated, each.number) && !done[each.number];
      done[each.number] = true;
    }
  }
  bool complete = true;
  for (size_t i = 0; i < requests.size(); i++) complete = complete && (done[i] || i % 3 == 0);
  check(joined && complete, "advance() gives the same to requests that join others under way, some of which are cancelled");
  check(!done[3], "cancel() gives a request up that is under way");
}

void testLimits() {
  Toy toy(64, 1, 300, 12, 10, 8);
  Threads threads(1);
  Decoder decoder(toy.model, threads);
  Rows rows(toy.model.dims, {toy.windows[0], toy.windows[0]});
  const auto throws = [](const std::function<void()>& work) {
    try {
      work();
    } catch (const std::logic_error&) {
      return true;
    }
    return false;
  };
  decoder.run(rows, {{0, 1}, {0, 2}, {1, 3}}, {}, nullptr);
  check(throws([&] { rows.reorder({1, 1}); }), "reorder() refuses to make a row shorter");
  check(throws([&] { decoder.run(rows, std::vector<NewToken>(9, {0, 1}), {}, nullptr); }) && rows.length(0) == 2,
        "run() refuses more tokens than the model has room for, and leaves the rows alone");
  rows.reorder({0, 0});
  check(rows.length(1) == 2, "reorder() takes a longer row");
}

}  // namespace

int main() {
  std::printf("instruction set: %s\n", isaName(detectIsa()));
  testRules();
  testRankings();
  testSelfCache();
  testAgainstPlain(64, 300, 12);
  testAgainstPlain(128, 301, 37);
  testAgainstPlain(128, 333, 40);
  testExactness();
  testReorder();
  testGenerate();
  testLimits();
  return result();
}
