// The network's sizes and weights as the kernels see them: views of one mapped file (addon.cc fills them in).
#pragma once

#include <vector>

#include "matrix.h"

namespace sotto {

struct Dimensions {
  int nMels, nAudioCtx, nAudioState, nAudioHead, nAudioLayer;
  int nVocab, nTextCtx, nTextState, nTextHead, nTextLayer;
};

constexpr int kHeadSize = 64;  // of every Whisper model

struct Norm {
  const float* weight;
  const float* bias;
};

struct Linear {
  PackedMatrix weight;
  const float* bias;  // null where there is none
};

struct EncoderBlock {
  Norm attnNorm;
  Linear qkv;  // query, key, value below each other: [3 * state, state]; the key's biases are 0
  Linear attnOut;
  Norm mlpNorm;
  Linear mlpIn, mlpOut;
};

struct DecoderBlock {
  Norm attnNorm;
  Linear qkv;
  Linear attnOut;
  Norm crossNorm;
  Linear crossQuery;
  Linear crossKeyValue;  // key and value below each other, from the audio's features
  Linear crossOut;
  Norm mlpNorm;
  Linear mlpIn, mlpOut;
};

struct Model {
  Dimensions dims;
  Linear conv1;  // [state, 3 * nMels]: input 3 * mel + tap, as the checkpoint has it
  Linear conv2;  // [state, 3 * state]: input 3 * channel + tap
  const float* audioPositions;  // [nAudioCtx, nAudioState]
  std::vector<EncoderBlock> encoder;
  Norm encoderNorm;
  const uint16_t* tokenEmbedding;  // float16 [nVocab, nTextState]: rows are read from it
  const float* textPositions;      // [nTextCtx, nTextState]
  std::vector<DecoderBlock> decoder;
  Norm decoderNorm;
  PackedMatrix head;  // the token embedding as the output matrix: [nTextState, nVocab]
};

// What the decoder remembers of a window: keys and values of each of its layers and heads, quantised, in one piece of memory.
class Window {
 public:
  explicit Window(const Dimensions& dims);
  // Keys as a matrix [kHeadSize, nAudioCtx], so that queries times it are scores: a scale for each position.
  PackedMatrix keys(int layer, int head) const;
  // Values as a matrix [nAudioCtx, kHeadSize]: a scale for each channel.
  PackedMatrix values(int layer, int head) const;
  void* keyBytes(int layer, int head);    // packedBytes(kHeadSize, nAudioCtx) to be filled
  void* valueBytes(int layer, int head);  // packedBytes(nAudioCtx, kHeadSize) to be filled
  float* keyMean(int layer, int head);    // [kHeadSize] what was taken away from each key before it was quantised
  size_t bytes() const { return size_; }
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

 private:
  Dimensions dims_;
  size_t keySize_, valueSize_, headSize_, size_;
  uint8_t* memory_;
};

}  // namespace sotto
