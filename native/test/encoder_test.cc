// Checks the encoder against plain double code (within what 8 bits allow), and against itself with other numbers of threads (to the
// bit).
#include "../encoder.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../cpu.h"
#include "check.h"

using namespace sotto;

namespace {

using Numbers = std::vector<double>;

// A model with random weights, as kernels and as plain code see it.
struct Toy {
  struct Layer {
    std::vector<float> weight, bias;
    std::shared_ptr<void> packed;
    int nIn = 0, nOut = 0;

    Linear view(bool biased = true) const {
      return {viewPacked(packed.get(), nIn, nOut), biased ? bias.data() : nullptr};
    }

    // x [rows, nIn]
    Numbers apply(const Numbers& x) const {
      size_t rows = x.size() / nIn;
      Numbers y(rows * nOut);
      for (size_t row = 0; row < rows; row++) {
        for (int out = 0; out < nOut; out++) {
          double sum = bias[out];
          for (int in = 0; in < nIn; in++) sum += x[row * nIn + in] * weight[static_cast<size_t>(out) * nIn + in];
          y[row * nOut + out] = sum;
        }
      }
      return y;
    }
  };

  struct LayerNorm {
    std::vector<float> weight, bias;
    Norm view() const { return {weight.data(), bias.data()}; }
    Numbers apply(const Numbers& x) const {
      size_t cols = weight.size();
      Numbers y(x.size());
      for (size_t row = 0; row < x.size(); row += cols) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < cols; i++) mean += x[row + i] / cols;
        for (size_t i = 0; i < cols; i++) variance += (x[row + i] - mean) * (x[row + i] - mean) / cols;
        for (size_t i = 0; i < cols; i++) y[row + i] = (x[row + i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
      }
      return y;
    }
  };

  struct Block {
    LayerNorm attnNorm, mlpNorm;
    Layer qkv, attnOut, mlpIn, mlpOut;
  };

  std::mt19937 engine{5};
  Dimensions dims{};
  Layer conv1, conv2;
  std::vector<float> positions;
  std::vector<Block> blocks;
  LayerNorm norm;
  std::vector<Layer> cross;
  Model model;

  std::vector<float> normals(size_t count, float deviation, float mean = 0) {
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> x(count);
    for (float& each : x) each = normal(engine);
    return x;
  }

  Layer layer(int nIn, int nOut) {
    Layer l;
    l.nIn = nIn;
    l.nOut = nOut;
    l.weight = normals(static_cast<size_t>(nIn) * nOut, 1 / std::sqrt(static_cast<float>(nIn)));
    l.bias = normals(nOut, 0.1f);
    l.packed = std::shared_ptr<void>(std::aligned_alloc(64, roundUp(packedBytes(nIn, nOut), 64)), std::free);
    packMatrix(l.weight.data(), nIn, nOut, nIn, l.packed.get());
    return l;
  }

  LayerNorm layerNorm() { return {normals(dims.nAudioState, 0.1f, 1), normals(dims.nAudioState, 0.1f)}; }

  Toy(int nMels, int context, int heads, int audioLayers, int textLayers) {
    const int state = heads * kHeadSize;
    dims.nMels = nMels;
    dims.nAudioCtx = context;
    dims.nAudioState = dims.nTextState = state;
    dims.nAudioHead = dims.nTextHead = heads;
    dims.nAudioLayer = audioLayers;
    dims.nTextLayer = textLayers;
    conv1 = layer(3 * nMels, state);
    conv2 = layer(3 * state, state);
    positions = normals(static_cast<size_t>(context) * state, 0.5f);
    for (int i = 0; i < audioLayers; i++) {
      blocks.push_back({layerNorm(), layerNorm(), layer(state, 3 * state), layer(state, state), layer(state, 4 * state),
                        layer(4 * state, state)});
    }
    norm = layerNorm();
    for (int i = 0; i < textLayers; i++) {
      cross.push_back(layer(state, 2 * state));
      if (i == 1) std::fill(cross[i].bias.begin(), cross[i].bias.end(), 0.0f);  // this one is given without a bias
    }

    model.dims = dims;
    model.conv1 = conv1.view();
    model.conv2 = conv2.view();
    model.audioPositions = positions.data();
    for (const Block& b : blocks) {
      model.encoder.push_back({b.attnNorm.view(), b.qkv.view(), b.attnOut.view(), b.mlpNorm.view(), b.mlpIn.view(), b.mlpOut.view()});
    }
    model.encoderNorm = norm.view();
    for (int i = 0; i < textLayers; i++) {
      DecoderBlock block{};
      block.crossKeyValue = cross[i].view(i != 1);
      model.decoder.push_back(block);
    }
  }

