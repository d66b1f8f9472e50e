import { describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { i32, ptr } from "../../src/engine/cuda/arguments.ts";
import type { CudaDevice } from "../../src/engine/cuda/device.ts";
import { Kernels } from "../../src/engine/cuda/kernels.ts";
import { DeviceLogMel } from "../../src/engine/cuda/log-mel.ts";
import { logMelWindow } from "../../src/features/index.ts";
import type { ModelDimensions } from "../../src/model/index.ts";
import { samplePath } from "../helpers/samples.ts";
import { Random } from "../helpers/random.ts";
import { deviceFor, poisoned, PRECISIONS, relativeError, type Precision } from "./precisions.ts";

const [HOP, N_BINS, BINS_PADDED] = [160, 201, 208];

/** Of which the spectrogram needs two. */
const NANO: ModelDimensions = {
  nMels: 80,
  nAudioCtx: 1500,
  nAudioState: 64,
  nAudioHead: 1,
  nAudioLayer: 1,
  nVocab: 300,
  nTextCtx: 31,
  nTextState: 64,
  nTextHead: 1,
  nTextLayer: 1,
};

describe("pad_samples", () => {
  it.for([
    [201, 1],
    [480, 2],
    [1601, 3],
  ])("mirrors 200 of %d samples at both ends, %d windows", async ([nSamples, batch], ctx) => {
    const device = deviceFor(ctx);
    const samples = new Random(nSamples).normals(batch * nSamples);
    const length = nSamples + 400;
    const padded = poisoned(device, (batch * length + 1) * 4);
    device.launch("pad_samples", { grid: [2, batch, 1], block: 64 }, [
      ptr(device.upload(samples)),
      ptr(padded),
      i32(nSamples),
    ]);
    const expected = new Float32Array(batch * length + 1).fill(NaN);
    for (let b = 0; b < batch; b++) {
      for (let i = 0; i < length; i++) {
        const at = Math.abs(i - 200);
        expected[b * length + i] = samples[b * nSamples + (at < nSamples ? at : 2 * (nSamples - 1) - at)];
      }
    }
    expect(await device.download(padded, Float32Array, expected.length)).toEqual(expected);
  });
});

describe("power_spectrum", () => {
  it("adds the squares of 201 bins and leaves zeros behind them", async (ctx) => {
    const device = deviceFor(ctx);
    const rows = 5;
    const dft = new Random(1).normals(rows * 2 * BINS_PADDED);
    const power = poisoned(device, (rows * BINS_PADDED + 1) * 4);
    device.launch("power_spectrum", { grid: [3, 1, 1], block: 64 }, [ptr(device.upload(dft)), ptr(power), i32(rows)]);
    const expected = new Float32Array(rows * BINS_PADDED);
    for (let row = 0; row < rows; row++) {
      for (let bin = 0; bin < N_BINS; bin++) {
        const at = row * 2 * BINS_PADDED + bin;
        expected[row * BINS_PADDED + bin] = dft[at] ** 2 + dft[at + BINS_PADDED] ** 2;
      }
    }
    const actual = await device.download(power, Float32Array, expected.length + 1);
    expect(relativeError(actual.subarray(0, expected.length), expected)).toBeLessThan(1e-6);
    expect(actual.subarray(0, BINS_PADDED).filter((value) => value === 0)).toHaveLength(BINS_PADDED - N_BINS);
    expect(actual[expected.length]).toBeNaN();
  });
});

/** By the device, from samples to the encoder's input: [windows][frames + 2][nMels] of the type, frames an even number. */
async function logMelOnDevice(
  device: CudaDevice,
  windows: readonly Float32Array[],
  frames: number,
  nMels: number,
  precision: Precision,
): Promise<Float32Array> {
  const kernels = new Kernels(device, precision.dtype);
  const logMel = new DeviceLogMel(kernels, { ...NANO, nMels, nAudioCtx: frames / 2 });
  const count = windows.length * (frames + 2) * nMels;
  const out = poisoned(device, (count + 1) * precision.bytes);
  await logMel.compute(windows, out.address);
  const result = await precision.download(device, out, count + 1);
  await logMel.free();
  kernels.dispose();
  expect(result[count]).toBeNaN();
  return result.subarray(0, count);
}

/** The same by src/features. */
function logMelByFeatures(windows: readonly Float32Array[], frames: number, nMels: number): Float32Array {
  const out = new Float32Array(windows.length * (frames + 2) * nMels);
  windows.forEach((window, b) => {
    const mel = logMelWindow(window, nMels, frames).data;
    for (let m = 0; m < nMels; m++) {
      for (let t = 0; t < frames; t++) out[(b * (frames + 2) + t + 1) * nMels + m] = mel[m * frames + t];
    }
  });
  return out;
}

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i])), 0);

