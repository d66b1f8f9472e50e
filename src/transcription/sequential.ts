/**
 * The sequential algorithm (openai/whisper's `transcribe`, v20250625; facts 2.3): one window after the other, each beginning
 * where the last one's timestamps say that its text ends, and knowing that text. The best accuracy on long recordings; one
 * window at a time, so that batches gain nothing.
 */
import { SAMPLE_RATE } from "../audio/constants.ts";
import type { AudioStream } from "../audio/index.ts";
import { LogMelBuilder, type LogMel } from "../features/index.ts";
import { windowFrames } from "../model/index.ts";
import { assertEvents, type Progress, type TranscriptionContext } from "./chunked-options.ts";
import type { AudioSource } from "./recording.ts";
import { resolveSequential, type ResolvedSequential, type SequentialOptions } from "./sequential-options.ts";
import { SequentialRun, type RunEvents } from "./sequential-run.ts";
import type { Segment, Transcript } from "./transcript.ts";

/** Options for several recordings: what is reported says of which one, by its index. */
export interface ManySequentialOptions extends Omit<SequentialOptions, "onProgress" | "onSegment"> {
  readonly onProgress?: ((progress: Progress, index: number) => void) | undefined;
  readonly onSegment?: ((segment: Segment, index: number) => void) | undefined;
  /** Called with each result as soon as it is there. */
  readonly onResult?: ((result: PromiseSettledResult<Transcript>, index: number) => void) | undefined;
}

/**
 * Transcribes one recording.
 *
 * It is read to its end first, as the loudest moment of a recording changes the spectrogram of all of it (facts 2.2.2), and
 * kept as a spectrogram: 32 kB a second for 80 mels. A recording of less than 10 ms gives an empty transcript, in the
 * language asked for, else "en".
 *
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 * @throws the signal's reason once it is aborted, whatever the audio throws while it is read, and the engine's errors
 */
export async function transcribeSequential(
  context: TranscriptionContext,
  audio: AudioStream,
  options: SequentialOptions = {},
): Promise<Transcript> {
  const [result] = await transcribeManySequential(context, [audio], options);
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

/**
 * Transcribes several recordings, one after the other.
 *
 * @param sources opened streams, or functions that open them when their turn comes; all are closed at the end
 * @returns a result for each, in order: a recording that cannot be read does not stop the others. Once the signal is
 *   aborted, those not yet done are rejected with its reason.
 * @throws {OptionError} for options that do not exist or do not fit the checkpoint, before any audio is read
 */
export async function transcribeManySequential(
  context: TranscriptionContext,
  sources: readonly AudioSource[],
  options: ManySequentialOptions = {},
): Promise<PromiseSettledResult<Transcript>[]> {
  const { onProgress, onSegment, onResult, signal, ...rest } = options;
  const results: PromiseSettledResult<Transcript>[] = [];
  try {
    assertEvents({ signal, onProgress, onSegment, onResult });
    const resolved = resolveSequential(context, rest);
    for (const [i, source] of sources.entries()) {
      const events = {
        onProgress: (progress: Progress) => onProgress?.(progress, i),
        onSegment: (segment: Segment) => onSegment?.(segment, i),
      };
      const [result] = await Promise.allSettled([transcribeSource(context, source, resolved, events, signal)]);
      results.push(result);
      onResult?.(result, i);
    }
    return results;
  } finally {
    // Those that were never read hold their files open.
    for (const source of sources) if (typeof source !== "function") await source.close();
  }
}

async function transcribeSource(
  context: TranscriptionContext,
  source: AudioSource,
  options: ResolvedSequential,
  events: RunEvents,
  signal: AbortSignal | undefined,
): Promise<Transcript> {
  signal?.throwIfAborted();
  try {
    const audio = typeof source === "function" ? await source() : source;
    const { mel, nSamples } = await readLogMel(audio, context, signal);
    const run = new SequentialRun(context, options, { mel, gaps: audio.gaps ?? [] }, events, signal);
    const transcript = await run.transcribe(nSamples / SAMPLE_RATE);
    return { ...transcript, warnings: [...audio.warnings, ...transcript.warnings] };
  } catch (error) {
    // Reading may fail in its own way when it is aborted.
    throw signal?.aborted ? signal.reason : error;
  }
}

async function readLogMel(
  audio: AudioStream,
  { engine }: TranscriptionContext,
  signal: AbortSignal | undefined,
): Promise<{ mel: LogMel; nSamples: number }> {
  try {
    const builder = new LogMelBuilder(engine.dimensions.nMels);
    let nSamples = 0;
    for await (const piece of audio) {
      signal?.throwIfAborted();
      builder.push(piece);
      nSamples += piece.length;
    }
    return { mel: builder.finish(windowFrames(engine.dimensions)), nSamples };
  } finally {
    await audio.close();
  }
}
