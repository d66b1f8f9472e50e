// Greedy generation, and the likeliest tokens for beams: what is chosen from the logits, and which rows run next.
#include <algorithm>
#include <cmath>

#include "decoder.h"
#include "decoder_parts.h"
#include "ranking.h"

namespace sotto {
namespace {

// New tokens that one pass takes at most when more rows could join: bounds the memory of a pass.
constexpr size_t kTokensAtATime = 1024;

// A row of the batch and the request that it runs.
struct Seat {
  int request = -1;  // none
  History history;
  int next = 0;             // token to be run
  int sot = -1, last = -1;  // indices of logits of this turn; -1: not wanted
};

}  // namespace

std::vector<Generated> Decoder::generate(const std::vector<GenerateRequest>& requests, int maxRows) {
  std::vector<Generated> results(requests.size());
  if (requests.empty()) return results;
  const int nVocab = model_.dims.nVocab;
  const size_t count = std::min<size_t>(std::max(maxRows, 1), requests.size());
  Rows rows(model_.dims, std::vector<std::shared_ptr<Window>>(count));
  std::vector<Seat> seats(count);
  size_t waiting = 0;  // the first request that has no row yet

  std::vector<NewToken> tokens;
  std::vector<int> wanted;
  // Wants the logits of the token that was added last.
  const auto want = [&] {
    wanted.push_back(static_cast<int>(tokens.size()) - 1);
    return static_cast<int>(wanted.size()) - 1;
  };

  for (;;) {
    tokens.clear();
    wanted.clear();
    for (size_t row = 0; row < count; row++) {
      Seat& seat = seats[row];
      if (seat.request < 0) continue;
      tokens.push_back({static_cast<int>(row), seat.next});
      seat.last = want();
    }
    for (size_t row = 0; row < count && waiting < requests.size(); row++) {
      Seat& seat = seats[row];
      if (seat.request >= 0) continue;
      const GenerateRequest& request = requests[waiting];
      if (!tokens.empty() && tokens.size() + request.prompt.size() > kTokensAtATime) break;
      seat = {};
      seat.request = static_cast<int>(waiting++);
      rows.state_->windows[row] = request.window;
      rows.state_->cache.clear(static_cast<int>(row));
      for (size_t i = 0; i < request.prompt.size(); i++) {
        tokens.push_back({static_cast<int>(row), request.prompt[i]});
        if (static_cast<int>(i) == request.sotIndex) seat.sot = want();
      }
      // The same logits where startoftranscript is last; they are read before the rules change them.
      const bool sotIsLast = request.sotIndex == static_cast<int>(request.prompt.size()) - 1;
      if (request.maxNewTokens > 0) seat.last = sotIsLast ? seat.sot : want();
      results[seat.request].tokens.reserve(request.maxNewTokens);
      results[seat.request].logprobs.reserve(request.maxNewTokens);
    }
    if (tokens.empty()) return results;

    float* logits = buffers_->logits.get<float>(wanted.size() * nVocab);
    run(rows, tokens, wanted, logits);

    threads_.run(count, [&](size_t row, int) {
      Seat& seat = seats[row];
      if (seat.request < 0) return;
      const GenerateRequest& request = requests[seat.request];
      Generated& result = results[seat.request];
      if (seat.sot >= 0) {
        const float* raw = logits + static_cast<size_t>(seat.sot) * nVocab;
        result.noSpeechProb = static_cast<float>(std::exp(raw[request.noSpeech] - logSumExp(raw, nVocab)));
        result.ended = false;
        seat.sot = -1;
      }
      if (seat.last >= 0) {
        float* scores = logits + static_cast<size_t>(seat.last) * nVocab;
        applyTokenRules(scores, nVocab, seat.history, request.rules);
        const Choice choice = likeliest(scores, nVocab);
        result.logprobs.push_back(choice.logprob);
        if (choice.id == request.rules.eot) {
          result.ended = true;
        } else {
          result.tokens.push_back(choice.id);
          seat.history.add(choice.id, request.rules);
          seat.next = choice.id;
        }
      }
      if (result.ended || static_cast<int>(result.tokens.size()) >= request.maxNewTokens) seat.request = -1;
    });
  }
}

Top Decoder::stepTop(Rows& rows, const std::vector<int>& tokens, const std::vector<History>& history,
                     const TokenRules& rules, int k) {
  const int nVocab = model_.dims.nVocab;
  const size_t count = tokens.size();
  std::vector<NewToken> added;
  std::vector<int> wanted;
  for (size_t row = 0; row < count; row++) {
    added.push_back({static_cast<int>(row), tokens[row]});
    wanted.push_back(static_cast<int>(row));
  }
  float* logits = buffers_->logits.get<float>(count * nVocab);
  run(rows, added, wanted, logits);

  Top top;
  top.ids.resize(count * k);
  top.logprobs.resize(count * k);
  threads_.run(count, [&](size_t row, int) {
    float* scores = logits + row * nVocab;
    applyTokenRules(scores, nVocab, history[row], rules);
    topTokens(scores, nVocab, k, top.ids.data() + row * k, top.logprobs.data() + row * k);
  });
  return top;
}

}  // namespace sotto
