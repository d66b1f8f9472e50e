/** Recordings in, transcripts out: the pipeline, under the names that users of Hugging Face know. */
import { openAudio, type AudioInput, type AudioStream, type LoadAudioOptions } from "../audio/index.ts";
import type { Checkpoint } from "../checkpoint/index.ts";
import { detectLanguage, type LanguageDetection } from "../decoding/index.ts";
import type { Engine } from "../engine/index.ts";
import { assertKnownOptions, assertOneOf, OptionError } from "../errors.ts";
import { HOP_LENGTH, logMelWindow } from "../features/index.ts";
import { windowFrames } from "../model/index.ts";
import { EngineScheduler } from "../scheduling/index.ts";
import type { ComputeDType } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  CHUNKED_OPTIONS,
  SEQUENTIAL_OPTIONS,
  transcribeManyChunked,
  transcribeManySequential,
  type ChunkedOptions,
  type ManyChunkedOptions,
  type ManySequentialOptions,
  type Progress,
  type Segment,
  type SequentialOptions,
  type Transcript,
  type TranscriptionContext,
} from "../transcription/index.ts";
import { ALGORITHMS, defaultModel, type Algorithm } from "./choices.ts";
import { EventQueue } from "./event-queue.ts";
import {
  LOAD_OPTIONS,
  loadCheckpoint,
  loadTokenizer,
  openEngine,
  resolveEngineOptions,
  type LoadOptions,
} from "./load.ts";
import { modelWarnings } from "./model-warnings.ts";

export interface PipelineOptions extends LoadOptions {
  /** Most windows computed together, where a call does not say otherwise. */
  readonly batchSize?: number | undefined;
}

/** What a call may ask of the audio. */
type AudioOptions = Omit<LoadAudioOptions, "signal">;

/** What a call may ask of the chunked algorithm, which is the default. */
export interface ChunkedTranscribeOptions extends ChunkedOptions, AudioOptions {
  readonly algorithm?: "chunked" | undefined;
}

/** What a call may ask of the sequential algorithm: names, defaults and meaning are openai/whisper's. */
export interface SequentialTranscribeOptions extends SequentialOptions, AudioOptions {
  readonly algorithm: "sequential";
  /** Adds `chunks` to the transcript; segments have their times in any case. Default false. */
  readonly returnTimestamps?: boolean | undefined;
}

export type TranscribeOptions = ChunkedTranscribeOptions | SequentialTranscribeOptions;

interface ManyEvents {
  readonly onProgress?: ((progress: Progress, index: number) => void) | undefined;
  readonly onSegment?: ((segment: Segment, index: number) => void) | undefined;
}

/** The same for several recordings: what is reported says of which one, by its index. */
export type TranscribeManyOptions =
  | (Omit<ChunkedTranscribeOptions, keyof ManyEvents> & ManyEvents)
  | (Omit<SequentialTranscribeOptions, keyof ManyEvents> & ManyEvents);

/** What became of one of several recordings. */
export interface TranscribedInput {
  /** Its place in the list of inputs. */
  readonly index: number;
  readonly transcript?: Transcript;
  readonly error?: Error;
}

const AUDIO_OPTIONS = [
  ...["allowPrivateAddresses", "proxyLookup", "maxBytes", "timeoutMs", "downloadTimeoutMs"],
  ...["minBytesPerSecond", "audioTrack", "maxSeconds"],
] as const;
const TRANSCRIBE_OPTIONS: Readonly<Record<Algorithm, readonly string[]>> = {
  chunked: [...CHUNKED_OPTIONS, ...AUDIO_OPTIONS, "algorithm"],
  sequential: [...SEQUENTIAL_OPTIONS, ...AUDIO_OPTIONS, "algorithm", "returnTimestamps"],
};

export class WhisperPipeline {
  readonly tokenizer: Tokenizer;
  /** The model on its device, for one caller at a time; who wants to share it with running transcriptions asks `scheduler`. */
  readonly engine: Engine;
  /** Shares the engine fairly among all calls of this pipeline; `client()` is a view of it for one more caller. */
  readonly scheduler: EngineScheduler;
  readonly #checkpoint: Checkpoint;
  readonly #batchSize: number | undefined;

  private constructor(checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine, batchSize: number | undefined) {
    this.#checkpoint = checkpoint;
    this.tokenizer = tokenizer;
    this.engine = engine;
    this.#batchSize = batchSize;
    this.scheduler = new EngineScheduler(engine, {
      maxRows: Math.max(engine.batchSize, batchSize ?? 0),
    });
  }

