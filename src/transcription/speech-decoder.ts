/**
 * The text of windows of speech: decoded together, each again at the next temperature where its text is not good enough, and again from where
 * the text ends before the speech does.
 */
import { decodeWindows, type DecodingResult } from "../decoding/index.ts";
import type { AudioState, Engine } from "../engine/engine.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import { logMelWindow } from "../features/index.ts";
import { windowFrames } from "../model/index.ts";
import { tensor } from "../tensor/index.ts";
import type { TranscriptionContext } from "./chunked-options.ts";
import { fallbackReasons, isSilent } from "./fallback.ts";
import { partOf, totalOf, type Span, type SpeechWindow } from "./speech-window.ts";
import type { FailedAttempt } from "./transcript.ts";
import type { ResolvedVad } from "./vad-options.ts";
import { inRecording, segmentsOf, uncovered, type TimedText } from "./window-text.ts";

/** A piece of text, and how it was found. */
export interface FoundText extends TimedText {
  readonly result: DecodingResult;
  readonly failed: readonly FailedAttempt[];
}

export interface SpeechJob {
  readonly window: SpeechWindow;
  readonly language: string;
}

/** How often the speech that has no text is decoded anew. */
const MOST_ROUNDS = 8;

interface Part extends SpeechJob {
  readonly prompt?: readonly number[] | undefined;
  /** Index of the job that it is a part of. */
  readonly job: number;
}

/**
 * Decodes windows.
 *
 * @param audio the windows encoded, in order
 * @param onDone called with the index of each job and its text, in the order of time, as soon as nothing more will be found
 */
export async function decodeSpeech(
  context: TranscriptionContext,
  jobs: readonly SpeechJob[],
  audio: AudioState,
  options: ResolvedVad,
  signal: AbortSignal | undefined,
  onDone: (job: number, text: readonly FoundText[]) => void,
): Promise<void> {
  const { engine } = context;
  const found: FoundText[][] = jobs.map(() => []);
  let parts: Part[] = jobs.map((job, i) => ({ ...job, job: i }));
  for (let round = 0; parts.length > 0; round++) {
    signal?.throwIfAborted();
    const encoded =
      round === 0
        ? audio
        : await encodeSpeech(
            engine,
            parts.map(({ window }) => window),
          );
    const next: Part[] = [];
    try {
      await decodeParts(context, parts, encoded, options, signal, (i, text) => {
        const part = parts[i];
        found[part.job].push(...text);
        const left = round + 1 < MOST_ROUNDS ? unread(part.window, text) : [];
        const before = process.env["NOPROMPT"]
          ? undefined
          : found[part.job]
              .filter(({ end }) => end <= left[0]?.start / SAMPLE_RATE + 0.3)
              .flatMap(({ tokens }) => tokens.filter((t) => t < context.tokenizer.special.eot));
        if (left.length > 0) next.push({ ...part, window: partOf(part.window, left, options.layout), prompt: before });
        else if (!next.some(({ job }) => job === part.job)) {
          onDone(
            part.job,
            found[part.job].sort((a, b) => a.start - b.start),
          );
        }
      });
    } finally {
      if (round > 0) encoded.dispose();
    }
    parts = next;
  }
}

/** Speech of a window that is worth another attempt: some of it has text, or the text would be the same. */
function unread(window: SpeechWindow, text: readonly FoundText[]): Span[] {
  const left = uncovered(text, window.speech);
  return totalOf(left) < totalOf(window.speech) - SAMPLE_RATE / 2 ? left : [];
}

async function decodeParts(
  { engine, tokenizer }: TranscriptionContext,
  parts: readonly Part[],
  audio: AudioState,
  { decoding, searches, thresholds }: ResolvedVad,
  signal: AbortSignal | undefined,
  onText: (part: number, text: readonly FoundText[]) => void,
): Promise<void> {
  const again: Promise<void>[] = [];
  const accept = (i: number, result: DecodingResult, failed: readonly FailedAttempt[]): void => {
    const { window } = parts[i];
    if (isSilent(result, thresholds)) {
      onText(i, []);
      return;
    }
    const segments = segmentsOf(result.tokens, window.samples.length / SAMPLE_RATE, tokenizer.special);
    onText(
      i,
      inRecording(segments, window).map((segment) => ({ ...segment, result, failed })),
    );
  };
  const requests = parts.map(({ language, prompt }, window) => ({ window, language, prompt }));
  await decodeWindows(engine, audio, requests, tokenizer, decoding, searches[0], (i, result) => {
    const reasons = fallbackReasons(result, thresholds);
    if (reasons.length === 0 || searches.length === 1) {
      accept(i, result, reasons.length === 0 ? [] : [{ temperature: result.temperature, reasons }]);
      return;
    }
    again.push(climb(i, { result, reasons }));
  });
  await Promise.all(again);

  async function climb(
    i: number,
    first: { readonly result: DecodingResult; readonly reasons: FailedAttempt["reasons"] },
  ): Promise<void> {
    const attempts = [first];
    for (const search of searches.slice(1)) {
      signal?.throwIfAborted();
      const seed = (search.seed ?? 0) + parts[i].window.pieces[0].start;
      const [result] = await decodeWindows(
        engine,
        audio,
        [(search.temperature ?? 0) > 0.5 ? { ...requests[i], prompt: [] } : requests[i]],
        tokenizer,
        decoding,
        { ...search, seed },
      );
      const reasons = fallbackReasons(result, thresholds);
      attempts.push({ result, reasons });
      if (reasons.length === 0) break;
    }
    const failed = attempts.flatMap(({ result: { temperature }, reasons }) =>
      reasons.length > 0 ? [{ temperature, reasons }] : [],
    );
    accept(i, bestOf(attempts, thresholds.compressionRatio).result, failed);
  }
}

/** The attempt that is good, else the likeliest of those that do not repeat themselves. */
function bestOf<T extends { readonly result: DecodingResult; readonly reasons: FailedAttempt["reasons"] }>(
  attempts: readonly T[],
  compressionRatio: number | null,
): T {
  const good = attempts.find(({ reasons }) => reasons.length === 0);
  if (good !== undefined) return good;
  const plain = attempts.filter(
    ({ result }) => compressionRatio === null || result.compressionRatio <= compressionRatio,
  );
  return (plain.length > 0 ? plain : attempts).reduce((best, one) =>
    one.result.avgLogprob > best.result.avgLogprob ? one : best,
  );
}

/** The log-Mel of each window is its own. */
export function encodeSpeech(
  engine: Engine,
  windows: readonly SpeechWindow[],
  onEncoded?: (windows: number) => void,
): Promise<AudioState> {
  if (engine.encodeSamples !== undefined) {
    return engine.encodeSamples(
      windows.map(({ samples }) => samples),
      { onEncoded },
    );
  }
  const { nMels } = engine.dimensions;
  const frames = windowFrames(engine.dimensions);
  const data = new Float32Array(windows.length * nMels * frames);
  for (const [i, { samples }] of windows.entries()) {
    data.set(logMelWindow(samples, nMels, frames).data, i * nMels * frames);
  }
  return engine.encode(tensor(data, [windows.length, nMels, frames]), { onEncoded });
}
