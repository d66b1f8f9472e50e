// Hopper's products of a warpgroup, from tiles in shared memory that a descriptor tells of: wgmma.mma_async with both factors K-major.

#include "../wgmma.cuh"

#include <stdlib.h>

#include <deque>
#include <memory>
#include <vector>

#include "multiply.h"

namespace standin {
namespace {

constexpr unsigned kGroup = 128;  // threads of a warpgroup
constexpr unsigned kRows = 64, kDepth = 16;

// The sums that products under way add to.
struct Sums {
  unsigned columns = 0;
  float* of[kGroup] = {};      // each thread's
  std::vector<float> values;   // [64][columns]
  unsigned underWay = 0;       // products
};

// A tile as a product found it.
struct Tile {
  uint64_t descriptor = 0;
  std::vector<uint16_t> halves;  // [rows][16]
};

struct Product {
  unsigned columns = 0;
  bool add = false, isBf16 = false;
  Tile a, b;
  std::shared_ptr<Sums> sums;
  unsigned said = 0;   // threads that have
  unsigned phase = 0;  // 1 when all have
};

struct Warpgroup {
  std::deque<Product> products;  // those that are not done
  uint64_t done = 0;
  std::vector<std::shared_ptr<Sums>> sums;
};

// Of one thread.
struct Said {
  uint64_t products = 0;
  std::deque<uint64_t> groupEnds;
  bool begun = false;
};

struct State {
  uint64_t epoch = 0;
  Warpgroup warpgroups[kMaxThreads / kGroup];
  Said said[kMaxThreads];
};
thread_local State* state = nullptr;

State& here() {
  if (state == nullptr) state = new State;
  if (state->epoch != block->epoch) {
    for (Warpgroup& group : state->warpgroups) group = {};
    for (Said& said : state->said) said = {};
    state->epoch = block->epoch;
  }
  return *state;
}

unsigned index() {
  const uint3& t = fiber->thread;
  return t.x + block->size.x * (t.y + block->size.y * t.z);
}

// Where a row's 8 numbers from column 8 c on lie, as the PTX manual has it for K-major tiles of 16-bit numbers:
//   bits 0-13 start address / 16, 16-29 leading byte offset / 16, 32-45 stride byte offset / 16, 49-51 base offset, 62-63 swizzling
// 8 rows are an atom, and atoms lie a stride apart. Without swizzling an atom's rows are 16 bytes, and its columns a leading offset
// apart. With, rows are 128, 64 or 32 bytes, and the address's bits from 4 on are turned by those from 7 on.
const unsigned char* chunk(uint64_t descriptor, unsigned row, unsigned c) {
  uint32_t start = static_cast<uint32_t>(descriptor & 0x3fff) << 4;
  uint32_t leading = static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4;
  uint32_t stride = static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4;
  uint32_t base = static_cast<uint32_t>(descriptor >> 49 & 7);
  uint32_t at = start + row / 8 * stride;
  switch (descriptor >> 62) {
    case 0: at += row % 8 * 16 + c * leading; break;
    case 1: at += row % 8 * 128 + c * 16; at ^= (((at >> 7) - base) & 7) << 4; break;
    case 2: at += row % 8 * 64 + c * 16; at ^= (((at >> 7) - base) & 3) << 4; break;
    default: at += row % 8 * 32 + c * 16; at ^= (((at >> 7) - base) & 1) << 4; break;
  }
  const unsigned char* address = block->window + (at & (kWindowBytes - 1));
  sharedOffset(address, 16);
  return address;
}

std::vector<uint16_t> readTile(uint64_t descriptor, unsigned rows) {
  std::vector<uint16_t> halves(rows * kDepth);
  for (unsigned row = 0; row < rows; row++) {
    for (unsigned c = 0; c < 2; c++) memcpy(&halves[row * kDepth + c * 8], chunk(descriptor, row, c), 16);
  }
  return halves;
}

std::vector<float> floats(const Tile& tile, bool isBf16) {
  std::vector<float> all(tile.halves.size());
  for (size_t i = 0; i < all.size(); i += 8) {
    if (isBf16) Bf16x8::convert(&tile.halves[i], &all[i]);
    else F16x8::convert(&tile.halves[i], &all[i]);
  }
  return all;
}

// Thread 32 w + l has in sums[4 j + 2 h + i] row 16 w + l / 4 + 8 h, column 8 j + 2 (l % 4) + i.
template <class Move>
void moveSums(Sums& sums, unsigned thread, Move move) {
  unsigned lane = thread % 32, row = thread / 32 * 16 + lane / 4;
  for (unsigned j = 0; j < sums.columns / 8; j++) {
    for (unsigned h = 0; h < 2; h++) {
      float* value = &sums.values[(row + 8 * h) * sums.columns + 8 * j + lane % 4 * 2];
      move(sums.of[thread] + 4 * j + 2 * h, value);
    }
  }
}

void multiply(const Product& product) {
  std::vector<float> a = floats(product.a, product.isBf16), b = floats(product.b, product.isBf16);
  std::vector<float> transposed(b.size());  // [16][columns]
  unsigned n = product.columns;
  for (unsigned col = 0; col < n; col++) {
    for (unsigned k = 0; k < kDepth; k++) transposed[k * n + col] = b[col * kDepth + k];
  }
  std::vector<float>& sums = product.sums->values;
  if (!product.add) std::fill(sums.begin(), sums.end(), 0.0f);
  for (unsigned col = 0; col < n; col += 8) {
    for (unsigned row = 0; row < kRows; row += 8) {
      Float8 c[8];
      for (unsigned i = 0; i < 8; i++) c[i] = load8(&sums[(row + i) * n + col]);
      for (unsigned k = 0; k < kDepth; k++) {
        Float8 v = load8(&transposed[k * n + col]);
        for (unsigned i = 0; i < 8; i++) c[i] += a[(row + i) * kDepth + k] * v;
      }
      for (unsigned i = 0; i < 8; i++) memcpy(&sums[(row + i) * n + col], &c[i], 32);
    }
  }
}

void finishFirst(Warpgroup& group) {
  Product& product = group.products.front();
  if (readTile(product.a.descriptor, kRows) != product.a.halves || readTile(product.b.descriptor, product.columns) != product.b.halves) {
    fault(kLaunchFailed, "shared memory was changed while a warpgroup's product read it");
  }
  multiply(product);
  Sums& sums = *product.sums;
  if (--sums.underWay == 0) {
    for (unsigned thread = 0; thread < kGroup; thread++) {
      moveSums(sums, thread, [](float* own, const float* value) { memcpy(own, value, 8); });
    }
    for (size_t i = 0; i < group.sums.size(); i++) {
      if (group.sums[i] == product.sums) {
        group.sums.erase(group.sums.begin() + static_cast<ptrdiff_t>(i));
        break;
      }
    }
  }
  group.products.pop_front();
  group.done++;
}

}  // namespace

void wgmmaFence() { ownCopies().unfenced = false; }

void wgmmaBegin() {
  syncWarp();
  here().said[index()].begun = true;
}

void wgmmaCommit() {
  syncWarp();
  Said& said = here().said[index()];
  said.groupEnds.push_back(said.products);
}

void wgmmaWait(unsigned pending) {
  syncWarp();
  State& s = here();
  Said& said = s.said[index()];
  Warpgroup& group = s.warpgroups[index() / kGroup];
  while (said.groupEnds.size() > pending) {
    uint64_t until = said.groupEnds.front();
    said.groupEnds.pop_front();
    while (group.done < until) {
      Product& product = group.products.front();
      if (product.phase == 0) waitFor(&product.phase, 0);
      else finishFirst(group);
    }
  }
  said.begun = false;
}

void wgmma(float* sums, uint64_t a, uint64_t b, unsigned columns, bool add, bool isBf16) {
  State& s = here();
  unsigned me = index(), thread = me % kGroup;
  Said& said = s.said[me];
  Warpgroup& group = s.warpgroups[me / kGroup];
  if ((me / kGroup + 1) * kGroup > block->size.x * block->size.y * block->size.z) fault(kLaunchFailed, "a product without a whole warpgroup");
  uint64_t number = said.products++;
  if (number - group.done >= group.products.size()) {
    for (unsigned i = 0; i < block->size.x * block->size.y * block->size.z; i++) {
      if (copiesOf(i).unfenced) fault(kLaunchFailed, "thread %u has copied to shared memory, and has not said fence_for_wgmma before this product", i);
    }
    group.products.emplace_back();
    Product& fresh = group.products.back();
    fresh.columns = columns;
    fresh.add = add;
    fresh.isBf16 = isBf16;
    fresh.a = {a, readTile(a, kRows)};
    fresh.b = {b, readTile(b, columns)};
    for (auto& known : group.sums) {
      if (known->of[thread] == sums) fresh.sums = known;
    }
    if (fresh.sums == nullptr) {
      fresh.sums = std::make_shared<Sums>();
      fresh.sums->columns = columns;
      fresh.sums->values.resize(kRows * columns);
      group.sums.push_back(fresh.sums);
    }
    fresh.sums->underWay++;
  }
  Product& product = group.products[number - group.done];
  if (product.a.descriptor != a || product.b.descriptor != b || product.columns != columns || product.add != add || product.isBf16 != isBf16) {
    fault(kLaunchFailed, "threads of a warpgroup say different products");
  }
  Sums& all = *product.sums;
  if (all.of[thread] == nullptr) {
    if (!said.begun) fault(kLaunchFailed, "a first product for these sums without wgmma_begin");
    all.of[thread] = sums;
    moveSums(all, thread, [](float* own, float* value) {
      memcpy(value, own, 8);
      memcpy(own, &kPoison, 4);
      memcpy(own + 1, &kPoison, 4);
    });
  } else if (all.of[thread] != sums) {
    fault(kLaunchFailed, "threads of a warpgroup add to different sums");
  }
  if (++product.said == kGroup) product.phase = 1;
}

}  // namespace standin
