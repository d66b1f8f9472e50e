/** Recordings in, transcripts out: the pipeline, under the names that users of Hugging Face know. */
import { AUDIO_OPTIONS, openAudio, type AudioInput, type AudioStream, type LoadAudioOptions } from "../audio/index.ts";
import type { Checkpoint } from "../checkpoint/index.ts";
import { detectLanguage, type LanguageDetection } from "../decoding/index.ts";
import type { Engine } from "../engine/index.ts";
import { literal, OptionError } from "../errors.ts";
import { HOP_LENGTH, logMelWindow } from "../features/index.ts";
import { windowFrames } from "../model/index.ts";
import { EngineScheduler } from "../scheduling/index.ts";
import { assertOptions } from "../options/index.ts";
import type { ComputeDType } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  BATCH_SIZE,
  transcribeManyChunked,
  transcribeManySequential,
  transcribeManyVad,
  type ManyChunkedOptions,
  type Segment,
  type Transcript,
  type AudioSource,
  type TranscriptionContext,
} from "../transcription/index.ts";
import type { SileroVad } from "../vad/index.ts";
import { defaultModel } from "./choices.ts";
import { EventQueue } from "./event-queue.ts";
import { assertLoadable, loadCheckpoint, loadTokenizer, loadWarnings, openEngine, type LoadOptions } from "./load.ts";
import { loadSileroVad } from "./load-vad.ts";
import { modelWarnings } from "./model-warnings.ts";
import {
  resolveTranscribe,
  type AlgorithmOptions,
  type ResolvedTranscribe,
  type TranscribeManyOptions,
  type TranscribeOptions,
} from "./transcribe-options.ts";

export interface PipelineOptions extends LoadOptions {
  /** Most windows computed together, where a call does not say otherwise. */
  readonly batchSize?: number | undefined;
}

/** What became of one of several recordings: `error` or `transcript`, and `index`, its place in the list of inputs. */
export type TranscribedInput =
  | { readonly index: number; readonly transcript: Transcript; readonly error?: undefined }
  | { readonly index: number; readonly error: Error; readonly transcript?: undefined };

export class WhisperPipeline {
  readonly tokenizer: Tokenizer;
  /** The model on its device, for one caller at a time; who wants to share it with running transcriptions asks `scheduler`. */
  readonly engine: Engine;
  /** Shares the engine fairly among all calls of this pipeline; `client()` is a view of it for one more caller. */
  readonly scheduler: EngineScheduler;
  readonly #checkpoint: Checkpoint;
  readonly #vad: SileroVad;
  readonly #batchSize: number | undefined;

  private constructor(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    engine: Engine,
    vad: SileroVad,
    batchSize: number | undefined,
    /** What the user should know of every transcript, whose `warnings` begin with it: of the model, and options of loading without effect. */
    readonly warnings: readonly string[],
  ) {
    this.#checkpoint = checkpoint;
    this.tokenizer = tokenizer;
    this.engine = engine;
    this.#vad = vad;
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
    assertLoadable(model, options, { batchSize: BATCH_SIZE });
    const { batchSize, ...load } = options;
    const name = model ?? defaultModel(load.device);
    const checkpoint = await loadCheckpoint(name, load);
    const vad = await loadSileroVad();
    const [tokenizer, engine] = await Promise.all([loadTokenizer(checkpoint), openEngine(checkpoint, load)]);
    const warnings = [...modelWarnings(checkpoint), ...(await loadWarnings(name, load, engine))];
    return new WhisperPipeline(checkpoint, tokenizer, engine, vad, batchSize, warnings);
  }

  /** What decoding, transcription and live captions read: engine, tokenizer, what the checkpoint says of its decoding, and what finds speech. */
  get context(): TranscriptionContext & { readonly tokenizer: Tokenizer; readonly vad: SileroVad } {
    const { engine, tokenizer } = this;
    return { engine, tokenizer, generation: this.#checkpoint.generation, vad: this.#vad };
  }

  get device(): string {
    return this.engine.device;
  }

  get dtype(): ComputeDType {
    return this.engine.dtype;
  }

  /**
   * Transcribes one recording.
   *
   * @param input path, URL, bytes, samples, stream ... (see `AudioInput`); several are for `transcribeMany`
   * @throws {OptionError} for unknown options and values, before any audio is read
   * @throws {InputError} if the audio cannot be read
   * @throws the signal's reason, once it is aborted
   */
  async transcribe(input: AudioInput, options: TranscribeOptions = {}): Promise<Transcript> {
    const resolved = resolveTranscribe("transcribe", options);
    assertOne(input);
    const [result] = await this.#run([input], resolved);
    if (result.status === "rejected") throw result.reason;
    return result.value;
  }

  /**
   * Transcribes several recordings in shared batches; one that fails does not stop the others. Ending the iteration early
   * stops the work.
   *
   * @returns each recording once, in the order of completion
   * @throws {OptionError} for unknown options and values, before any audio is read
   * @example
   * for await (const { index, error, transcript } of pipeline.transcribeMany(["a.mp3", "b.mp3"])) {
   *   if (error) console.error(index, error.message);
   *   else console.log(index, transcript.text);
   * }
   */
  async *transcribeMany(
    inputs: readonly AudioInput[],
    options: TranscribeManyOptions = {},
  ): AsyncGenerator<TranscribedInput, void, undefined> {
    const resolved = resolveTranscribe("transcribeMany", options);
    assertMany(inputs);
    const queue = new EventQueue<TranscribedInput>();
    yield* queue.drain(options.signal, (signal) =>
      this.#run(inputs, withSignal(resolved, signal), (result, index) =>
        queue.push(
          result.status === "fulfilled"
            ? { index, transcript: result.value }
            : { index, error: result.reason instanceof Error ? result.reason : new Error(String(result.reason)) },
        ),
      ),
    );
  }

