/** The JSON that transcripts are written as. */
import { z } from "zod";

const SECONDS = z.number().min(0);
const CODE = z.string().describe('code of a language: "en"');
/** A figure that is not finite is null: JSON has no name for it. */
const FIGURE = z.number().nullable();
const PROBABILITY = z.number().min(0).max(1);

const WORD = z.strictObject({
  word: z.string().describe("with its leading space: joined words are the text"),
  start: SECONDS,
  end: SECONDS,
  probability: PROBABILITY,
});

const SEGMENT_FIELDS = {
  id: z.int().min(0).describe("0, 1, 2 ..."),
  seek: z.int().min(0).describe("start of the window it was decoded in, in frames of 10 ms; else its own"),
  start: SECONDS,
  end: SECONDS,
  text: z.string().describe("with its leading space: joined segments are the text"),
  tokens: z.array(z.int().min(0)),
  temperature: z.number().min(0).describe("0: greedy, or beams"),
  avg_logprob: FIGURE.describe("mean log-probability of the window's tokens"),
  compression_ratio: FIGURE.describe("above 2.4 it probably repeats itself"),
  no_speech_prob: FIGURE.describe("probability that the window holds no speech"),
  words: z.array(WORD).optional().describe("only where times of words were asked for"),
  language: CODE.optional().describe("only where it is detected per window"),
  speaker: z.string().optional(),
};

/** How much of the speech that was found has text. */
const COVERAGE = z
  .strictObject({
    speech_seconds: SECONDS.describe("speech found"),
    transcribed_seconds: SECONDS.describe("speech that has text"),
    untranscribed: z
      .array(z.strictObject({ start: SECONDS, end: SECONDS }))
      .describe("stretches of speech without text"),
  })
  .describe("only of algorithm vad, which looks for speech first");

/** `json`: openai/whisper's. */
export const TRANSCRIPT_JSON = z
  .strictObject({
    text: z.string(),
    segments: z.array(z.strictObject(SEGMENT_FIELDS)),
    language: CODE,
    coverage: COVERAGE.optional(),
  })
  .describe("What -f json writes: openai/whisper's JSON. Times are seconds.");

/** A segment with all that is known of it. */
export const SEGMENT = z
  .strictObject({
    ...SEGMENT_FIELDS,
    seek: SEGMENT_FIELDS.seek.optional(),
    fallback: z
      .array(
        z.strictObject({
          temperature: z.number().min(0),
          reasons: z.array(z.enum(["compression_ratio", "avg_logprob", "entropy", "speech_rate"])).min(1),
        }),
      )
      .optional()
      .describe("attempts at its window that were not good enough"),
  })
  .describe("A segment of a transcript. Times are seconds.");

/** A transcript with all that is known of it. */
export const TRANSCRIPT = z
  .strictObject({
    text: z.string().describe("not stripped"),
    language: CODE,
    language_probability: PROBABILITY.nullable().describe("null where the language was given"),
    duration: SECONDS.describe("of the audio"),
    segments: z.array(SEGMENT),
    chunks: z
      .array(
        z.strictObject({
          timestamp: z.tuple([z.number(), z.number().nullable()]),
          text: z.string(),
          language: CODE.optional(),
        }),
      )
      .optional()
      .describe("as the Hugging Face pipeline gives them"),
    coverage: COVERAGE.optional(),
    warnings: z.array(z.string()),
  })
  .describe("A transcript. Times are seconds.");

const TIMES = {
  timestamps: z.strictObject({ from: z.string(), to: z.string() }).describe("HH:MM:SS,mmm"),
  offsets: z.strictObject({ from: z.int(), to: z.int() }).describe("milliseconds"),
};

/** `json-full`: whisper.cpp's. */
export const TRANSCRIPT_JSON_FULL = z
  .strictObject({
    systeminfo: z.string(),
    model: z
      .strictObject({
        type: z.string().optional(),
        multilingual: z.boolean(),
        vocab: z.int(),
        audio: z.strictObject({ ctx: z.int(), state: z.int(), head: z.int(), layer: z.int() }),
        text: z.strictObject({ ctx: z.int(), state: z.int(), head: z.int(), layer: z.int() }),
        mels: z.int(),
        ftype: z.int().optional().describe("0: float32, 1: float16, 7: int8"),
      })
      .optional(),
    params: z.strictObject({ model: z.string().optional(), language: CODE, translate: z.boolean() }).optional(),
    result: z.strictObject({ language: CODE }),
    transcription: z.array(
      z.strictObject({
        ...TIMES,
        text: z.string(),
        tokens: z
          .array(
            z.strictObject({
              text: z.string(),
              timestamps: TIMES.timestamps.optional(),
              offsets: TIMES.offsets.optional(),
              id: z.int().min(0),
              p: PROBABILITY.optional().describe("of the token's word"),
              t_dtw: z.int().describe("start of a word, in hundredths of a second, at its first token; else -1"),
            }),
          )
          .optional(),
        speaker: z.string().optional(),
      }),
    ),
  })
  .describe("What -f json-full writes: whisper.cpp's full JSON.");
