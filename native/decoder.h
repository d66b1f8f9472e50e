// Token sequences over encoded windows: any mixture of rows and positions in one pass, greedy generation, and the likeliest
// tokens for beams.
//
// Self-attention keys and values of a row lie in the row's places, one a position; a row that goes on from another one only
// copies its list of places, so beams cost no copies of caches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "layers.h"
#include "model.h"
#include "threads.h"

namespace sotto {

// Which tokens may come next: the record of src/engine/token-rules.ts.
struct TokenRules {
  int eot, timestampBegin;
  std::vector<int> suppress, suppressAtBegin;
  bool timestamps;
  int noTimestamps;               // where timestamps hold
  int maxInitialTimestampIndex;   // -1: no limit
};

// What the rules need to know of the tokens generated so far.
struct History {
  int count = 0;
  bool lastIsTimestamp = false;
  bool penultimateIsTimestamp = true;  // also when there are fewer than two
  int lastTimestamp = -1;              // id, -1: none yet
  void add(int token, const TokenRules& rules);
};

// Sets forbidden logits [nVocab] to -infinity, exactly as applyTokenRules in src/engine/token-rules.ts.
void applyTokenRules(float* logits, int nVocab, const History& history, const TokenRules& rules);

// log(sum(exp(x))) of count values; -infinity if all are.
double logSumExp(const float* x, size_t count);

// Token sequences under way: caches of `rows` rows.
class Rows {
 public:
  Rows(const Dimensions& dims, std::vector<std::shared_ptr<Window>> windows);  // the window of each row
  ~Rows();
  int count() const;
  // Tokens that a row has so far.
  int length(int row) const;
  // Row i becomes a copy of what row from[i] was. Throws std::invalid_argument if row i would become shorter: rows are one
  // as long as the other wherever they are reordered.
  void reorder(const std::vector<int>& from);

 private:
  friend class Decoder;
  friend class Generation;
  struct State;
  std::unique_ptr<State> state_;
};

// One new token of one row; tokens of a row come in order.
struct NewToken {
  int row;
  int token;
};

struct GenerateRequest {
  std::shared_ptr<Window> window;
  std::vector<int> prompt;
  int sotIndex, noSpeech, maxNewTokens;
  TokenRules rules;
};

struct Generated {
  std::vector<int> tokens;        // without endoftext
  std::vector<float> logprobs;    // one more, for endoftext, if ended
  float noSpeechProb = 0;
  bool ended = false;
};

// Greedy generation that is run a few steps at a time (Decoder::advance), so that other work gets its turn between. Requests may be
// added and cancelled whenever no step is running.
class Generation {
 public:
  // At most maxRows rows run at a time; when one ends, the next request takes its place.
  Generation(const Dimensions& dims, int maxRows);
  ~Generation();
  // Returns the request's number: 0, 1, 2 ...
  int add(GenerateRequest request);
  // Gives a request up; nothing happens if it has ended.
  void cancel(int number);

 private:
  friend class Decoder;
  struct State;
  std::unique_ptr<State> state_;
};

// A request that has ended.
struct Finished {
  int number;
  Generated generated;
};

struct Top {
  std::vector<int> ids;         // [rows, k], -1 where fewer are possible
  std::vector<float> logprobs;  // [rows, k]
};

class Decoder {
 public:
  Decoder(const Model& model, Threads& threads);
  ~Decoder();

  // Runs new tokens, after those that their rows have. wanted: indices in `tokens` whose logits are written, in that order,
  // to logits [wanted, nVocab]. Throws std::length_error past nTextCtx, before any work is done.
  //
  // A token's logits depend on its row alone: to the bit, however tokens are spread over calls and whatever runs beside
  // them.
  void run(Rows& rows, const std::vector<NewToken>& tokens, const std::vector<int>& wanted, float* logits);

  // Runs at most `steps` steps: one token more for each running row. Returns the requests that ended in them.
  std::vector<Finished> advance(Generation& generation, int steps);

  // One token for each row, below 0 for a row that reads nothing; then the k likeliest next ones of each, by the rules.
  // history: of each row, its new token included.
  Top stepTop(Rows& rows, const std::vector<int>& tokens, const std::vector<History>& history, const TokenRules& rules,
              int k);

  // A known sequence of one window. scores: cross-attention logits q.k / 8 of heads [n][layer, head],
  // [n, tokens, nAudioCtx]; tokenProbs: probability of tokens[from + 1 ... size - 2] where each is predicted, among the ids
  // below eot.
  void attend(std::shared_ptr<Window> window, const std::vector<int>& tokens, int from, int eot,
              const std::vector<std::pair<int, int>>& heads, float* scores, float* tokenProbs);

 private:
  struct Buffers;
  // Gets the cross-attention queries [tokens, nTextState] of each layer.
  using QueryListener = std::function<void(int layer, const float* queries)>;

  // Runs new tokens up to the last layer norm; their states are left in the buffers.
  void forward(Rows& rows, const std::vector<NewToken>& tokens, const QueryListener& listener);
  // Logits [wanted, nVocab] of the tokens that `forward` has run.
  void project(const std::vector<int>& wanted, float* logits);

  const Model& model_;
  Threads& threads_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace sotto
