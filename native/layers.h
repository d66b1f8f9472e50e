// What encoder and decoder share beside products of matrices.
#pragma once

#include <cstddef>
#include <cstdint>

#include "matrix.h"
#include "model.h"

namespace sotto {

// 64-byte aligned memory, grown when asked for more and never shrunk.
class Scratch {
 public:
  ~Scratch();
  void* get(size_t bytes);
  template <typename T>
  T* get(size_t count) { return static_cast<T*>(get(count * sizeof(T))); }

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

// Normalises rows [from, to) of x [rows, cols] to mean 0 and variance 1 (eps 1e-5), scales and shifts. y may be x.
void layerNorm(const float* x, size_t xStride, const Norm& norm, int cols, int from, int to, float* y, size_t yStride);

// Layer norm and quantisation in one pass over rows [from, to).
void normAndQuantize(const float* x, size_t xStride, const Norm& norm, int from, int to, QuantizedRows& out);

// Packs keys [positions, 64] (rows `stride` floats apart) as a matrix [64, positions], after taking the mean key away: it adds
// the same to all scores of a query, which softmax does not see, and leaves smaller numbers to be quantised.
// mean: [64], written; or null.
void packKeys(const float* keys, size_t stride, int positions, void* bytes, float* mean);

// Packs values [positions, 64] as a matrix [positions, 64]: a scale for each channel.
void packValues(const float* values, size_t stride, int positions, void* bytes);

// Attention of `rows` queries [rows, 64] (rows `qStride` floats apart) to packed keys and values, softmax(q.k / 8) v, into
// out [rows, 64]. scratch is the calling worker's own. Any number of rows: many in the encoder, one to a dozen in the decoder.
void attendPacked(const float* queries, size_t qStride, int rows, const PackedMatrix& keys, const PackedMatrix& values,
                  Scratch& scratch, float* out, size_t outStride);

// float16 to float32.
void fromFloat16(const uint16_t* x, size_t count, float* y);

}  // namespace sotto