  static void gelu(Numbers& x) {
    for (double& v : x) v = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
  }

  // x [channels, length] to [channels, length / stride]
  static Numbers convolve(const Layer& l, const Numbers& x, int stride) {
    int channels = l.nIn / 3, length = static_cast<int>(x.size()) / channels, outLength = length / stride;
    Numbers y(static_cast<size_t>(l.nOut) * outLength);
    for (int out = 0; out < l.nOut; out++) {
      for (int t = 0; t < outLength; t++) {
        double sum = l.bias[out];
        for (int c = 0; c < channels; c++) {
          for (int tap = 0; tap < 3; tap++) {
            int at = t * stride + tap - 1;
            if (at >= 0 && at < length) sum += x[static_cast<size_t>(c) * length + at] * l.weight[(static_cast<size_t>(out) * channels + c) * 3 + tap];
          }
        }
        y[static_cast<size_t>(out) * outLength + t] = sum;
      }
    }
    gelu(y);
    return y;
  }

  // [context, state]
  Numbers encode(const std::vector<float>& mel) const {
    const int context = dims.nAudioCtx, state = dims.nAudioState;
    Numbers turned = convolve(conv2, convolve(conv1, Numbers(mel.begin(), mel.end()), 1), 2);
    Numbers x(turned.size());
    for (int t = 0; t < context; t++) {
      for (int c = 0; c < state; c++) x[t * state + c] = turned[c * context + t] + positions[t * state + c];
    }
    auto add = [&x](const Numbers& y) {
      for (size_t i = 0; i < x.size(); i++) x[i] += y[i];
    };
    for (const Block& block : blocks) {
      Numbers qkv = block.qkv.apply(block.attnNorm.apply(x)), attended(x.size(), 0);
      for (int head = 0; head < dims.nAudioHead; head++) {
        for (int t = 0; t < context; t++) {
          const double* query = &qkv[t * 3 * state + head * kHeadSize];
          Numbers scores(context, 0);
          double sum = 0;
          for (int s = 0; s < context; s++) {
            const double* key = &qkv[s * 3 * state + state + head * kHeadSize];
            for (int c = 0; c < kHeadSize; c++) scores[s] += query[c] * key[c] / 8;
            sum += scores[s] = std::exp(scores[s]);
          }
          for (int s = 0; s < context; s++) {
            const double* value = &qkv[s * 3 * state + 2 * state + head * kHeadSize];
            for (int c = 0; c < kHeadSize; c++) attended[t * state + head * kHeadSize + c] += scores[s] / sum * value[c];
          }
        }
      }
      add(block.attnOut.apply(attended));
      Numbers hidden = block.mlpIn.apply(block.mlpNorm.apply(x));
      gelu(hidden);
      add(block.mlpOut.apply(hidden));
    }
    return norm.apply(x);
  }
};

double byteAt(const PackedMatrix& m, int in, int out) {
  size_t block = static_cast<size_t>(out / 16) * m.inBlocks() + in / 64;
  return m.blocks[block * 1024 + in % 64 / 4 * 64 + out % 16 * 4 + in % 4] * double{m.scales[out]};
}

// Root mean square of the difference, relative to what is expected.
struct Error {
  double wrong = 0, size = 0;
  void add(double found, double expected) {
    wrong += (found - expected) * (found - expected);
    size += expected * expected;
  }
  double relative() const { return std::sqrt(wrong / size); }
};

void testAgainstPlain(int nMels, int context, int heads, int audioLayers, int textLayers) {
  Toy toy(nMels, context, heads, audioLayers, textLayers);
  const int state = toy.dims.nAudioState;
  std::string label = std::to_string(nMels) + " mels, " + std::to_string(context) + " positions, " + std::to_string(heads) +
                      " heads, " + std::to_string(audioLayers) + " blocks";
  std::vector<float> mel = toy.normals(static_cast<size_t>(nMels) * 2 * context, 0.5f, 0.3f);
  Numbers expected = toy.encode(mel);

  Threads one(1), three(3);
  Encoder encoder(toy.model, one), together(toy.model, three);
  Window window(toy.dims), other(toy.dims);
  std::vector<float> features(expected.size() + 1, 99.0f), otherFeatures(features);
  encoder.encode(mel.data(), window, features.data());
  Error error;
  for (size_t i = 0; i < expected.size(); i++) error.add(features[i], expected[i]);
  checkBelow(error.relative(), 0.01 * (2 + audioLayers), "features, " + label);
  check(features.back() == 99.0f, "encode() writes no more features than there are, " + label);

  // Keys and values, as the products of the features found.
  Error keyError, valueError;
  for (int layer = 0; layer < textLayers; layer++) {
    Numbers keysValues = toy.cross[layer].apply(Numbers(features.begin(), features.end() - 1));
    for (int head = 0; head < heads; head++) {
      PackedMatrix keys = window.keys(layer, head), values = window.values(layer, head);
      for (int t = 0; t < context; t++) {
        for (int c = 0; c < kHeadSize; c++) {
          const double* at = &keysValues[(static_cast<size_t>(t) * 2 * heads + head) * kHeadSize + c];
          keyError.add(byteAt(keys, c, t) + window.keyMean(layer, head)[c], at[0]);
          valueError.add(byteAt(values, t, c), at[state]);
        }
      }
    }
  }
  checkBelow(keyError.relative(), 0.02, "keys of the window, " + label);
  checkBelow(valueError.relative(), 0.02, "values of the window, " + label);

  // Another number of threads, and buffers that another window has used.
  std::vector<float> noise = toy.normals(mel.size(), 2);
  together.encode(noise.data(), other, nullptr);
  together.encode(mel.data(), other, otherFeatures.data());
  bool same = std::memcmp(features.data(), otherFeatures.data(), features.size() * sizeof(float)) == 0;
  for (int layer = 0; layer < textLayers; layer++) {
    for (int head = 0; head < heads; head++) {
      same &= std::memcmp(window.keyBytes(layer, head), other.keyBytes(layer, head), packedBytes(kHeadSize, context)) == 0;
      same &= std::memcmp(window.valueBytes(layer, head), other.valueBytes(layer, head), packedBytes(context, kHeadSize)) == 0;
      same &= std::memcmp(window.keyMean(layer, head), other.keyMean(layer, head), kHeadSize * sizeof(float)) == 0;
    }
  }
  check(same, "the same bits with three threads, " + label);
}

void testWindow() {
  Dimensions dims{};
  dims.nAudioCtx = 37;
  dims.nTextLayer = 2;
  dims.nTextHead = 3;
  Window window(dims);
  std::vector<std::pair<uint8_t*, size_t>> parts;
  for (int layer = 0; layer < 2; layer++) {
    for (int head = 0; head < 3; head++) {
      parts.emplace_back(static_cast<uint8_t*>(window.keyBytes(layer, head)), packedBytes(kHeadSize, 37));
      parts.emplace_back(static_cast<uint8_t*>(window.valueBytes(layer, head)), packedBytes(37, kHeadSize));
      parts.emplace_back(reinterpret_cast<uint8_t*>(window.keyMean(layer, head)), kHeadSize * sizeof(float));
      check(window.keys(layer, head).blocks == window.keyBytes(layer, head) && window.keys(layer, head).nOut == 37 &&
                window.values(layer, head).blocks == window.valueBytes(layer, head) && window.values(layer, head).nIn == 37,
            "a window's matrices are views of its bytes");
    }
  }
  std::sort(parts.begin(), parts.end());
  bool apart = true, even = true;
  for (size_t i = 0; i < parts.size(); i++) {
    even &= reinterpret_cast<uintptr_t>(parts[i].first) % 64 == 0;
    if (i > 0) apart &= parts[i - 1].first + parts[i - 1].second <= parts[i].first;
  }
  check(apart && even && parts.back().first + parts.back().second <= parts.front().first + window.bytes(),
        "a window's parts lie apart, on 64 bytes, within its memory");
}

}  // namespace

int main() {
  std::printf("instruction set: %s\n", isaName(detectIsa()));
  testWindow();
  testAgainstPlain(80, 12, 1, 2, 2);
  testAgainstPlain(7, 1, 1, 1, 1);
  testAgainstPlain(80, 101, 2, 1, 2);
  testAgainstPlain(128, 230, 3, 2, 1);
  testAgainstPlain(20, 40, 2, 0, 1);
  return result();
}
