/**
 * The chunked algorithm (Whisper JAX, Hugging Face): windows of fixed length that overlap, computed in batches and
 * stitched. Windows do not depend on each other, so that the batch size and the number of lanes change the speed and
 * nothing else.
 */
import type { TokenTiming } from "../alignment/index.ts";
import { HOP_LENGTH, logMelWindow } from "../features/index.ts";
import { decodeGreedy, detectLanguage, type DecodingResult } from "../decoding/index.ts";
import type { AudioState, Engine } from "../engine/engine.ts";
import { alignmentHeads, windowFrames } from "../model/index.ts";
import { tensor, type Tensor } from "../tensor/index.ts";
import type { AudioStream } from "../audio/index.ts";
import { streamBatches } from "./batches.ts";
import {
  assertEvents,
  resolveChunked,
  type ChunkedOptions,
  type Progress,
  type ResolvedChunked,
  type TranscriptionContext,
} from "./chunked-options.ts";
import { alignWindows, type UntimedWindow } from "./piece-words.ts";
import { Recording, type AudioSource, type WindowLanguage } from "./recording.ts";
import type { Segment, Transcript } from "./transcript.ts";
import type { AudioWindow } from "./windows.ts";

/** One batch is encoded while the one before it is decoded; more would only hold memory. */
const BATCHES_IN_FLIGHT = 2;

/** Options for several recordings: what is reported says of which one, by its index. */
export interface ManyChunkedOptions extends Omit<ChunkedOptions, "onProgress" | "onSegment"> {
  readonly onProgress?: ((progress: Progress, index: number) => void) | undefined;
  readonly onSegment?: ((segment: Segment, index: number) => void) | undefined;
  /** Called with each result as soon as it is there. */
  readonly onResult?: ((result: PromiseSettledResult<Transcript>, index: number) => void) | undefined;
}

interface Job {
  readonly recording: Recording;
  readonly window: AudioWindow;
}

/** What became of a window. */
type Outcome =
  | {
      readonly result: DecodingResult;
      readonly language: WindowLanguage;
      /** Of its text tokens, where words are wanted. */
      readonly timings: readonly TokenTiming[] | undefined;
    }
  | { readonly error: unknown };

/** Windows that are computed together. */
interface Batch {
  readonly jobs: readonly Job[];
  /** Of each job, as soon as it is there; none rejects. */
  readonly outcomes: readonly Promise<Outcome>[];
}

/**
 * Transcribes one recording.
 *
 * A recording without samples gives an empty transcript, in the language asked for, else "en".
 *
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 * @throws the signal's reason once it is aborted, whatever the audio throws while it is read, and the engine's errors
 */
