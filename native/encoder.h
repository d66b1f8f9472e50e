// From the log-Mel spectrogram of one window to what the decoder remembers of it.
#pragma once

#include <memory>

#include "layers.h"
#include "model.h"
#include "threads.h"

namespace sotto {

class Encoder {
 public:
  Encoder(const Model& model, Threads& threads);
  ~Encoder();

  // mel: [nMels, 2 * nAudioCtx]. Fills the window's keys and values.
  // features: [nAudioCtx, nAudioState], or null if they are not wanted.
  // Returns whether all that was computed are finite numbers.
  bool encode(const float* mel, Window& window, float* features);

 private:
  struct Buffers;
  const Model& model_;
  Threads& threads_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace sotto
