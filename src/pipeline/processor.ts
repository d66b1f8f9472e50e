/**
 * Audio in, features out, and tokens to text: the processor of the model-level API, under Hugging Face's names.
 *
 * A processor is a function with methods, so that it is used as in Python: `await processor(samples)`.
 */
import { loadAudio, SAMPLE_RATE, type AudioInput } from "../audio/index.ts";
import { OptionError } from "../errors.ts";
import { HOP_LENGTH, logMelWindow } from "../features/index.ts";
import { HUB_OPTIONS, type HubOptions } from "../hub/index.ts";
import { windowFrames } from "../model/index.ts";
import { assertOption, assertOptions, flag, nonEmptyText, number, type OptionKind } from "../options/index.ts";
import type { Tensor } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import { defaultModel, type Device } from "./choices.ts";
import { DEVICE, loadProcessorFiles, loadTokenizer } from "./load.ts";

export interface LoadProcessorOptions extends HubOptions {
  /** The device that the model will run on, which decides the default model; a processor itself needs none. */
  readonly device?: Device | undefined;
}

export interface ProcessorOptions {
  /** Hz of bare samples; default 16000, others are resampled. Files say their own. */
  readonly samplingRate?: number | undefined;
}

export interface BatchDecodeOptions {
  /** Default false, as in Hugging Face: special tokens are shown. */
  readonly skipSpecialTokens?: boolean | undefined;
  /** Default false: timestamps are left out. */
  readonly decodeWithTimestamps?: boolean | undefined;
}

const PROCESSOR_OPTIONS = {
  samplingRate: number({ above: 0 }),
} as const satisfies Readonly<Record<keyof ProcessorOptions, OptionKind>>;

const DECODE_OPTIONS = {
  skipSpecialTokens: flag,
  decodeWithTimestamps: flag,
} as const satisfies Readonly<Record<keyof BatchDecodeOptions, OptionKind>>;

/** See the head of this file; `WhisperProcessor.fromPretrained` makes one. */
export interface WhisperProcessor {
  /**
   * Computes what the model listens to: the first 30 s of each recording, padded with silence (facts 1.4.7).
   *
   * @param audio one recording or several: samples, or anything that `loadAudio` reads
   * @returns `inputFeatures` [batch, nMels, 3000]
   */
  (audio: AudioInput | readonly AudioInput[], options?: ProcessorOptions): Promise<{ inputFeatures: Tensor }>;
  readonly tokenizer: Tokenizer;
  readonly nMels: number;
  decode(tokens: Iterable<number>, options?: BatchDecodeOptions): string;
  batchDecode(sequences: Iterable<Iterable<number>>, options?: BatchDecodeOptions): string[];
}

export const WhisperProcessor = {
  /**
   * Loads the processor of a checkpoint. Its weights are neither opened nor downloaded.
   *
   * @param model a name, a hub id, or a folder; default: "base", or "turbo" where `device` is a GPU
   * @throws {HubError} if it cannot be had
   * @throws {CheckpointError} if its files are damaged, or of no Whisper checkpoint
   */
  async fromPretrained(model?: string, options: LoadProcessorOptions = {}): Promise<WhisperProcessor> {
    if (model !== undefined) assertOption("model", model, nonEmptyText);
    assertOptions("fromPretrained", options, { ...HUB_OPTIONS, device: DEVICE });
    const { device, ...hub } = options;
    const files = await loadProcessorFiles(model ?? defaultModel(device), hub);
    return makeProcessor(await loadTokenizer(files), files.dimensions.nMels, windowFrames(files.dimensions));
  },
};

function makeProcessor(tokenizer: Tokenizer, nMels: number, frames: number): WhisperProcessor {
  const process = async (
    audio: AudioInput | readonly AudioInput[],
    options: ProcessorOptions = {},
  ): Promise<{ inputFeatures: Tensor }> => {
    assertOptions("the processor", options, PROCESSOR_OPTIONS);
    const inputs = Array.isArray(audio) ? (audio as readonly AudioInput[]) : [audio as AudioInput];
    if (inputs.length === 0) throw new OptionError("audio", "No audio to process, expected at least one recording");
    const data = new Float32Array(inputs.length * nMels * frames);
    for (const [i, input] of inputs.entries()) {
      const samples = await loadAudio(withRate(input, options.samplingRate));
      data.set(logMelWindow(samples.subarray(0, frames * HOP_LENGTH), nMels, frames).data, i * nMels * frames);
    }
    return { inputFeatures: { data, dims: [inputs.length, nMels, frames] } };
  };
  const decode = (tokens: Iterable<number>, options: BatchDecodeOptions = {}): string => {
    assertOptions("decode", options, DECODE_OPTIONS);
    return tokenizer.decode(tokens, {
      skipSpecialTokens: options.skipSpecialTokens ?? false,
      timestamps: options.decodeWithTimestamps ?? false,
    });
  };
  return Object.assign(process, {
    tokenizer,
    nMels,
    decode,
    batchDecode: (sequences: Iterable<Iterable<number>>, options?: BatchDecodeOptions): string[] =>
      Array.from(sequences, (tokens) => decode(tokens, options)),
  });
}

function withRate(input: AudioInput, samplingRate: number | undefined): AudioInput {
  if (samplingRate === undefined) return input;
  if (!(input instanceof Float32Array)) {
    throw new OptionError("samplingRate", "Cannot use samplingRate of audio that is not bare samples", {
      hint: "files say their own rate, and { array, samplingRate } has one",
    });
  }
  if (samplingRate === SAMPLE_RATE) return input;
  return { array: input, samplingRate };
}