  /**
   * Loads a model onto a device.
   *
   * @param model a name ("tiny" ... "turbo"), a hub id ("openai/whisper-small"), a folder, or "nano": the bundled model, which knows
   * synthetic speech only. Default: "base" on a CPU, "turbo" on a GPU, downloaded when they are used for the first time
   * @throws {OptionError} for unknown options and values, before anything is loaded
   * @throws {HubError} if the model cannot be had
   * @throws {CheckpointError} if it is damaged, or no Whisper checkpoint
   * @throws {EngineUnavailableError} if the device cannot be used
   * @example
   * const pipeline = await WhisperPipeline.fromPretrained("nano");
   * const { text } = await pipeline.transcribe("samples/en-short.wav");
   */
  static async fromPretrained(model?: string, options: PipelineOptions = {}): Promise<WhisperPipeline> {
    assertKnownOptions("fromPretrained", options, [...LOAD_OPTIONS, "batchSize"]);
    const { batchSize, ...load } = options;
    resolveEngineOptions(load);
    const checkpoint = await loadCheckpoint(model ?? defaultModel(load.device), load);
    const [tokenizer, engine] = await Promise.all([loadTokenizer(checkpoint), openEngine(checkpoint, load)]);
    return new WhisperPipeline(checkpoint, tokenizer, engine, batchSize);
  }

  /** What decoding and transcription read: engine, tokenizer, and what the checkpoint says of its decoding. */
  get context(): TranscriptionContext & { readonly tokenizer: Tokenizer } {
    return { engine: this.engine, tokenizer: this.tokenizer, generation: this.#checkpoint.generation };
  }

  /** What is to be known of every transcript of this model; each one's `warnings` begin with them. */
  get warnings(): readonly string[] {
    return modelWarnings(this.#checkpoint);
  }

  get device(): string {
    return this.engine.device;
  }

  get dtype(): ComputeDType {
    return this.engine.dtype;
  }

  /**
   * Transcribes one recording, or several in shared batches.
   *
   * @param input path, URL, bytes, samples, stream ... (see `AudioInput`)
   * @throws {OptionError} for unknown options and values, before any audio is read
   * @throws {InputError} if the audio cannot be read; of several recordings the first failure, after all have been tried
   * @throws the signal's reason, once it is aborted
   */
  transcribe(input: AudioInput, options?: TranscribeOptions): Promise<Transcript>;
  transcribe(inputs: readonly AudioInput[], options?: TranscribeManyOptions): Promise<Transcript[]>;
  async transcribe(
    input: AudioInput | readonly AudioInput[],
    options: TranscribeOptions | TranscribeManyOptions = {},
  ): Promise<Transcript | Transcript[]> {
    const many = Array.isArray(input);
    const inputs = many ? (input as readonly AudioInput[]) : [input as AudioInput];
    const results = await this.#run(inputs, options as TranscribeManyOptions);
    const transcripts = results.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
    return many ? transcripts : transcripts[0];
  }

  /**
   * Transcribes several recordings in shared batches; one that fails does not stop the others. Ending the iteration early
   * stops the work.
   *
   * @returns each recording once, in the order of completion
   * @throws {OptionError} for unknown options and values, before any audio is read
   */
  async *transcribeMany(
    inputs: readonly AudioInput[],
    options: TranscribeManyOptions = {},
  ): AsyncGenerator<TranscribedInput, void, undefined> {
    const queue = new EventQueue<TranscribedInput>();
    yield* queue.drain(options.signal, (signal) =>
      this.#run(inputs, { ...options, signal }, (result, index) =>
        queue.push(
          result.status === "fulfilled"
            ? { index, transcript: result.value }
            : { index, error: result.reason instanceof Error ? result.reason : new Error(String(result.reason)) },
        ),
      ),
    );
  }

  /**
   * Transcribes one recording and gives its segments as soon as nothing can change them. Timestamps are on unless they are
   * turned off. Ending the iteration early stops the work.
   */
  async *segments(input: AudioInput, options: TranscribeOptions = {}): AsyncGenerator<Segment, void, undefined> {
    const queue = new EventQueue<Segment>();
    yield* queue.drain(options.signal, async (signal) => {
      const onSegment = (segment: Segment): void => {
        options.onSegment?.(segment);
        queue.push(segment);
      };
      await this.transcribe(input, { returnTimestamps: true, ...options, signal, onSegment });
    });
  }

  /**
   * Which language is spoken in the first 30 s of a recording.
   *
   * @throws the signal's reason, once it is aborted
   */
  async detectLanguage(input: AudioInput, options: LoadAudioOptions = {}): Promise<LanguageDetection> {
    assertKnownOptions("detectLanguage", options, [...AUDIO_OPTIONS, "signal"]);
    const { nMels } = this.engine.dimensions;
    const frames = windowFrames(this.engine.dimensions);
    return this.#share(options.signal, async (engine, signal) => {
      const audio = await openAudio(input, { ...options, ...(signal !== undefined && { signal }) });
      const mel = logMelWindow(await firstSamples(audio, frames * HOP_LENGTH), nMels, frames);
      const encoded = await engine.encode({ data: mel.data, dims: [1, nMels, frames] });
      return (await detectLanguage(engine, encoded, this.tokenizer))[0];
    });
  }

  /**
   * Does the work of one call on a view of the engine of its own: calls share it fairly, and an aborted one lets go of it at once.
   *
   * @param signal the caller's; what the work gets follows it, so that calls that share one do not add up their listeners
   */
  async #share<T>(
    signal: AbortSignal | undefined,
    work: (engine: Engine, signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const own = signal && AbortSignal.any([signal]);
    const engine = this.scheduler.client({ signal: own });
    try {
      return await work(engine, own);
    } finally {
      void engine.dispose(); // the engine may be at a call of an aborted one: nobody has to wait for it
    }
  }

  async #run(
    inputs: readonly AudioInput[],
    options: TranscribeManyOptions,
    onResult?: ManyChunkedOptions["onResult"],
  ): Promise<PromiseSettledResult<Transcript>[]> {
    const { warnings } = this;
    const finish = (result: PromiseSettledResult<Transcript>): PromiseSettledResult<Transcript> =>
      warnings.length === 0 ? result : withWarnings(result, warnings);
    const results = await this.#transcribe(
      inputs,
      options,
      onResult && ((result, index) => onResult(finish(result), index)),
    );
    return results.map(finish);
  }

  async #transcribe(
    inputs: readonly AudioInput[],
    options: TranscribeManyOptions,
    onResult?: ManyChunkedOptions["onResult"],
  ): Promise<PromiseSettledResult<Transcript>[]> {
    const { algorithm = "chunked", allowPrivateAddresses, proxyLookup, maxBytes, maxSeconds, ...others } = options;
    const { timeoutMs, downloadTimeoutMs, minBytesPerSecond, audioTrack, ...rest } = others;
    assertOneOf("algorithm", algorithm, ALGORITHMS);
    assertOptionsOf(algorithm, options);
    return this.#share(options.signal, async (engine, signal) => {
      const context = { ...this.context, engine };
      const access = { allowPrivateAddresses, proxyLookup, maxBytes, timeoutMs, downloadTimeoutMs, minBytesPerSecond };
      const load = withoutUndefined({ ...access, audioTrack, maxSeconds, signal });
      const sources = inputs.map((input) => (): Promise<AudioStream> => openAudio(input, load));
      if (algorithm === "chunked") {
        const chunked = rest as ManyChunkedOptions;
        return transcribeManyChunked(context, sources, {
          ...chunked,
          signal,
          batchSize: chunked.batchSize ?? this.#batchSize,
          onResult,
        });
      }
      const { returnTimestamps = false, ...sequential } = rest as ManySequentialOptions & {
        returnTimestamps?: boolean;
      };
      const results = await transcribeManySequential(context, sources, {
        ...sequential,
        signal,
        onResult: onResult && ((result, index) => onResult(returnTimestamps ? withChunks(result) : result, index)),
      });
      return returnTimestamps ? results.map(withChunks) : results;
    });
  }

  /** Frees the engine. Safe to call twice. */
  async dispose(): Promise<void> {
    await this.scheduler.dispose();
    await this.engine.dispose();
  }
}

