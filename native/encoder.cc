// The encoder in stages. For each block: keys and values are made and packed head by head, then attention of some queries of a
// head, then all the rest of a block of rows in one go (attention's output, MLP, the next block's norm). What goes from stage to
// stage through memory is the residual stream, its quantised norm (of which each head makes its own queries, keys and values
// while they are in its cache) and what attention gives.
#include "encoder.h"

#include <algorithm>
#include <vector>

#include "affine_rows.h"
#include "vectors.h"

namespace sotto {
namespace {

// Rows that a worker takes through the layers of a stage: few enough that their hidden layer stays in its cache, many because
// each block of rows reads all the weights.
constexpr int kMostRows = 96;
constexpr size_t kHiddenBytes = 1280 << 10;

int rowChunk(int state) {
  size_t rows = kHiddenBytes / (4 * state * sizeof(float));
  return static_cast<int>(std::min<size_t>(kMostRows, std::max<size_t>(32, rows / 32 * 32)));
}

// Queries of a head that a worker takes: many, so that the head's keys and values stay in its cache.
constexpr int kQueryChunk = 384;

// A matrix of floats.
struct Floats {
  float* data;
  size_t stride;
  float* row(int i) const { return data + i * stride; }
};

// Not a power of 2 from row to row, so that rows do not meet in the cache.
Floats floats(Scratch& scratch, int rows, int cols) {
  size_t stride = roundUp(cols, 16) + 16;
  return {scratch.get<float>(rows * stride), stride};
}

// The outputs of one head.
PackedMatrix headOutputs(const PackedMatrix& all, size_t head) {
  constexpr size_t kBlocks = kHeadSize / kBlockOut;
  PackedMatrix part = all;
  part.nOut = kHeadSize;
  part.blocks += head * kBlocks * all.paddedIn() * kBlockOut;
  part.scales += head * kHeadSize;
  part.sums += head * kHeadSize;
  return part;
}

// What a worker needs for its chunk.
struct Worker {
  Scratch quantized, values, taps, attention;
};

}  // namespace

struct Encoder::Buffers {
  std::vector<Worker> workers;
  Scratch x, normed, attended, packed;
  explicit Buffers(int workers) : workers(workers) {}
};

Encoder::Encoder(const Model& model, Threads& threads)
    : model_(model), threads_(threads), buffers_(new Buffers(threads.count())) {}

Encoder::~Encoder() = default;

namespace {

// The way of one window through the network.
struct Pass {
  const Model& model;
  Threads& threads;
  std::vector<Worker>& workers;
  Floats x, attended;
  AffineRows normed;  // what the next layer sees of x
  uint8_t* packed;       // of each head: keys, then values

  const Dimensions& dims() const { return model.dims; }
  int rows() const { return model.dims.nAudioCtx; }
  int state() const { return model.dims.nAudioState; }
  size_t keyBytes() const { return roundUp(packedBytes(kHeadSize, rows()), 64); }
  size_t headBytes() const { return keyBytes() + roundUp(packedBytes(rows(), kHeadSize), 64); }

  // Calls work(first row, rows, worker) for all rows, in chunks.
  template <typename Work>
  void forRows(const Work& work) {
    int share = static_cast<int>(roundUp((rows() + threads.count() - 1) / threads.count(), 16));
    int chunk = std::min(rowChunk(state()), share);
    threads.run((rows() + chunk - 1) / chunk, [&](size_t i, int worker) {
      int first = static_cast<int>(i) * chunk;
      work(first, std::min(chunk, rows() - first), workers[worker]);
    });
  }

  void convolve(const float* mel, int first, int count, Worker& worker) {
    const int nMels = dims().nMels, frames = 2 * rows();
    // conv2 sees frames 2 * first - 1 to 2 * (first + count) - 1, and conv1 one more to either side.
    const int from = std::max(0, 2 * first - 1), to = 2 * (first + count);
    const int melFrom = std::max(0, from - 1), melTo = std::min(frames, to + 1);
    Floats turned = floats(worker.values, melTo - melFrom, nMels);
    for (int m = 0; m < nMels; m++) {
      for (int t = melFrom; t < melTo; t++) turned.row(t - melFrom)[m] = mel[static_cast<size_t>(m) * frames + t];
    }
    AffineRows seen(worker.quantized, to - from, 3 * nMels);
    quantizeTaps(turned.data, turned.stride, nMels, from - 1 - melFrom, 1, 0, melTo - melFrom, seen);
    Floats hidden = floats(worker.taps, to - from, state());
    multiply(seen, model.conv1.weight, model.conv1.bias, true, nullptr, 0, hidden.data, hidden.stride);

    AffineRows seenNext(worker.quantized, count, 3 * state());
    quantizeTaps(hidden.data, hidden.stride, state(), 2 * first - 1 - from, 2, 0, to - from, seenNext);
    multiply(seenNext, model.conv2.weight, model.conv2.bias, true, model.audioPositions + static_cast<size_t>(first) * state(),
             state(), x.row(first), x.stride);
  }

  void normalise(const Norm& norm, int first, int count) {
    AffineRows part = normed.part(first, count);
    normAndQuantizeAffine(x.row(first), x.stride, norm, part);
  }

