/** Transcribes the audio of an utterance so far, with openai/whisper's algorithm and word times. */
import type { AudioStream } from "../audio/index.ts";
import { transcribeSequential, type TranscriptionContext } from "../transcription/index.ts";
import type { Task } from "../tokenizer/index.ts";
import type { Hypothesis, TranscribeBuffer } from "./utterance.ts";

/** A segment of which the model says so surely that nobody speaks is left out, as whisper_streaming does. */
const MAX_NO_SPEECH = 0.9;
/** Shorter than openai/whisper's ladder: an utterance is transcribed many times, and a better hypothesis comes in a second. */
const TEMPERATURES: readonly number[] = [0, 0.4];
/** Shorter audio holds no word. In samples: 0.1 s. */
const MIN_SAMPLES = 1600;

/**
 * @param prompt what the model is told before all else: names, jargon
 * @param signal ends a transcription under way, which then throws the signal's reason
 */
export function bufferTranscriber(
  context: TranscriptionContext,
  { task, prompt: fixed = "" }: { readonly task?: Task | undefined; readonly prompt?: string | undefined },
  signal: AbortSignal,
): TranscribeBuffer {
  return async (samples, scrolled, language): Promise<Hypothesis> => {
    if (samples.length < MIN_SAMPLES) return { words: [], segmentEnds: [], language: language ?? "en" };
    const initialPrompt = `${fixed}${scrolled}`.trim();
    const transcript = await transcribeSequential(context, streamOf(samples), {
      wordTimestamps: true,
      temperature: TEMPERATURES,
      task,
      language,
      signal,
      ...(initialPrompt !== "" && { initialPrompt }),
    });
    const heard = transcript.segments.filter(({ noSpeechProb }) => noSpeechProb <= MAX_NO_SPEECH);
    return {
      words: heard.flatMap(({ words = [] }) => words),
      segmentEnds: transcript.segments.map(({ end }) => end),
      language: transcript.language,
    };
  };
}

function streamOf(samples: Float32Array): AudioStream {
  return {
    name: "live audio",
    durationHint: null,
    warnings: [],
    stride: null,
    async *[Symbol.asyncIterator]() {
      yield samples;
    },
    close: () => Promise.resolve(),
  };
}
