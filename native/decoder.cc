// The decoder's layers: one pass over any mixture of new tokens. Weights are read once for all of them, a window's keys and
// values once for all that listen to it.
#include "decoder.h"

#include <algorithm>
#include <cmath>

#include "decoder_parts.h"

namespace sotto {
namespace {

// A token of this pass, and where it stands in its row.
struct Placed {
  int row, token, position;
};

// Tokens that listen to one window lie together.
struct Listeners {
  const Window* window;
  size_t from, count;
};

// Enough of row-wise work for a chunk.
constexpr size_t kRowsPerChunk = 8;
// Enough of self-attention for a chunk, in heads times positions: some microseconds.
constexpr size_t kAttentionPerChunk = 2048;
// Logits of this many tokens lie in memory at a time where all tokens of a sequence are asked for.
constexpr size_t kLogitsAtATime = 64;

void forRows(Threads& threads, size_t rows, const std::function<void(int from, int to)>& work) {
  threads.run((rows + kRowsPerChunk - 1) / kRowsPerChunk, [&](size_t chunk, int) {
    const size_t from = chunk * kRowsPerChunk;
    work(static_cast<int>(from), static_cast<int>(std::min(rows, from + kRowsPerChunk)));
  });
}

// Room for the rows that are multiplied next; the scratch memory then holds nothing else.
QuantizedRows quantizedRows(Scratch& scratch, size_t rows, size_t cols) {
  const size_t readable = roundUp(rows, 16);
  QuantizedRows q;
  q.rows = static_cast<int>(rows);
  q.cols = static_cast<int>(cols);
  q.stride = roundUp(cols, kBlockIn);
  q.bytes = scratch.get<uint8_t>(readable * (q.stride + sizeof(float)));
  q.scales = reinterpret_cast<float*>(q.bytes + readable * q.stride);
  return q;
}

// The order in which tokens are run: those of one window together, otherwise as given. places: of each token given.
std::vector<Placed> arrange(const std::vector<NewToken>& tokens, const Rows& rows,
                            const std::vector<std::shared_ptr<Window>>& windows, std::vector<int>& places,
                            std::vector<Listeners>& groups) {
  std::vector<Placed> placed(tokens.size());
  std::vector<int> length(rows.count());
  for (int row = 0; row < rows.count(); row++) length[row] = rows.length(row);
  std::vector<size_t> group(tokens.size());
  groups.clear();
  for (size_t i = 0; i < tokens.size(); i++) {
    const Window* window = windows[tokens[i].row].get();
    size_t at = 0;
    while (at < groups.size() && groups[at].window != window) at++;
    if (at == groups.size()) groups.push_back({window, 0, 0});
    groups[at].count++;
    group[i] = at;
  }
  for (size_t at = 1; at < groups.size(); at++) groups[at].from = groups[at - 1].from + groups[at - 1].count;
  places.resize(tokens.size());
  std::vector<size_t> next;
  for (const Listeners& each : groups) next.push_back(each.from);
  for (size_t i = 0; i < tokens.size(); i++) {
    const auto [row, token] = tokens[i];
    const size_t place = next[group[i]]++;
    places[i] = static_cast<int>(place);
    placed[place] = {row, token, length[row]++};
  }
  return placed;
}

}  // namespace

Rows::Rows(const Dimensions& dims, std::vector<std::shared_ptr<Window>> windows) {
  const int count = static_cast<int>(windows.size());
  state_.reset(new State{std::move(windows), SelfCache(dims, count)});
}

Rows::~Rows() = default;

int Rows::count() const { return state_->cache.rows(); }

int Rows::length(int row) const { return state_->cache.length(row); }

void Rows::reorder(const std::vector<int>& from) {
  state_->cache.reorder(from);
  std::vector<std::shared_ptr<Window>> windows;
  for (const int row : from) windows.push_back(state_->windows[row]);
  state_->windows = std::move(windows);
}

Decoder::Decoder(const Model& model, Threads& threads)
    : model_(model), threads_(threads), buffers_(std::make_unique<Buffers>(threads.count())) {}

Decoder::~Decoder() = default;

void Decoder::run(Rows& rows, const std::vector<NewToken>& tokens, const std::vector<int>& wanted, float* logits) {
  if (tokens.empty()) return;
  forward(rows, tokens, nullptr);
  project(wanted, logits);
}

void Decoder::forward(Rows& rows, const std::vector<NewToken>& tokens, const QueryListener& listener) {
  Buffers& b = *buffers_;
  SelfCache& cache = rows.state_->cache;
  const size_t count = tokens.size();
  const size_t state = model_.dims.nTextState;
  const size_t heads = model_.dims.nTextHead;

  std::vector<int> added(rows.count());
  for (const NewToken& token : tokens) added[token.row]++;
  for (int row = 0; row < rows.count(); row++) cache.reserve(row, added[row]);

  std::vector<Listeners> groups;
  const std::vector<Placed> placed = arrange(tokens, rows, rows.state_->windows, b.places, groups);
  float* x = b.states.get<float>(count * state);
  float* projected = b.projected.get<float>(count * 3 * state);
  float* attended = b.attended.get<float>(count * state);
  for (const NewToken& token : tokens) cache.append(token.row);

  size_t attention = 0;  // heads times positions
  for (const Placed& token : placed) attention += heads * (token.position + 1);
  const size_t units = count * heads;
  const size_t attentionChunks = std::clamp<size_t>(attention / kAttentionPerChunk, 1, units);

  forRows(threads_, count, [&](int from, int to) {
    for (int i = from; i < to; i++) {
      float* row = x + i * state;
      fromFloat16(model_.tokenEmbedding + placed[i].token * state, state, row);
      const float* position = model_.textPositions + placed[i].position * state;
      for (size_t k = 0; k < state; k++) row[k] += position[k];
    }
  });

  // The next rows to be multiplied: states after a norm, or what attention gave.
  const auto normed = [&](const Norm& norm) {
    QuantizedRows q = quantizedRows(b.quantized, count, state);
    forRows(threads_, count, [&](int from, int to) { normAndQuantize(x, state, norm, from, to, q); });
    return q;
  };
  const auto quantized = [&](const float* y, size_t cols) {
    QuantizedRows q = quantizedRows(b.quantized, count, cols);
    forRows(threads_, count, [&](int from, int to) { quantizeRows(y, cols, from, to, q); });
    return q;
  };
  const auto apply = [&](const Linear& layer, const QuantizedRows& q, Then then, float* y, size_t stride) {
    linear(threads_, q, layer.weight, layer.bias, then, y, stride);
  };

  for (int layer = 0; layer < model_.dims.nTextLayer; layer++) {
    const DecoderBlock& block = model_.decoder[layer];
    const size_t stride = 3 * state;
    apply(block.qkv, normed(block.attnNorm), Then::kNothing, projected, stride);
    forRows(threads_, count, [&](int from, int to) {
      for (int i = from; i < to; i++) {
        const float* key = projected + i * stride + state;
        for (size_t head = 0; head < heads; head++) {
          cache.write(placed[i].row, placed[i].position, layer, static_cast<int>(head), key + head * kHeadSize,
                      key + state + head * kHeadSize);
        }
      }
    });
    threads_.run(attentionChunks, [&](size_t chunk, int worker) {
      const size_t to = units * (chunk + 1) / attentionChunks;
      for (size_t unit = units * chunk / attentionChunks; unit < to; unit++) {
        const size_t i = unit / heads, head = unit % heads, at = head * kHeadSize;
        cache.attend(placed[i].row, placed[i].position + 1, layer, static_cast<int>(head), projected + i * stride + at,
                     b.workers[worker], attended + i * state + at);
      }
    });
    apply(block.attnOut, quantized(attended, state), Then::kAdd, x, state);

    apply(block.crossQuery, normed(block.crossNorm), Then::kNothing, projected, state);
    if (listener) listener(layer, projected);
    threads_.run(groups.size() * heads, [&](size_t chunk, int worker) {
      const auto [window, from, members] = groups[chunk / heads];
      const int head = static_cast<int>(chunk % heads);
      const size_t at = from * state + head * kHeadSize;
      attendPacked(projected + at, state, static_cast<int>(members), window->keys(layer, head), window->values(layer, head),
                   b.workers[worker], attended + at, state);
    });
    apply(block.crossOut, quantized(attended, state), Then::kAdd, x, state);

    const size_t mlp = block.mlpIn.weight.nOut;
    float* hidden = b.hidden.get<float>(count * mlp);
    apply(block.mlpIn, normed(block.mlpNorm), Then::kGelu, hidden, mlp);
    apply(block.mlpOut, quantized(hidden, mlp), Then::kAdd, x, state);
  }
}

void Decoder::project(const std::vector<int>& wanted, float* logits) {
  if (wanted.empty()) return;
  Buffers& b = *buffers_;
  const size_t state = model_.dims.nTextState;
  const float* states = b.states.get<float>(b.places.size() * state);
  float* chosen = b.chosen.get<float>(wanted.size() * state);
  QuantizedRows q = quantizedRows(b.quantized, wanted.size(), state);
  forRows(threads_, wanted.size(), [&](int from, int to) {
    for (int i = from; i < to; i++) std::copy_n(states + b.places[wanted[i]] * state, state, chosen + i * state);
    normAndQuantize(chosen, state, model_.decoderNorm, from, to, q);
  });
  linear(threads_, q, model_.head, nullptr, Then::kNothing, logits, model_.dims.nVocab);
}

void Decoder::attend(std::shared_ptr<Window> window, const std::vector<int>& tokens, int from, int eot,
                     const std::vector<std::pair<int, int>>& heads, float* scores, float* tokenProbs) {
  const size_t state = model_.dims.nTextState;
  const size_t audio = model_.dims.nAudioCtx;
  const size_t count = tokens.size();
  if (count == 0) return;
  Rows rows(model_.dims, {window});
  std::vector<NewToken> sequence;
  for (const int token : tokens) sequence.push_back({0, token});

  Scratch quantized;  // that of the pass holds what comes next
  forward(rows, sequence, [&](int layer, const float* queries) {
    for (size_t n = 0; n < heads.size(); n++) {
      if (heads[n].first != layer) continue;
      const int head = heads[n].second;
      const float* query = queries + head * kHeadSize;
      float* out = scores + n * count * audio;
      QuantizedRows q = quantizedRows(quantized, count, kHeadSize);
      forRows(threads_, count, [&](int a, int z) { quantizeRows(query, state, a, z, q); });
      linear(threads_, q, window->keys(layer, head), nullptr, Then::kNothing, out, audio);
      // What was taken away from the keys: the same for all positions of the audio.
      const float* mean = window->keyMean(layer, head);
      forRows(threads_, count, [&](int a, int z) {
        for (int i = a; i < z; i++) {
          float shift = 0;
          for (int k = 0; k < kHeadSize; k++) shift += query[i * state + k] * mean[k];
          for (size_t p = 0; p < audio; p++) out[i * audio + p] = (out[i * audio + p] + shift) * 0.125f;
        }
      });
    }
  });

  // tokenProbs[i] is of tokens[from + 1 + i], which the token before it predicts; the last token is the end.
  const size_t text = count >= static_cast<size_t>(from) + 2 ? count - from - 2 : 0;
  const size_t vocabulary = model_.dims.nVocab;
  for (size_t done = 0; done < text; done += kLogitsAtATime) {
    const size_t now = std::min(kLogitsAtATime, text - done);
    std::vector<int> wanted;
    for (size_t i = 0; i < now; i++) wanted.push_back(from + static_cast<int>(done + i));
    float* logits = buffers_->logits.get<float>(now * vocabulary);
    project(wanted, logits);
    threads_.run(now, [&](size_t i, int) {
      const float* row = logits + i * vocabulary;
      tokenProbs[done + i] = static_cast<float>(std::exp(row[tokens[from + 1 + done + i]] - logSumExp(row, eot)));
    });
  }
}

}  // namespace sotto
