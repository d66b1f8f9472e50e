// Log-Mel spectrograms of windows, on the device: samples -> mirrored ends -> (DFT as a matrix product) -> power -> (mel filters as a
// matrix product) -> logarithm -> floor below the loudest, as src/features/log-mel-spectrogram.ts has it (logMelWindow). A spectrogram
// lies here as the encoder's convolutions read it: [frames + 2, nMels], with a row of zeros at both ends.
#pragma once
#include "platform.cuh"
#include "vectors.cuh"

/// Samples mirrored at each end of a window: half the 400 of a frame.
constexpr int EDGE = 200;
/// Bins of a frame's spectrum, and as many as a row of them has room for.
constexpr int BINS = 201;
constexpr int BINS_PADDED = 208;

/// The float's order on integers: as signed integers they compare as the floats do. Its own inverse.
DEVICE int ordered(float x) {
  const int bits = static_cast<int>(bits_of(x));
  return bits >= 0 ? bits : bits ^ 0x7fffffff;
}
DEVICE float from_ordered(int order) { return float_of(static_cast<uint32_t>(order >= 0 ? order : order ^ 0x7fffffff)); }

/// samples [batch, nSamples] -> padded [batch, nSamples + 400]. nSamples: more than 200. Grid: (any, batch).
KERNEL(256)
pad_samples(const float* __restrict__ samples, float* __restrict__ padded, int nSamples) {
  const int length = nSamples + 2 * EDGE;
  samples += static_cast<int64_t>(blockIdx.y) * nSamples;
  padded += static_cast<int64_t>(blockIdx.y) * length;
  const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  const auto mirrored = [&](int i) {
    i -= EDGE;
    if (i < 0) i = -i;
    return samples[i < nSamples ? i : 2 * (nSamples - 1) - i];
  };
  const int fours = nSamples % 4 == 0 ? length / 4 : 0;
  for (int i = first; i < fours; i += step) {
    const int at = i * 4;
    const bool isInside = at >= EDGE && at < EDGE + nSamples;
    store4(padded + at, isInside ? load4(samples + at - EDGE)
                                 : make_float4(mirrored(at), mirrored(at + 1), mirrored(at + 2), mirrored(at + 3)));
  }
  for (int i = fours * 4 + first; i < length; i += step) padded[i] = mirrored(i);
}
REGISTER(pad_samples)

/// dft [rows, 2 * 208] (real parts, then imaginary ones; 201 of each count) -> power [rows, 208], zeros after 201. Grid: any.
KERNEL(256)
power_spectrum(const float* __restrict__ dft, float* __restrict__ power, int rows) {
  const int64_t fours = static_cast<int64_t>(rows) * (BINS_PADDED / 4);
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < fours; i += step) {
    const int64_t row = i / (BINS_PADDED / 4);
    const int bin = static_cast<int>(i % (BINS_PADDED / 4)) * 4;
    const float* real = dft + row * 2 * BINS_PADDED + bin;
    const float4 re = load4(real), im = load4(real + BINS_PADDED);
    store4(power + i * 4, make_float4(bin < BINS ? re.x * re.x + im.x * im.x : 0.0f, bin + 1 < BINS ? re.y * re.y + im.y * im.y : 0.0f,
                                      bin + 2 < BINS ? re.z * re.z + im.z * im.z : 0.0f,
                                      bin + 3 < BINS ? re.w * re.w + im.w * im.w : 0.0f));
  }
}
REGISTER(power_spectrum)

/// mel [batch, frames * nMels] -> log10(max(mel, 1e-10)), in place; largest [batch] rises to the largest of them, as ordered() has it.
/// The caller has set `largest` to the least integer. Grid: (any, batch).
KERNEL(256)
log_mel(float* mel, int* largest, int frames, int nMels) {
  SHARED(float, warpTops, 8);
  const int count = frames * nMels;
  mel += static_cast<int64_t>(blockIdx.y) * count;
  const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  float top = -INFINITY;
  const auto log = [&](float power) {
    const float x = log10f(fmaxf(power, 1e-10f));
    top = fmaxf(top, x);
    return x;
  };
  const int fours = count % 4 == 0 ? count / 4 : 0;
  for (int i = first; i < fours; i += step) {
    const float4 x = load4(mel + i * 4);
    store4(mel + i * 4, make_float4(log(x.x), log(x.y), log(x.z), log(x.w)));
  }
  for (int i = fours * 4 + first; i < count; i += step) mel[i] = log(mel[i]);

  top = warp_max(top);
  if (lane_id() == 0) warpTops[warp_id()] = top;
  sync_block();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < static_cast<int>(blockDim.x / 32); warp++) top = fmaxf(top, warpTops[warp]);
  atomic_max(largest + blockIdx.y, ordered(top));
}
REGISTER(log_mel)

