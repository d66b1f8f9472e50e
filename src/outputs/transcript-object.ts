/** A transcript for outside programs to read, with nothing left out: openai/whisper's names, as in its JSON, and ours in the same spelling. */
import type { Coverage, FallbackReason, Segment, Transcript, Word } from "../transcription/index.ts";

const REASONS: Readonly<Partial<Record<FallbackReason, string>>> = {
  compressionRatio: "compression_ratio",
  avgLogprob: "avg_logprob",
  speechRate: "speech_rate",
};

/** @see src/schemas/transcript.ts `TRANSCRIPT` */
export function transcriptObject(transcript: Transcript): object {
  const { text, language, languageProbability, duration, segments, chunks, coverage, warnings } = transcript;
  return {
    text,
    language,
    language_probability: languageProbability,
    duration,
    segments: segments.map(segmentObject),
    ...(chunks !== undefined && { chunks }),
    ...(coverage !== undefined && { coverage: coverageObject(coverage) }),
    warnings,
  };
}

/** @see src/schemas/transcript.ts `COVERAGE` */
export function coverageObject({ speechSeconds, transcribedSeconds, untranscribed }: Coverage): object {
  return { speech_seconds: speechSeconds, transcribed_seconds: transcribedSeconds, untranscribed };
}

/** @see src/schemas/transcript.ts `SEGMENT` */
export function segmentObject(segment: Segment): object {
  const { id, seek, start, end, text, tokens, temperature, fallback, words, language, speaker } = segment;
  return {
    id,
    ...(seek !== undefined && { seek }),
    start,
    end,
    text,
    tokens,
    temperature,
    ...(fallback !== undefined && {
      fallback: fallback.map((attempt) => ({
        temperature: attempt.temperature,
        reasons: attempt.reasons.map((reason) => REASONS[reason] ?? reason),
      })),
    }),
    avg_logprob: segment.avgLogprob,
    compression_ratio: segment.compressionRatio,
    no_speech_prob: segment.noSpeechProb,
    ...(words !== undefined && { words: words.map(wordObject) }),
    ...(language !== undefined && { language }),
    ...(speaker !== undefined && { speaker }),
  };
}

function wordObject({ word, start, end, probability }: Word): object {
  return { word, start, end, probability };
}
