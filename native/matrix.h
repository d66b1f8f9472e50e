// Products of quantised matrices: the one kernel under everything here.
//
// Activations are unsigned bytes with a scale for each row, weights signed bytes with a scale for each output. Both instruction
// sets take the same bytes: a packed block of 16 outputs and 64 inputs is one AMX tile, and 16 VNNI vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "threads.h"

namespace sotto {

constexpr int kBlockIn = 64;   // inputs in a packed block
constexpr int kBlockOut = 16;  // outputs in a packed block

inline size_t roundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A matrix [nIn, nOut] to be multiplied from the right, in memory that somebody else owns (mapped file, cache). 64-byte aligned.
struct PackedMatrix {
  int nIn = 0;
  int nOut = 0;
  // int8 [outBlocks][inBlocks][16 groups of 4 inputs][16 outputs][4 inputs], zeros beyond nIn and nOut.
  const int8_t* blocks = nullptr;
  const float* scales = nullptr;  // [outBlocks * 16] value of 1 for each output; 0 beyond nOut
  const int32_t* sums = nullptr;  // [outBlocks * 16] sum over the inputs of each output: takes the zero point away again

  size_t inBlocks() const { return roundUp(nIn, kBlockIn) / kBlockIn; }
  size_t outBlocks() const { return roundUp(nOut, kBlockOut) / kBlockOut; }
  size_t paddedIn() const { return inBlocks() * kBlockIn; }
};

// Bytes of the three parts, one after the other, each a multiple of 64.
size_t packedBytes(int nIn, int nOut);

// A packed matrix whose three parts lie at `bytes`.
PackedMatrix viewPacked(const void* bytes, int nIn, int nOut);

// Quantises weight [nOut, nIn] (row-major, rows `stride` floats apart): scale = largest magnitude of the output / 127.
void packMatrix(const float* weight, int nIn, int nOut, size_t stride, void* bytes);

// Rows of activations: byte = 128 + round(x / scale), scale = largest magnitude of the row / 127. Padded columns hold 128.
struct QuantizedRows {
  int rows = 0;
  int cols = 0;
  size_t stride = 0;        // bytes from row to row: cols rounded up to 64
  uint8_t* bytes = nullptr; // 64-byte aligned; readable up to a multiple of 16 rows
  float* scales = nullptr;  // [rows]
};

// Quantises rows [from, to) of x [rows, cols], rows `stride` floats apart.
void quantizeRows(const float* x, size_t stride, int from, int to, QuantizedRows& out);

// C [rows, (outBlockTo - outBlockFrom) * 16] = A * B as plain integers: zero points are still in it. `rows` is any number;
// fast both for few rows (a step of decoding reads B once) and for many (tiles). `a` is readable up to a multiple of 16 rows.
void multiplyBlocks(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t outBlockFrom, size_t outBlockTo,
                    int32_t* c, size_t cStride);

// One layer's product with some rows: y [rows, nOut] = x * w + bias, then exact GELU (erf, within 1e-6) if asked for, then plus
// `add`.
struct RowProduct {
  const uint8_t* bytes = nullptr;  // as `a` of multiplyBlocks
  size_t stride = 0;
  int rows = 0;
  const float* scales = nullptr;   // [rows]
  const float* zeros = nullptr;    // [rows] zero points, or null: 128
  const float* bias = nullptr;     // [nOut], or null
  bool gelu = false;
  const float* add = nullptr;      // [rows, nOut] addStride floats apart, or null; may be y
  size_t addStride = 0;
  float* y = nullptr;
  size_t yStride = 0;              // floats
};

// The product, on this thread alone.
void linearRows(const RowProduct& product, const PackedMatrix& w);

enum class Then { kNothing, kGelu, kAdd };

// y [rows, nOut] = x * w + bias, then exact GELU (erf, within 1e-6), or the sum with what y holds (a residual). Splits over
// the threads by rows where there are many, by outputs where there are few.
//
// bias: [nOut], or null. yStride in floats.
void linear(Threads& threads, const QuantizedRows& x, const PackedMatrix& w, const float* bias, Then then, float* y, size_t yStride);

}  // namespace sotto