/// mel [batch, frames, nMels], largest [batch] as log_mel leaves them -> out [batch, frames + 2, nMels]: (max(x, largest - 8) + 4) / 4
/// between two rows of zeros. Grid: (any, batch).
template <class T>
DEVICE void scale_mel(const float* __restrict__ mel, const int* largest, T* __restrict__ out, int frames, int nMels) {
  const int count = frames * nMels, length = count + 2 * nMels;
  mel += static_cast<int64_t>(blockIdx.y) * count;
  out += static_cast<int64_t>(blockIdx.y) * length;
  const float lowest = from_ordered(largest[blockIdx.y]) - 8.0f;
  const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  const auto scaled = [&](float x) { return (fmaxf(x, lowest) + 4.0f) * 0.25f; };
  const int fours = nMels % 4 == 0 ? length / 4 : 0;
  for (int i = first; i < fours; i += step) {
    const int at = i * 4 - nMels;
    float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (at >= 0 && at < count) {
      x = load4(mel + at);
      x = make_float4(scaled(x.x), scaled(x.y), scaled(x.z), scaled(x.w));
    }
    store4(out + i * 4, x);
  }
  for (int i = fours * 4 + first; i < length; i += step) {
    const int at = i - nMels;
    out[i] = from_float<T>(at >= 0 && at < count ? scaled(mel[at]) : 0.0f);
  }
}

/// mel [batch, nMels, frames] as the features have it -> out [batch, frames + 2, nMels] between two rows of zeros.
/// Grid: (ceil((frames + 2) / 32), ceil(nMels / 32), batch); 256 threads.
template <class T>
DEVICE void import_mel(const float* mel, T* out, int frames, int nMels) {
  SHARED(float, tile, 32 * 33);
  const int rows = frames + 2;
  const int row0 = static_cast<int>(blockIdx.x) * 32, column0 = static_cast<int>(blockIdx.y) * 32;
  mel += static_cast<int64_t>(blockIdx.z) * nMels * frames;
  out += static_cast<int64_t>(blockIdx.z) * rows * nMels;
  for (int i = warp_id(); i < 32; i += static_cast<int>(blockDim.x / 32)) {
    const int frame = row0 + lane_id() - 1, bin = column0 + i;
    const bool isInside = frame >= 0 && frame < frames && bin < nMels;
    tile[i * 33 + lane_id()] = isInside ? mel[static_cast<int64_t>(bin) * frames + frame] : 0.0f;
  }
  sync_block();
  for (int i = warp_id(); i < 32; i += static_cast<int>(blockDim.x / 32)) {
    const int row = row0 + i, bin = column0 + lane_id();
    if (row < rows && bin < nMels) out[static_cast<int64_t>(row) * nMels + bin] = from_float<T>(tile[lane_id() * 33 + i]);
  }
}

#define LOG_MEL(T, suffix)                                                                                                          \
  KERNEL(256) scale_mel_##suffix(const float* mel, const int* largest, T* out, int frames, int nMels) {                             \
    scale_mel<T>(mel, largest, out, frames, nMels);                                                                                 \
  }                                                                                                                                 \
  REGISTER(scale_mel_##suffix)                                                                                                      \
  KERNEL(256) import_mel_##suffix(const float* mel, T* out, int frames, int nMels) { import_mel<T>(mel, out, frames, nMels); }      \
  REGISTER(import_mel_##suffix)

LOG_MEL(float, f32)
LOG_MEL(f16, f16)
LOG_MEL(bf16, bf16)
