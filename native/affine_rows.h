// Quantising rows of activations with a zero point of their own, as the encoder does it.
//
// byte = zero + round(x / scale), where zero and scale make the row's range (0 included) fill all 256 steps, and 0 is exact.
// After GELU nearly all of the range is positive, so that this halves the steps of rows with a zero point of 128.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layers.h"

namespace sotto {

struct AffineRows {
  int rows = 0, cols = 0;
  size_t stride = 0;         // bytes from row to row
  uint8_t* bytes = nullptr;  // readable up to a multiple of 16 rows
  float* scales = nullptr;   // [rows]
  float* zeros = nullptr;    // [rows]

  AffineRows() = default;
  // Room in a scratch memory, which then holds nothing else.
  AffineRows(Scratch& scratch, int rows, int cols);
  AffineRows part(int first, int count) const;
};

// Quantises x [out.rows, out.cols], `stride` floats apart.
void quantizeAffine(const float* x, size_t stride, AffineRows& out);

// Layer norm and quantisation.
void normAndQuantizeAffine(const float* x, size_t stride, const Norm& norm, AffineRows& out);

// Quantises what a convolution of 3 taps sees at `rows` positions: input 3 * channel + tap. x: [positions, channels], of which
// position `first` is the first one's tap 0. Positions from `from` to `to` are there, the others are zeros.
void quantizeTaps(const float* x, ptrdiff_t stride, int channels, int first, int step, int from, int to, AffineRows& out);

// y [rows, nOut] = x * w + bias, then exact GELU if asked for, then plus `add` [rows, nOut] if not null, which
// may be y. On this thread alone.
void multiply(const AffineRows& x, const PackedMatrix& w, const float* bias, bool gelu, const float* add, size_t addStride, float* y,
              size_t yStride);

}  // namespace sotto