  // One head's outputs of some rows of `normed`, [rows, kHeadSize].
  float* project(const Linear& linear, size_t head, int first, int count, Worker& worker) {
    float* y = worker.values.get<float>(static_cast<size_t>(count) * kHeadSize);
    const float* bias = linear.bias == nullptr ? nullptr : linear.bias + head * kHeadSize;
    multiply(normed.part(first, count), headOutputs(linear.weight, head), bias, false, nullptr, 0, y, kHeadSize);
    return y;
  }

  void packHeads(const EncoderBlock& block) {
    const size_t heads = dims().nAudioHead;
    threads.run(2 * heads, [&](size_t i, int worker) {
      // In the projection, the keys' heads follow the queries'.
      const float* rowsOfHead = project(block.qkv, heads + i, 0, rows(), workers[worker]);
      uint8_t* to = packed + i % heads * headBytes();
      if (i < heads) packKeys(rowsOfHead, kHeadSize, rows(), to, nullptr);
      else packValues(rowsOfHead, kHeadSize, rows(), to + keyBytes());
    });
  }

  void attend(const EncoderBlock& block) {
    size_t parts = (rows() + kQueryChunk - 1) / kQueryChunk;
    threads.run(dims().nAudioHead * parts, [&](size_t i, int worker) {
      size_t head = i / parts;
      int first = static_cast<int>(i % parts) * kQueryChunk, count = std::min(kQueryChunk, rows() - first);
      const float* queries = project(block.qkv, head, first, count, workers[worker]);
      const uint8_t* bytes = packed + head * headBytes();
      attendPacked(queries, kHeadSize, count, viewPacked(bytes, kHeadSize, rows()),
                   viewPacked(bytes + keyBytes(), rows(), kHeadSize), workers[worker].attention,
                   attended.row(first) + head * kHeadSize, attended.stride);
    });
  }

  // The rest of a block, after attention.
  void finish(const EncoderBlock& block, int first, int count, Worker& worker) {
    float* rows = x.row(first);
    AffineRows seen(worker.quantized, count, state());
    quantizeAffine(attended.row(first), attended.stride, seen);
    multiply(seen, block.attnOut.weight, block.attnOut.bias, false, rows, x.stride, rows, x.stride);

    normAndQuantizeAffine(rows, x.stride, block.mlpNorm, seen);
    const int size = block.mlpIn.weight.nOut;
    Floats hidden = floats(worker.values, count, size);
    multiply(seen, block.mlpIn.weight, block.mlpIn.bias, true, nullptr, 0, hidden.data, hidden.stride);

    AffineRows seenHidden(worker.quantized, count, size);
    quantizeAffine(hidden.data, hidden.stride, seenHidden);
    multiply(seenHidden, block.mlpOut.weight, block.mlpOut.bias, false, rows, x.stride, rows, x.stride);
  }

  // What the decoder attends to, of all its layers.
  void remember(Window& window) {
    const size_t heads = dims().nTextHead;
    threads.run(model.decoder.size() * 2 * heads, [&](size_t i, int worker) {
      const size_t output = i % (2 * heads);
      const int layer = static_cast<int>(i / (2 * heads)), head = static_cast<int>(output % heads);
      const float* rowsOfHead = project(model.decoder[layer].crossKeyValue, output, 0, rows(), workers[worker]);
      if (output < heads) packKeys(rowsOfHead, kHeadSize, rows(), window.keyBytes(layer, head), window.keyMean(layer, head));
      else packValues(rowsOfHead, kHeadSize, rows(), window.valueBytes(layer, head));
    });
  }
};

}  // namespace

bool Encoder::encode(const float* mel, Window& window, float* features) {
  const Dimensions& dims = model_.dims;
  const int rows = dims.nAudioCtx, state = dims.nAudioState;
  Buffers& buffers = *buffers_;
  Pass pass{model_, threads_, buffers.workers, floats(buffers.x, rows, state), floats(buffers.attended, rows, state),
            AffineRows(buffers.normed, rows, state), nullptr};
  pass.packed = buffers.packed.get<uint8_t>(dims.nAudioHead * pass.headBytes());

  const size_t blocks = model_.encoder.size();
  // The norm that follows block i - 1.
  auto normOf = [&](size_t i) { return i < blocks ? model_.encoder[i].attnNorm : model_.encoderNorm; };
  pass.forRows([&](int first, int count, Worker& worker) {
    pass.convolve(mel, first, count, worker);
    pass.normalise(normOf(0), first, count);
  });
  for (size_t i = 0; i < blocks; i++) {
    pass.packHeads(model_.encoder[i]);
    pass.attend(model_.encoder[i]);
    pass.forRows([&](int first, int count, Worker& worker) {
      pass.finish(model_.encoder[i], first, count, worker);
      pass.normalise(normOf(i + 1), first, count);
    });
  }
  if (features != nullptr) layerNorm(pass.x.data, pass.x.stride, model_.encoderNorm, state, 0, rows, features, state);
  pass.remember(window);
  // Bytes cannot hold what is no number, but the sum of all layers' outputs does.
  for (int row = 0; row < rows; row++) {
    if (!allFinite(pass.x.row(row), state)) return false;
  }
  return true;
}

}  // namespace sotto