export async function transcribeChunked(
  context: TranscriptionContext,
  audio: AudioStream,
  options: ChunkedOptions = {},
): Promise<Transcript> {
  const [result] = await transcribeManyChunked(context, [audio], options);
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/**
 * Transcribes several recordings, one after the other, in shared batches: the end of one and the start of the next are
 * computed together.
 *
 * @param sources opened streams, or functions that open them when their turn comes; all are closed at the end
 * @returns a result for each, in order: a recording that cannot be read does not stop the others. Once the signal is
 *   aborted, those not yet done are rejected with its reason.
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 */
export async function transcribeManyChunked(
  context: TranscriptionContext,
  sources: readonly AudioSource[],
  options: ManyChunkedOptions = {},
): Promise<PromiseSettledResult<Transcript>[]> {
  const { onProgress, onSegment, onResult, signal, ...rest } = options;
  try {
    assertEvents({ signal, onProgress, onSegment, onResult });
    const resolved = resolveChunked(context, rest);
    const recordings = sources.map(
      (source, i) =>
        new Recording(source, context.tokenizer, resolved, {
          onProgress: (progress) => onProgress?.(progress, i),
          onSegment: (segment) => onSegment?.(segment, i),
          onSettled: (result) => onResult?.(result, i),
        }),
    );
    await run(context, recordings, resolved, signal);
    return recordings.map(({ result }) => result as PromiseSettledResult<Transcript>);
  } finally {
    // Those that were never read hold their files open.
    for (const source of sources) if (typeof source !== "function") await source.close();
  }
}

async function run(
  context: TranscriptionContext,
  recordings: readonly Recording[],
  options: ResolvedChunked,
  signal: AbortSignal | undefined,
): Promise<void> {
  const inFlight: Batch[] = [];
  const maxSamples = windowFrames(context.engine.dimensions) * HOP_LENGTH;
  let languagesKnown = Promise.resolve();
  const deliverOldest = async (): Promise<void> => {
    const { jobs, outcomes } = inFlight[0];
    for (const [i, job] of jobs.entries()) {
      const outcome = await outcomes[i];
      if (!signal?.aborted) deliver(job, outcome);
    }
    inFlight.shift();
  };
  try {
    for await (const batch of streamBatches(jobsOf(recordings, maxSamples, signal), options.batchSize)) {
      if (signal?.aborted) break;
      const jobs = batch.filter(({ recording }) => recording.result === null);
      if (jobs.length === 0) continue;
      const turn = languagesKnown;
      let passOn = (): void => {};
      languagesKnown = new Promise((resolve) => (passOn = resolve));
      inFlight.push(decodeBatch(context, jobs, options, signal, turn, passOn));
      if (inFlight.length === BATCHES_IN_FLIGHT) await deliverOldest();
    }
    while (inFlight.length > 0 && !signal?.aborted) await deliverOldest();
  } finally {
    // Batches that nobody waits for any more still have to free their audio.
    await Promise.all(inFlight.flatMap(({ outcomes }) => outcomes));
  }
  if (signal?.aborted) for (const recording of recordings) recording.fail(signal.reason);
}

/** Windows of all recordings, one recording after the other. */
async function* jobsOf(
  recordings: readonly Recording[],
  maxSamples: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Job, void, undefined> {
  for (const recording of recordings) {
    if (signal?.aborted) return;
    for await (const window of recording.windows(maxSamples, signal)) {
      yield { recording, window };
      if (signal?.aborted) return;
    }
  }
}

/**
 * @param turn resolves when the languages of all windows before this batch are known
 * @param passOn to be called when those of this batch are known, or never will be
 */
function decodeBatch(
  context: TranscriptionContext,
  jobs: readonly Job[],
  options: ResolvedChunked,
  signal: AbortSignal | undefined,
  turn: Promise<void>,
  passOn: () => void,
): Batch {
  const settle: ((outcome: Outcome) => void)[] = [];
  const outcomes = jobs.map((_, i) => new Promise<Outcome>((resolve) => (settle[i] = resolve)));
  void (async () => {
    try {
      await decodeWindows(context, jobs, options, signal, turn, passOn, (i, outcome) => settle[i](outcome));
    } catch (error) {
      for (const each of settle) each({ error }); // those that are settled already stay so
    } finally {
      passOn();
    }
  })();
  return { jobs, outcomes };
}

async function decodeWindows(
  { engine, tokenizer, generation }: TranscriptionContext,
  jobs: readonly Job[],
  options: ResolvedChunked,
  signal: AbortSignal | undefined,
  turn: Promise<void>,
  passOn: () => void,
  settle: (index: number, outcome: Outcome) => void,
): Promise<void> {
  const audio = await encodeWindows(engine, jobs);
  try {
    await turn;
    signal?.throwIfAborted();
    const needed = jobs.some(({ recording }) => recording.needsDetection);
    const detections = needed ? await detectLanguage(engine, audio, tokenizer) : [];
    const languages = jobs.map(({ recording }, i) => recording.languageOf(detections[i]));
    passOn();
    const codes = languages.map(({ code }) => code);
    const heads = alignmentHeads(engine.dimensions, generation.alignmentHeads ?? null);

    // Windows that end while others are being timed are timed together after them.
    const untimed: UntimedWindow[] = [];
    let timing = Promise.resolve();
    const time = async (): Promise<void> => {
      const windows = untimed.splice(0);
      if (windows.length === 0) return;
      signal?.throwIfAborted();
      const timings = await alignWindows(engine, audio, tokenizer, heads, windows);
      for (const [i, { window, result }] of windows.entries()) {
        settle(window, { result, language: languages[window], timings: timings[i] });
      }
    };
    const onResult = (window: number, result: DecodingResult): void => {
      if (options.words === null) {
        settle(window, { result, language: languages[window], timings: undefined });
        return;
      }
      untimed.push({ window, span: jobs[window].window, result });
      timing = timing.then(time);
      timing.catch(() => {}); // waited for below
    };
    await decodeGreedy(engine, audio, tokenizer, codes, options.decoding, onResult);
    await timing;
  } finally {
    audio.dispose();
  }
}

function deliver({ recording, window }: Job, outcome: Outcome): void {
  if ("error" in outcome) recording.fail(outcome.error);
  else recording.add(window, outcome.result, outcome.language.isOwn, outcome.timings);
}

/** The log-Mel of each window is its own, as Hugging Face's extractor has it (facts 1.4.7). */
function encodeWindows(engine: Engine, jobs: readonly Job[]): Promise<AudioState> {
  let reported = 0;
  const onEncoded = (windows: number): void => {
    for (; reported < windows; reported++) jobs[reported].recording.addEncoded(jobs[reported].window);
  };
  if (engine.encodeSamples !== undefined) {
    return engine.encodeSamples(
      jobs.map(({ window }) => window.samples),
      { onEncoded },
    );
  }
  return engine.encode(melBatch(jobs, engine.dimensions.nMels, windowFrames(engine.dimensions)), { onEncoded });
}

/** [batch, nMels, frames]. */
function melBatch(jobs: readonly Job[], nMels: number, frames: number): Tensor {
  const size = nMels * frames;
  const data = new Float32Array(jobs.length * size);
  for (const [i, { window }] of jobs.entries()) data.set(logMelWindow(window.samples, nMels, frames).data, i * size);
  return tensor(data, [jobs.length, nMels, frames]);
}
