// Products with AMX: tiles of 16 rows and 64 inputs times packed blocks, which are tiles as they lie. Four tiles of sums at a
// time: two by two for many rows, so that each tile read is used twice; four blocks side by side for up to 16 rows.
//
// Tiles and vectors are different parts of the processor. So `linear` finishes the sums of one part (scales, bias, GELU) in
// small steps between the tile products of the next.
#include "matrix_kernels.h"

namespace sotto {
namespace {

constexpr int kTile = 16;
constexpr int kPanel = 2 * kTile;  // rows, and outputs, of two by two tiles
constexpr int kFewPanels = 2;      // up to here the first panel's weights are likely to come from memory, and it matters

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t bytesPerRow[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Other libraries in the process may have shaped the thread's tiles their own way: looking costs less than setting.
void configureTiles() {
  static constexpr TileConfig kConfig;
  TileConfig found;
  _tile_storeconfig(&found);
  if (_mm512_cmpneq_epi64_mask(_mm512_load_si512(&found), _mm512_load_si512(&kConfig)) != 0) _tile_loadconfig(&kConfig);
}

struct NoStep {
  void operator()(size_t) const {}
};

// Asks for a tile of weights ahead of its use. Reading tiles waits for memory more than reading vectors does.
inline void prefetchTile(const int8_t* weights) {
#pragma GCC unroll 16
  for (int i = 0; i < kTile; i++) _mm_prefetch(reinterpret_cast<const char*>(weights + i * 64), _MM_HINT_T0);
}

// Bytes from a tile of one of `blocks` neighbouring blocks to the one read after it: the last is followed by the next blocks'
// first.
inline size_t toNextTile(size_t k, size_t inBlocks, size_t blocks) {
  size_t tileBytes = kBlockIn * kBlockOut;
  return k + 1 < inBlocks ? tileBytes : (blocks * inBlocks - k) * tileBytes;
}

// Sums of kRowTiles * 16 rows and kBlocks output blocks, up to two by two: tiles 0 to 3 hold them, 4 and 5 rows, 6 and 7
// weights. Calls step(k) after each 64 inputs. kPrefetch: weights come from memory, not from the second cache.
template <int kRowTiles, int kBlocks, bool kPrefetch = false, typename Step = NoStep>
inline __attribute__((always_inline)) void multiply(const uint8_t* a, size_t aStride, const int8_t* b, size_t inBlocks,
                                                    int32_t* c, size_t cStride, const Step& step = {}) {
  size_t blockBytes = inBlocks * kBlockIn * kBlockOut;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t k = 0; k < inBlocks; k++) {
    const uint8_t* rows = a + k * kBlockIn;
    const int8_t* weights = b + k * kBlockIn * kBlockOut;
    if (kPrefetch) {
      size_t ahead = toNextTile(k, inBlocks, kBlocks);
      for (int i = 0; i < kBlocks; i++) prefetchTile(weights + i * blockBytes + ahead);
    }
    _tile_loadd(4, rows, aStride);
    _tile_loadd(6, weights, 64);
    _tile_dpbusd(0, 4, 6);
    if (kBlocks == 2) {
      _tile_loadd(7, weights + blockBytes, 64);
      _tile_dpbusd(1, 4, 7);
    }
    if (kRowTiles == 2) {
      _tile_loadd(5, rows + kTile * aStride, aStride);
      _tile_dpbusd(2, 5, 6);
      if (kBlocks == 2) _tile_dpbusd(3, 5, 7);
    }
    step(k);
  }
  size_t bytes = cStride * sizeof(int32_t);
  _tile_stored(0, c, bytes);
  if (kBlocks == 2) _tile_stored(1, c + kBlockOut, bytes);
  if (kRowTiles == 2) _tile_stored(2, c + kTile * cStride, bytes);
  if (kRowTiles == 2 && kBlocks == 2) _tile_stored(3, c + kTile * cStride + kBlockOut, bytes);
}

// Sums of 16 rows and four output blocks. A third tile of weights would do; the fourth read waits for the first product.
void multiplyFour(const uint8_t* a, size_t aStride, const int8_t* b, size_t inBlocks, int32_t* c, size_t cStride) {
  size_t blockBytes = inBlocks * kBlockIn * kBlockOut;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t k = 0; k < inBlocks; k++) {
    const int8_t* weights = b + k * kBlockIn * kBlockOut;
    size_t ahead = toNextTile(k, inBlocks, 4);
    _tile_loadd(4, a + k * kBlockIn, aStride);
    prefetchTile(weights + ahead);
    _tile_loadd(5, weights, 64);
    _tile_dpbusd(0, 4, 5);
    prefetchTile(weights + blockBytes + ahead);
    _tile_loadd(6, weights + blockBytes, 64);
    _tile_dpbusd(1, 4, 6);
    prefetchTile(weights + 2 * blockBytes + ahead);
    _tile_loadd(7, weights + 2 * blockBytes, 64);
    _tile_dpbusd(2, 4, 7);
    prefetchTile(weights + 3 * blockBytes + ahead);
    _tile_loadd(5, weights + 3 * blockBytes, 64);
    _tile_dpbusd(3, 4, 5);
  }
  size_t bytes = cStride * sizeof(int32_t);
  _tile_stored(0, c, bytes);
  _tile_stored(1, c + kBlockOut, bytes);
  _tile_stored(2, c + 2 * kBlockOut, bytes);
  _tile_stored(3, c + 3 * kBlockOut, bytes);
}

// Sums of up to 32 rows and 1, 2 or (of up to 16 rows) 4 blocks.
void multiplyPart(int rows, int blocks, const uint8_t* a, size_t aStride, const int8_t* b, size_t inBlocks, int32_t* c,
                  size_t cStride) {
  if (rows > kTile) {
    blocks == 2 ? multiply<2, 2>(a, aStride, b, inBlocks, c, cStride) : multiply<2, 1>(a, aStride, b, inBlocks, c, cStride);
  } else if (blocks == 4) {
    multiplyFour(a, aStride, b, inBlocks, c, cStride);
  } else {
    blocks == 2 ? multiply<1, 2>(a, aStride, b, inBlocks, c, cStride) : multiply<1, 1>(a, aStride, b, inBlocks, c, cStride);
  }
}

// Output blocks to be multiplied next, of those left.
int blocksNext(int rows, size_t left) { return rows <= kTile && left >= 4 ? 4 : left >= 2 ? 2 : 1; }

// Finishes the sums of up to 32 rows and two output blocks, a few rows at a time.
template <bool kGelu, bool kAdd>
class Pending {
 public:
  explicit Pending(const RowProduct& product) : product_(product) {}

