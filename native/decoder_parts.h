// What the files of the decoder share: the insides of Rows, and memory that lasts from call to call.
#pragma once

#include <memory>
#include <vector>

#include "decoder.h"
#include "self_cache.h"

namespace sotto {

struct Rows::State {
  std::vector<std::shared_ptr<Window>> windows;  // of each row
  SelfCache cache;
};

struct Decoder::Buffers {
  explicit Buffers(int workers) : workers(workers) {}

  Scratch states;     // [tokens, state] the stream that every layer adds to
  Scratch projected;  // [tokens, 3 * state] queries, keys, values
  Scratch attended;   // [tokens, state]
  Scratch hidden;     // [tokens, mlp]
  Scratch chosen;     // [wanted, state] states whose logits are wanted
  Scratch quantized;  // the rows that are multiplied next
  Scratch logits;     // [wanted, nVocab] where the caller does not want them
  std::vector<Scratch> workers;  // one a thread
  std::vector<int> places;  // of each token of the last run: its row in `states`
};

}  // namespace sotto