  /**
   * Transcribes one recording and gives its segments as soon as nothing can change them. Ending the iteration early stops the work.
   */
  async *segments(input: AudioInput, options: TranscribeOptions = {}): AsyncGenerator<Segment, void, undefined> {
    resolveTranscribe("segments", options);
    const queue = new EventQueue<Segment>();
    yield* queue.drain(options.signal, async (signal) => {
      const onSegment = (segment: Segment): void => {
        options.onSegment?.(segment);
        queue.push(segment);
      };
      await this.transcribe(input, { ...options, signal, onSegment });
    });
  }

  /**
   * Which language is spoken in the first 30 s of a recording.
   *
   * @throws the signal's reason, once it is aborted
   */
  async detectLanguage(input: AudioInput, options: LoadAudioOptions = {}): Promise<LanguageDetection> {
    assertOptions("detectLanguage", options, AUDIO_OPTIONS);
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
    { audio, returnTimestamps, ...asked }: ResolvedTranscribe,
    onResult?: ManyChunkedOptions["onResult"],
  ): Promise<PromiseSettledResult<Transcript>[]> {
    const addChunks = asked.algorithm !== "chunked" && returnTimestamps;
    const finish = (result: PromiseSettledResult<Transcript>): PromiseSettledResult<Transcript> =>
      withWarnings(addChunks ? withChunks(result) : result, this.warnings);
    return this.#share(asked.options.signal, async (engine, signal) => {
      const load = withoutUndefined({ ...audio, signal });
      const sources = inputs.map((input) => (): Promise<AudioStream> => openAudio(input, load));
      const events = {
        signal,
        onResult: onResult && ((result: PromiseSettledResult<Transcript>, i: number) => onResult(finish(result), i)),
      };
      const results = await this.#transcribe({ ...this.context, engine }, sources, asked, events);
      return results.map(finish);
    });
  }

  async #transcribe(
    context: TranscriptionContext,
    sources: readonly AudioSource[],
    asked: AlgorithmOptions,
    events: Pick<ManyChunkedOptions, "signal" | "onResult">,
  ): Promise<PromiseSettledResult<Transcript>[]> {
    if (asked.algorithm === "sequential") {
      return transcribeManySequential(context, sources, { ...asked.options, ...events });
    }
    const batchSize = asked.options.batchSize ?? this.#batchSize;
    if (asked.algorithm === "chunked") {
      return transcribeManyChunked(context, sources, { ...asked.options, ...events, batchSize });
    }
    return transcribeManyVad(context, sources, { ...asked.options, ...events, batchSize });
  }

  /** Frees the engine. Safe to call twice. */
  async dispose(): Promise<void> {
    await this.scheduler.dispose();
    await this.engine.dispose();
  }
}

/** @throws {OptionError} for a list, which `transcribeMany` takes */
function assertOne(input: unknown): void {
  // Of numbers in an array the audio's own error knows more.
  if (!Array.isArray(input) || typeof input[0] === "number") return;
  throw new OptionError(
    "input",
    `Cannot transcribe an array of ${input.length} recordings at once, expected one recording`,
    {
      hint: "transcribeMany(inputs) takes several, in shared batches",
    },
  );
}

/** @throws {OptionError} for anything but a list */
function assertMany(inputs: unknown): void {
  if (Array.isArray(inputs)) return;
  throw new OptionError("inputs", `Cannot transcribe ${literal(inputs)} as several recordings, expected an array`, {
    hint: "transcribe(input) takes one",
  });
}

function withSignal(resolved: ResolvedTranscribe, signal: AbortSignal): ResolvedTranscribe {
  return { ...resolved, options: { ...resolved.options, signal } } as ResolvedTranscribe;
}

/** Puts what is to be known of every transcript before what is to be known of this one. */
function withWarnings(
  result: PromiseSettledResult<Transcript>,
  warnings: readonly string[],
): PromiseSettledResult<Transcript> {
  if (result.status === "rejected" || warnings.length === 0) return result;
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
