/**
 * The vad algorithm: speech is found first, and packed into windows that begin and end in pauses, so that nothing is to be stitched; the windows
 * are computed in batches, and what the model leaves out or repeats is decoded anew. Windows do not depend on each other but for the language, so
 * that the batch size changes the speed and nothing else.
 */
import type { AudioStream } from "../../audio/index.ts";
import { SAMPLE_RATE } from "../../audio/constants.ts";
import { detectLanguage } from "../../decoding/index.ts";
import type { SileroVad } from "../../vad/index.ts";
import { evenBatches } from "../batches.ts";
import type { ManyChunkedOptions } from "../chunked.ts";
import { assertEvents, type TranscriptionContext } from "../chunked-options.ts";
import type { AudioSource } from "../recording.ts";
import type { Transcript } from "../transcript.ts";
import { CHINESE } from "./chinese-script.ts";
import { decodeSpeech, encodeSpeech, type WindowText } from "./decode-speech.ts";
import { resolveVadTranscription, type ResolvedVadTranscription, type VadTranscriptionOptions } from "./options.ts";
import { VadRecording, type RecordingWindow } from "./recording.ts";
import { totalOf } from "./speech-window.ts";

/** One batch is encoded while the one before it is decoded; more would only hold memory. */
const BATCHES_IN_FLIGHT = 2;

/** Options for several recordings: what is reported says of which one, by its index. */
export interface ManyVadTranscriptionOptions
  extends
    Omit<VadTranscriptionOptions, "onProgress" | "onSegment">,
    Pick<ManyChunkedOptions, "onProgress" | "onSegment" | "onResult"> {}

interface Job extends RecordingWindow {
  readonly recording: VadRecording;
}

/** What became of a window. */
type Outcome = { readonly text: WindowText; readonly language: string } | { readonly error: unknown };

/** Windows that are computed together. */
interface Batch {
  readonly jobs: readonly Job[];
  /** Of each job, as soon as it is there; none rejects. */
  readonly outcomes: readonly Promise<Outcome>[];
}

/** A batch's turn at something that goes in the order of the batches. */
interface Turn {
  /** Resolves when all batches before are done with it. */
  readonly reached: Promise<void>;
  /** Resolves when this one is, too. */
  readonly passed: Promise<void>;
  /** To be called when this one is done, or never will be. */
  readonly passOn: () => void;
}

/** What a recording's windows decide one after the other: its language, and the script it is written in. */
interface Turns {
  readonly languages: Turn;
  readonly scripts: Turn;
}

function turnAfter(before: Turn | null): Turn {
  let passOn = (): void => {};
  const passed = new Promise<void>((resolve) => (passOn = resolve));
  return { reached: before?.passed ?? Promise.resolve(), passed, passOn };
}

/**
 * Transcribes one recording.
 *
 * A recording without speech gives an empty transcript, in the language asked for, else "en".
 *
 * @param context with `vad`
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 * @throws the signal's reason once it is aborted, whatever the audio throws while it is read, and the engine's errors
 */
