// Self-attention keys and values of token sequences under way, and attention to them.
//
// Each row has a place of its own for each position, and a list that says in which row's places its positions lie. A row
// that goes on from another one copies that list; what it adds lies in its own places again. A place is written only once as
// long as no row becomes shorter, so no row ever loses what others refer to.
//
// Numbers are kept as float16, as Whisper's own weights: reading them is what attention of many rows takes its time for, and
// rounding to 11 bits is far below that of the 8-bit products around it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "layers.h"
#include "model.h"

namespace sotto {

class SelfCache {
 public:
  SelfCache(const Dimensions& dims, int rows);
  ~SelfCache();
  SelfCache(const SelfCache&) = delete;
  SelfCache& operator=(const SelfCache&) = delete;

  int rows() const { return static_cast<int>(rows_.size()); }
  int length(int row) const { return static_cast<int>(rows_[row].owners.size()); }

  // Makes memory for `count` more positions of a row. Throws std::bad_alloc, and std::length_error past nTextCtx; the rows
  // are as they were then.
  void reserve(int row, int count);
  // Adds a reserved position, whose keys and values are to be written in every layer.
  void append(int row);
  // Forgets a row's positions, to begin another sequence; its memory is kept. Only where no other row goes on from it.
  void clear(int row) { rows_[row].owners.clear(); }
  // Row i becomes a copy of what row from[i] was. Throws std::invalid_argument if a row would become shorter.
  void reorder(const std::vector<int>& from);

  // Puts a head's key and value [kHeadSize] of a row's position into its own place; what float16 cannot hold becomes the
  // largest that it can.
  void write(int row, int position, int layer, int head, const float* key, const float* value);

  // softmax(query.k / 8) v over a row's first `positions` positions, into out [kHeadSize]. scratch is the calling worker's
  // own.
  void attend(int row, int positions, int layer, int head, const float* query, Scratch& scratch, float* out) const;

 private:
  // Memory comes in steps of this many positions: a short row costs little, and a head's positions still lie together.
  static constexpr int kStep = 32;
  static constexpr size_t kPart = static_cast<size_t>(kStep) * kHeadSize;  // numbers of a head's keys, or values, in a step

  struct Row {
    std::vector<uint16_t> owners;  // of each position: the row in whose place it lies
    std::vector<uint16_t*> steps;  // own places: [layer][head][key, value][kStep][kHeadSize] each
  };

  const uint16_t* keys(const Row& row, int position, size_t part) const {
    return rows_[row.owners[position]].steps[position / kStep] + part + position % kStep * kHeadSize;
  }
  size_t part(int layer, int head) const { return (static_cast<size_t>(layer) * heads_ + head) * 2 * kPart; }

  int layers_, heads_, context_;
  std::vector<Row> rows_;
};

}  // namespace sotto
