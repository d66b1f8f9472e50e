// What decoding reads from the logits of one row: a few passes over them, without memory of its own.
#pragma once

#include <cstddef>

namespace sotto {

// Largest of x, -infinity where there is none.
float largest(const float* x, size_t count);

struct Choice {
  int id;
  float logprob;  // among all tokens of the row
};

// The likeliest token, of equally likely ones the lowest id. Where none is possible: id 0, and a logprob that is no number.
Choice likeliest(const float* logits, size_t count);

// The k likeliest tokens in order, of equally likely ones the lower id first: as topTokens in src/decoding/token-scores.ts.
// ids, logprobs: [k]; -1 and 0 where fewer are possible.
void topTokens(const float* logits, size_t count, int k, int* ids, float* logprobs);

}  // namespace sotto