export async function transcribeVad(
  context: TranscriptionContext,
  audio: AudioStream,
  options: VadTranscriptionOptions = {},
): Promise<Transcript> {
  const [result] = await transcribeManyVad(context, [audio], options);
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/**
 * Transcribes several recordings, one after the other, in shared batches: the end of one and the start of the next are
 * computed together.
 *
 * @param context with `vad`
 * @param sources opened streams, or functions that open them when their turn comes; all are closed at the end
 * @returns a result for each, in order: a recording that cannot be read does not stop the others. Once the signal is
 *   aborted, those not yet done are rejected with its reason.
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 */
export async function transcribeManyVad(
  context: TranscriptionContext,
  sources: readonly AudioSource[],
  options: ManyVadTranscriptionOptions = {},
): Promise<PromiseSettledResult<Transcript>[]> {
  const { onProgress, onSegment, onResult, signal, ...rest } = options;
  try {
    assertEvents({ signal, onProgress, onSegment, onResult });
    const resolved = resolveVadTranscription(context, rest);
    const network = networkOf(context);
    const recordings = sources.map(
      (source, i) =>
        new VadRecording(source, network, context.tokenizer, resolved, {
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

function networkOf({ vad }: TranscriptionContext): SileroVad {
  if (vad === undefined)
    throw new TypeError("Cannot find speech: the context has no vad, expected what loadSileroVad() gives");
  return vad;
}

async function run(
  context: TranscriptionContext,
  recordings: readonly VadRecording[],
  options: ResolvedVadTranscription,
  signal: AbortSignal | undefined,
): Promise<void> {
  const inFlight: Batch[] = [];
  // As if a batch had been before the first one.
  let turns: Turns = { languages: turnAfter(null), scripts: turnAfter(null) };
  for (const turn of Object.values(turns) as Turn[]) turn.passOn();
  const deliverOldest = async (): Promise<void> => {
    const { jobs, outcomes } = inFlight[0];
    for (const [i, { recording, window }] of jobs.entries()) {
      const outcome = await outcomes[i];
      if (signal?.aborted) continue;
      if ("error" in outcome) recording.fail(outcome.error);
      else recording.add(window, outcome.language, outcome.text);
    }
    inFlight.shift();
  };
  try {
    for await (const batch of batchesOf(jobsOf(recordings, signal), options.batchSize)) {
      if (signal?.aborted) break;
      const jobs = batch.filter(({ recording }) => recording.result === null);
      if (jobs.length === 0) continue;
      turns = { languages: turnAfter(turns.languages), scripts: turnAfter(turns.scripts) };
      inFlight.push(decodeBatch(context, jobs, options, signal, turns));
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
  recordings: readonly VadRecording[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Job, void, undefined> {
  for (const recording of recordings) {
    if (signal?.aborted) return;
    for await (const window of recording.windows(signal)) {
      yield { ...window, recording };
      if (signal?.aborted) return;
    }
  }
}

/**
 * Batches of `size` windows, or a few more where windows belong together; of what is left at the end an even split. Reads at most two batches ahead.
 */
async function* batchesOf(jobs: AsyncIterable<Job>, size: number): AsyncGenerator<Job[], void, undefined> {
  const ahead: Job[] = [];
  const take = (count: number): Job[] => {
    let end = count;
    while (end < ahead.length && ahead[end].joinsPrevious) end++;
    return ahead.splice(0, end);
  };
  for await (const job of jobs) {
    ahead.push(job);
    if (ahead.length > 2 * size && !job.joinsPrevious) yield take(size);
  }
  while (ahead.length > 0) yield take(evenBatches(ahead.length, size)[0]);
}

function decodeBatch(
  context: TranscriptionContext,
  jobs: readonly Job[],
  options: ResolvedVadTranscription,
  signal: AbortSignal | undefined,
  turns: Turns,
): Batch {
  const settle: ((outcome: Outcome) => void)[] = [];
  const outcomes = jobs.map((_, i) => new Promise<Outcome>((resolve) => (settle[i] = resolve)));
  void (async () => {
    try {
      await decodeJobs(context, jobs, options, signal, turns, (i, outcome) => settle[i](outcome));
    } catch (error) {
      for (const each of settle) each({ error }); // those that are settled already stay so
    } finally {
      for (const turn of Object.values(turns)) turn.passOn();
    }
  })();
  return { jobs, outcomes };
}

async function decodeJobs(
  context: TranscriptionContext,
  jobs: readonly Job[],
  options: ResolvedVadTranscription,
  signal: AbortSignal | undefined,
  turns: Turns,
  settle: (job: number, outcome: Outcome) => void,
): Promise<void> {
  let reported = 0;
  const onEncoded = (windows: number): void => {
    for (; reported < windows; reported++) jobs[reported].recording.addEncoded(jobs[reported].window);
  };
  const windows = jobs.map(({ window }) => window);
  const audio = await encodeSpeech(context.engine, windows, onEncoded);
  try {
    await turns.languages.reached;
    signal?.throwIfAborted();
    const needed = jobs.some(({ recording }) => recording.needsDetection);
    const detections = needed ? await detectLanguage(context.engine, audio, context.tokenizer) : [];
    const languages = languagesOf(jobs, (i) => ({
      detection: detections[i],
      speechSeconds: totalOf(windows[i].speech) / SAMPLE_RATE,
    }));
    turns.languages.passOn();
    const requests = windows.map((window, i) => ({ window, language: languages[i], prompt: options.initialPrompt }));
    const chinese: WindowText[] = [];
    await decodeSpeech(context, requests, audio, options, signal, (i, text) => {
      if (CHINESE.has(languages[i])) chinese[i] = text;
      else settle(i, { text, language: languages[i] });
    });
    await turns.scripts.reached;
    const again = jobs.flatMap(({ recording }, i) => {
      const prompt = chinese[i] === undefined ? null : recording.promptForScript(languages[i], chinese[i].text);
      return prompt === null ? [] : [{ i, request: { ...requests[i], prompt: [...options.initialPrompt, ...prompt] } }];
    });
    turns.scripts.passOn();
    if (again.length > 0) {
      signal?.throwIfAborted();
      const part = context.engine.combine(again.map(({ i }) => ({ audio, window: i })));
      const asked = again.map(({ request }) => request);
      await decodeSpeech(context, asked, part, options, signal, (k, text) => (chinese[again[k].i] = text));
    }
    for (const [i, text] of chinese.entries()) if (text !== undefined) settle(i, { text, language: languages[i] });
  } finally {
    audio.dispose();
  }
}

/** Languages of jobs, those of a recording judged together. */
function languagesOf(
  jobs: readonly Job[],
  evidenceOf: (job: number) => Parameters<VadRecording["languagesOf"]>[1][number],
): string[] {
  const languages: string[] = [];
  for (const recording of new Set(jobs.map((job) => job.recording))) {
    const own = [...jobs.keys()].filter((i) => jobs[i].recording === recording);
    const found = recording.languagesOf(own.length, recording.needsDetection ? own.map(evidenceOf) : []);
    for (const [k, i] of own.entries()) languages[i] = found[k];
  }
  return languages;
}
