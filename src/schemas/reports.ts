/** The JSON that `sotto eval --json` and `sotto bench --json` print. */
import { z } from "zod";

const COUNT = z.int().min(0);
const COUNTS = z.strictObject({
  errors: COUNT,
  hits: COUNT,
  substitutions: COUNT,
  deletions: COUNT,
  insertions: COUNT,
  reference_length: COUNT,
  hypothesis_length: COUNT,
});
const RATES = {
  files: COUNT,
  duration: z.number().min(0).describe("seconds of audio"),
  wer: z.number().min(0).nullable().describe("word error rate; null where nothing was said and something was written"),
  cer: z.number().min(0).nullable().describe("character error rate; null where characters are not compared"),
  words: COUNTS,
  characters: COUNTS.nullable(),
};
const DIFFERENCE = {
  kind: z.enum(["substitution", "deletion", "insertion"]),
  reference: z.string().describe("normalised words; empty for an insertion"),
  hypothesis: z.string().describe("normalised words; empty for a deletion"),
};

export const EVAL_REPORT = z
  .strictObject({
    model: z.string(),
    device: z.string(),
    dtype: z.string(),
    task: z.string(),
    algorithm: z.string(),
    normalizer: z.string(),
    total: z.strictObject({
      ...RATES,
      seconds: z.number().min(0).describe("that transcribing took"),
      speed: z.number().min(0).describe("seconds of audio a second"),
    }),
    languages: z.record(z.string(), z.strictObject(RATES)),
    frequent_differences: z.array(z.strictObject({ ...DIFFERENCE, count: COUNT })),
    failures: z.array(z.strictObject({ file: z.string().nullable(), message: z.string() })),
    files: z.array(
      z.strictObject({
        file: z.string(),
        language: z.string(),
        normalizer: z.string(),
        ...RATES,
        reference: z.string(),
        hypothesis: z.string(),
        differences: z.array(z.strictObject(DIFFERENCE)),
        warnings: z.array(z.string()),
      }),
    ),
  })
  .describe("What sotto eval --json prints, and --output writes.");

export const BENCH_REPORT = z
  .strictObject({
    model: z.string(),
    device: z.string(),
    dtype: z.string(),
    parallelism: COUNT.describe("windows that the engine computes side by side"),
    rounds: COUNT,
    tokens: COUNT,
    batch: COUNT,
    load_ms: z.number(),
    first_ms: z.number().describe("until the first window was decoded"),
    loaded_bytes: z.number().describe("of memory, more after the first window"),
    peak_bytes: z.number(),
    stages: z.array(
      z.strictObject({
        stage: z.string(),
        ms: z.number().describe("median of the rounds"),
        range: z.tuple([z.number(), z.number()]).describe("fastest and slowest round"),
        rate: z.string(),
      }),
    ),
  })
  .describe("What sotto bench --json prints.");