  void begin(const int32_t (*c)[kPanel], int row, int rows, const PackedMatrix& w, size_t block) {
    left_ = BlockFinish<kGelu>(w, block, product_.bias);
    right_ = BlockFinish<kGelu>(w, block + 1, product_.bias);
    at_ = RowFinish(product_, row, block);
    c_ = c[0];
    rows_ = rows;
  }

  inline __attribute__((always_inline)) void step(int rows) {
    rows = rows < rows_ ? rows : rows_;
    rows_ -= rows;
    for (; rows > 0; rows--) {
      __m512 scale = at_.scales(), zero = at_.zeros();
      __m512 x[2] = {left_.dequantize(_mm512_load_si512(c_), scale, zero),
                     right_.dequantize(_mm512_load_si512(c_ + kBlockOut), scale, zero)};
      if (kGelu) geluOfSteps(x);
      left_.template store<kAdd>(x[0], at_.add, at_.y);
      right_.template store<kAdd>(x[1], at_.add + kBlockOut, at_.y + kBlockOut);
      c_ += kPanel;
      at_.template next<kAdd>(product_);
    }
  }

 private:
  const RowProduct& product_;
  BlockFinish<kGelu> left_, right_;
  RowFinish at_;
  const int32_t* c_ = nullptr;
  int rows_ = 0;
};

// Rows finished after each 64 inputs but the first, when the sums are still on their way to memory. While tiles are multiplied,
// vectors run at half their speed: about 60 operations at a time are free, more are not.
constexpr int rowsPerStep(bool gelu, size_t inBlocks) {
  size_t steps = inBlocks > 1 ? inBlocks - 1 : 1;
  int all = static_cast<int>((kPanel + steps - 1) / steps), free = gelu ? 3 : 8;
  return all < free ? all : free;
}

template <bool kGelu, bool kAdd>
struct LinearAmx {
  // Two by two tiles: from 17 rows in the last panel on, and pairs of blocks.
  static void panels(const RowProduct& product, int rows, const PackedMatrix& w, size_t from, size_t to) {
    alignas(64) int32_t c[2][kPanel][kPanel];
    size_t blockBytes = w.paddedIn() * kBlockOut;
    int stepRows = rowsPerStep(kGelu, w.inBlocks());
    Pending<kGelu, kAdd> pending(product);
    int turn = 0;
    for (int row = 0; row < rows; row += kPanel) {
      int count = rows - row < kPanel ? rows - row : kPanel;
      for (size_t block = from; block < to; block += 2) {
        auto step = [&](size_t k) {
          if (k > 0) pending.step(stepRows);
        };
        const uint8_t* a = product.bytes + row * product.stride;
        const int8_t* b = w.blocks + block * blockBytes;
        if (row == 0 && rows <= kFewPanels * kPanel) {
          multiply<2, 2, true>(a, product.stride, b, w.inBlocks(), c[turn][0], kPanel, step);
        } else {
          multiply<2, 2>(a, product.stride, b, w.inBlocks(), c[turn][0], kPanel, step);
        }
        pending.step(kPanel);
        pending.begin(c[turn], row, count, w, block);
        turn ^= 1;
      }
    }
    pending.step(kPanel);
  }