/** Refuses options that the algorithm does not have, and says which one has them. */
function assertOptionsOf(algorithm: Algorithm, options: object): void {
  for (const name of Object.keys(options)) {
    const other = ALGORITHMS.find((candidate) => TRANSCRIBE_OPTIONS[candidate].includes(name));
    if (other !== undefined && !TRANSCRIBE_OPTIONS[algorithm].includes(name)) {
      throw new OptionError(name, `Option "${name}" does not exist in algorithm "${algorithm}"`, {
        hint: `algorithm "${other}" has it`,
      });
    }
  }
  assertKnownOptions("transcribe", options, TRANSCRIBE_OPTIONS[algorithm]);
}

/** Puts what is to be known of the model before what is to be known of the recording. */
function withWarnings(
  result: PromiseSettledResult<Transcript>,
  warnings: readonly string[],
): PromiseSettledResult<Transcript> {
  if (result.status === "rejected") return result;
  return { status: "fulfilled", value: { ...result.value, warnings: [...warnings, ...result.value.warnings] } };
}

/** Adds the segments as Hugging Face's pipeline has them. */
function withChunks(result: PromiseSettledResult<Transcript>): PromiseSettledResult<Transcript> {
  if (result.status === "rejected") return result;
  const chunks = result.value.segments.map(({ start, end, text }) => ({ timestamp: [start, end] as const, text }));
  return { status: "fulfilled", value: { ...result.value, chunks } };
}

/** The first samples of a stream; the rest of it is not decoded. */
async function firstSamples(audio: AudioStream, count: number): Promise<Float32Array> {
  const samples = new Float32Array(count);
  let length = 0;
  for await (const piece of audio) {
    const taken = piece.subarray(0, count - length);
    samples.set(taken, length);
    length += taken.length;
    if (length === count) break;
  }
  return samples.subarray(0, length);
}

function withoutUndefined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