const tone = (hz: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hz * i) / 16_000));

describe("log-Mel on the device", () => {
  // The features have float64 transforms, these float32 sums of 400 terms: off by some 1e-7 of the loudest bin of the frame. Values reach
  // down to 1e-4 of it in amplitude, so to 1e-3 there, were it alone in its filter; measured are 2e-5 for pure tones, whose quiet bins
  // are the worst case, and 1e-5 for speech. In a result one step of 16-bit types is 1e-3 and more.
  const TOLERANCE = 1e-4;

  it.for([
    { frames: 60, nMels: 80 },
    { frames: 52, nMels: 128 },
    { frames: 54, nMels: 3 },
  ])("equals logMelWindow(), each window by its own loudest: %o", async ({ frames, nMels }, ctx) => {
    const device = deviceFor(ctx);
    const speech = await loadAudio(samplePath("en-short.wav"));
    const random = new Random(frames);
    const windows = [
      random.normals(frames * HOP, 0.1),
      speech.subarray(8000, 8000 + frames * HOP),
      tone(3333, frames * HOP),
      random.normals(20 * HOP, 1e-3), // and then silence
      new Float32Array(frames * HOP),
    ];
    const actual = await logMelOnDevice(device, windows, frames, nMels, PRECISIONS[0]);
    expect(largestDifference(actual, logMelByFeatures(windows, frames, nMels))).toBeLessThan(TOLERANCE);
  });

  it.for(PRECISIONS.slice(1))("rounds to $suffix at the end", async (precision, ctx) => {
    const windows = [new Random(2).normals(130 * HOP, 0.1), tone(440, 20_000)];
    const actual = await logMelOnDevice(deviceFor(ctx), windows, 130, 80, precision);
    const expected = logMelByFeatures(windows, 130, 80);
    expect(relativeError(actual, expected)).toBeLessThan(precision.tolerance);
  });
});

describe.each(PRECISIONS)("import_mel_$suffix", (precision) => {
  it.for([
    [2, 80, 60],
    [1, 128, 31],
    [2, 3, 33],
  ])("turns %d spectrograms of %d by %d for the encoder", async ([batch, nMels, frames], ctx) => {
    const device = deviceFor(ctx);
    const mel = new Random(frames).normals(batch * nMels * frames);
    const count = batch * (frames + 2) * nMels;
    const out = poisoned(device, (count + 1) * precision.bytes);
    const grid = [Math.ceil((frames + 2) / 32), Math.ceil(nMels / 32), batch] as const;
    device.launch(`import_mel_${precision.suffix}`, { grid, block: 256 }, [
      ptr(device.upload(mel)),
      ptr(out),
      i32(frames),
      i32(nMels),
    ]);
    const expected = new Float32Array(count);
    for (let b = 0; b < batch; b++) {
      for (let m = 0; m < nMels; m++) {
        for (let t = 0; t < frames; t++) {
          expected[(b * (frames + 2) + t + 1) * nMels + m] = mel[(b * nMels + m) * frames + t];
        }
      }
    }
    const actual = await precision.download(device, out, count + 1);
    expect(actual.subarray(0, count)).toEqual(precision.round(expected));
    expect(actual[count]).toBeNaN();
  });
});