  // Whole panels of rows, and pairs of blocks, go the fast way; what is left over on the sides follows.
  static void run(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to) {
    int rows = product.rows;
    int panelRows = rows % kPanel > kTile ? rows : rows / kPanel * kPanel;
    size_t panelTo = panelRows > 0 ? to - (to - from) % 2 : from;
    if (panelTo > from) panels(product, panelRows, w, from, panelTo);
    alignas(64) int32_t c[kPanel * kPanel];
    size_t blockBytes = w.paddedIn() * kBlockOut;
    auto part = [&](int row, int count, size_t block, int blocks) {
      size_t cStride = static_cast<size_t>(blocks) * kBlockOut;
      multiplyPart(count, blocks, product.bytes + row * product.stride, product.stride, w.blocks + block * blockBytes,
                   w.inBlocks(), c, cStride);
      finishBlocks<kGelu, kAdd>(c, cStride, row, count, product, w, block, blocks);
    };
    for (int row = 0; panelTo < to && row < panelRows; row += kPanel) {
      part(row, panelRows - row < kPanel ? panelRows - row : kPanel, panelTo, 1);
    }
    int left = rows - panelRows;
    for (size_t block = from; left > 0 && block < to;) {
      int blocks = blocksNext(left, to - block);
      part(panelRows, left, block, blocks);
      block += blocks;
    }
  }
};

}  // namespace

void multiplyAmx(const uint8_t* a, size_t aStride, int rows, const PackedMatrix& b, size_t from, size_t to, int32_t* c,
                 size_t cStride) {
  configureTiles();
  alignas(64) int32_t part[kPanel * kPanel];
  size_t blockBytes = b.paddedIn() * kBlockOut;
  for (int row = 0; row < rows; row += kPanel) {
    int count = rows - row < kPanel ? rows - row : kPanel;
    bool whole = count % kTile == 0;
    for (size_t block = from; block < to;) {
      int blocks = blocksNext(count, to - block);
      int32_t* target = c + row * cStride + (block - from) * kBlockOut;
      size_t width = static_cast<size_t>(blocks) * kBlockOut;
      multiplyPart(count, blocks, a + row * aStride, aStride, b.blocks + block * blockBytes, b.inBlocks(),
                   whole ? target : part, whole ? cStride : width);
      // The tiles' last rows are not the caller's to have.
      for (int r = 0; !whole && r < count; r++) {
        for (size_t i = 0; i < width; i += kBlockOut) {
          _mm512_storeu_si512(target + r * cStride + i, _mm512_load_si512(part + r * width + i));
        }
      }
      block += blocks;
    }
  }
}

void linearAmx(const RowProduct& product, const PackedMatrix& w, size_t from, size_t to) {
  configureTiles();
  finishAs<LinearAmx>(product, w, from, to);
}

}  // namespace sotto
