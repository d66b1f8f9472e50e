// Greedy generation, and the likeliest tokens for beams: what is chosen from the logits, and which rows run next.
#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "decoder.h"
#include "decoder_parts.h"
#include "ranking.h"

namespace sotto {
namespace {

// New tokens that one pass takes at most when more rows could join: bounds the memory of a pass.
constexpr size_t kTokensAtATime = 1024;

// A place in the batch, and the request that runs in it.
struct Slot {
  int number = -1;  // of the request; -1: free
  GenerateRequest request;
  Generated result;
  History history;
  int next = 0;             // token to be run
  int sot = -1, last = -1;  // indices of this step's logits; -1: not wanted
};

}  // namespace

struct Generation::State {
  State(const Dimensions& dims, size_t slots) : rows(dims, std::vector<std::shared_ptr<Window>>(slots)), slots(slots) {}

  void free(size_t row) {
    slots[row] = {};
    rows.state_->windows[row] = nullptr;
  }

  Rows rows;
  std::vector<Slot> slots;
  std::deque<std::pair<int, GenerateRequest>> waiting;
  int added = 0;
};

Generation::Generation(const Dimensions& dims, int maxRows)
    : state_(std::make_unique<State>(dims, static_cast<size_t>(std::max(maxRows, 1)))) {}

Generation::~Generation() = default;

int Generation::add(GenerateRequest request) {
  state_->waiting.emplace_back(state_->added, std::move(request));
  return state_->added++;
}

void Generation::cancel(int number) {
  auto& waiting = state_->waiting;
  waiting.erase(std::remove_if(waiting.begin(), waiting.end(), [&](const auto& each) { return each.first == number; }),
                waiting.end());
  for (size_t row = 0; row < state_->slots.size(); row++) {
    if (state_->slots[row].number == number) state_->free(row);
  }
}

std::vector<Finished> Decoder::advance(Generation& generation, int steps) {
  std::vector<Finished> finished;
  const int nVocab = model_.dims.nVocab;
  Rows& rows = generation.state_->rows;
  std::vector<Slot>& slots = generation.state_->slots;
  auto& waiting = generation.state_->waiting;

  std::vector<NewToken> tokens;
  std::vector<int> wanted;
  std::vector<size_t> running;
  // Wants the logits of the token that was added last.
  const auto want = [&] {
    wanted.push_back(static_cast<int>(tokens.size()) - 1);
    return static_cast<int>(wanted.size()) - 1;
  };

  for (int step = 0; step < steps; step++) {
    tokens.clear();
    wanted.clear();
    running.clear();
    for (size_t row = 0; row < slots.size(); row++) {
      Slot& slot = slots[row];
      if (slot.number < 0) continue;
      tokens.push_back({static_cast<int>(row), slot.next});
      slot.last = want();
      running.push_back(row);
    }
    for (size_t row = 0; row < slots.size() && !waiting.empty(); row++) {
      Slot& slot = slots[row];
      if (slot.number >= 0) continue;
      if (!tokens.empty() && tokens.size() + waiting.front().second.prompt.size() > kTokensAtATime) break;
      slot = {};
      slot.number = waiting.front().first;
      slot.request = std::move(waiting.front().second);
      waiting.pop_front();
      const GenerateRequest& request = slot.request;
      rows.state_->windows[row] = request.window;
      rows.state_->cache.clear(static_cast<int>(row));
      for (size_t i = 0; i < request.prompt.size(); i++) {
        tokens.push_back({static_cast<int>(row), request.prompt[i]});
        if (static_cast<int>(i) == request.sotIndex) slot.sot = want();
      }
      // The same logits where startoftranscript is last; they are read before the rules change them.
      const bool sotIsLast = request.sotIndex == static_cast<int>(request.prompt.size()) - 1;
      if (request.maxNewTokens > 0) slot.last = sotIsLast ? slot.sot : want();
      slot.result.tokens.reserve(request.maxNewTokens);
      slot.result.logprobs.reserve(request.maxNewTokens);
      running.push_back(row);
    }
    if (tokens.empty()) return finished;

    float* logits = buffers_->logits.get<float>(wanted.size() * nVocab);
    run(rows, tokens, wanted, logits);

    threads_.run(running.size(), [&](size_t i, int) {
      Slot& slot = slots[running[i]];
      const GenerateRequest& request = slot.request;
      Generated& result = slot.result;
      if (slot.sot >= 0) {
        const float* raw = logits + static_cast<size_t>(slot.sot) * nVocab;
        result.noSpeechProb = static_cast<float>(std::exp(raw[request.noSpeech] - logSumExp(raw, nVocab)));
        slot.sot = -1;
      }
      if (slot.last >= 0) {
        float* scores = logits + static_cast<size_t>(slot.last) * nVocab;
        applyTokenRules(scores, nVocab, slot.history, request.rules);
        const Choice choice = likeliest(scores, nVocab);
        result.logprobs.push_back(choice.logprob);
        if (choice.id == request.rules.eot) {
          result.ended = true;
        } else {
          result.tokens.push_back(choice.id);
          slot.history.add(choice.id, request.rules);
          slot.next = choice.id;
        }
      }
    });
    for (const size_t row : running) {
      Slot& slot = slots[row];
      if (!slot.result.ended && static_cast<int>(slot.result.tokens.size()) < slot.request.maxNewTokens) continue;
      finished.push_back({slot.number, std::move(slot.result)});
      generation.state_->free(row);
    }
  }
  return finished;
}

Top Decoder::stepTop(Rows& rows, const std::vector<int>& tokens, const std::vector<History>& history,
                     const TokenRules& rules, int k) {
  const int nVocab = model_.dims.nVocab;
  const size_t count = tokens.size();
  std::vector<NewToken> added;
  std::vector<int> wanted;
  for (size_t row = 0; row < count; row++) {
    if (tokens[row] < 0) continue;
    wanted.push_back(static_cast<int>(added.size()));
    added.push_back({static_cast<int>(row), tokens[row]});
  }
  float* logits = buffers_->logits.get<float>(added.size() * nVocab);
  run(rows, added, wanted, logits);

  Top top;
  top.ids.assign(count * k, -1);
  top.logprobs.assign(count * k, -std::numeric_limits<float>::infinity());
  threads_.run(added.size(), [&](size_t i, int) {
    const int row = added[i].row;
    float* scores = logits + i * nVocab;
    applyTokenRules(scores, nVocab, history[row], rules);
    topTokens(scores, nVocab, k, top.ids.data() + row * k, top.logprobs.data() + row * k);
  });
  return top;
}

}  // namespace sotto
