// The memory of a window's keys and values.
#include <cstdlib>
#include <cstring>
#include <new>

#include "model.h"

namespace sotto {

// One head after the other: packed keys, packed values, mean key.
Window::Window(const Dimensions& dims)
    : dims_(dims),
      keySize_(packedBytes(kHeadSize, dims.nAudioCtx)),
      valueSize_(packedBytes(dims.nAudioCtx, kHeadSize)),
      headSize_(roundUp(keySize_, 64) + roundUp(valueSize_, 64) + kHeadSize * sizeof(float)),
      size_(headSize_ * dims.nTextLayer * dims.nTextHead) {
  memory_ = static_cast<uint8_t*>(std::aligned_alloc(64, size_));
  if (memory_ == nullptr) throw std::bad_alloc();
}

Window::~Window() { std::free(memory_); }

void* Window::keyBytes(int layer, int head) {
  return memory_ + headSize_ * (static_cast<size_t>(layer) * dims_.nTextHead + head);
}

void* Window::valueBytes(int layer, int head) {
  return static_cast<uint8_t*>(keyBytes(layer, head)) + roundUp(keySize_, 64);
}

float* Window::keyMean(int layer, int head) {
  return reinterpret_cast<float*>(static_cast<uint8_t*>(valueBytes(layer, head)) + roundUp(valueSize_, 64));
}

PackedMatrix Window::keys(int layer, int head) const {
  return viewPacked(const_cast<Window*>(this)->keyBytes(layer, head), kHeadSize, dims_.nAudioCtx);
}

PackedMatrix Window::values(int layer, int head) const {
  return viewPacked(const_cast<Window*>(this)->valueBytes(layer, head), dims_.nAudioCtx, kHeadSize);
}

}  // namespace sotto
