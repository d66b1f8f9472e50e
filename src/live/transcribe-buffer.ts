/**
 * Transcribes the audio of an utterance so far, with word times: greedily, as it is heard again in a second, and its final text is another's
 * business.
 */
import type { AudioStream } from "../audio/index.ts";
import {
  transcribeChunked,
  transcribeSequential,
  type Segment,
  type Transcript,
  type TranscriptionContext,
} from "../transcription/index.ts";
import type { Task } from "../tokenizer/index.ts";
import type { Hypothesis, TranscribeBuffer } from "./utterance.ts";

/** A segment that the model is this sure holds no speech is left out, as whisper_streaming does; */
const MAX_NO_SPEECH = 0.9;
/** and one that it takes for silence by openai/whisper's rule: not so sure of that, and not sure of its text. */
const MAX_UNSURE_NO_SPEECH = 0.6;
const MIN_LOGPROB = -1;
/** Text that compresses better repeats itself (openai/whisper's threshold), and is decoded again at a higher temperature. */
const MAX_COMPRESSION_RATIO = 2.4;
/** Shorter than openai/whisper's ladder: a better hypothesis comes in a second. */
const TEMPERATURES: readonly number[] = [0, 0.4];
/** Shorter audio holds no word. In samples: 0.1 s. */
const MIN_SAMPLES = 1600;

/**
 * @param prompt text that the model is told before everything else: names, jargon
 * @param signal ends a transcription under way, which then throws the signal's reason
 */
export function bufferTranscriber(
  context: TranscriptionContext,
  { task, prompt: fixed = "" }: { readonly task?: Task | undefined; readonly prompt?: string | undefined },
  signal: AbortSignal,
): TranscribeBuffer {
  return async (samples, scrolled, language): Promise<Hypothesis> => {
    if (samples.length < MIN_SAMPLES) return { words: [], segmentEnds: [], language: language ?? "en" };
    const common = { wordTimestamps: true, task, language, signal };
    const initialPrompt = `${fixed}${scrolled}`.trim();
    const sequential = (): Promise<Transcript> =>
      transcribeSequential(context, streamOf(samples), {
        ...common,
        ...(initialPrompt !== "" && { initialPrompt }),
        temperature: TEMPERATURES,
      });
    const chunked = (): Promise<Transcript> =>
      transcribeChunked(context, streamOf(samples), { ...common, returnTimestamps: true });
    let transcript = await (initialPrompt === "" ? chunked() : sequential());
    // Greedy decoding has no way out of a repetition.
    if (initialPrompt === "" && transcript.segments.some(isRepetitive)) transcript = await sequential();
    const heard = transcript.segments.filter((segment) => !isSilence(segment));
    return {
      words: heard.flatMap(({ words = [] }) => words),
      segmentEnds: transcript.segments.map(({ end }) => end),
      language: transcript.language,
    };
  };
}

function isSilence({ noSpeechProb, avgLogprob }: Pick<Segment, "noSpeechProb" | "avgLogprob">): boolean {
  return noSpeechProb > MAX_NO_SPEECH || (noSpeechProb > MAX_UNSURE_NO_SPEECH && avgLogprob <= MIN_LOGPROB);
}

function isRepetitive({ compressionRatio }: { readonly compressionRatio: number }): boolean {
  return compressionRatio > MAX_COMPRESSION_RATIO;
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
