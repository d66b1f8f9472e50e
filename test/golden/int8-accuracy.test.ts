/** int8 may cost at most one point of word error rate on the samples, with timestamps: the way the command line decodes. */
import { expect, it } from "vitest";
import { WhisperPipeline } from "../../src/pipeline/index.ts";
import { SAMPLES, samplePath } from "../helpers/samples.ts";
import { words, wordErrors } from "../helpers/word-errors.ts";

async function wordErrorRate(dtype: "float32" | "int8"): Promise<number> {
  const pipeline = await WhisperPipeline.fromPretrained("nano", { dtype });
  try {
    const transcripts = await pipeline.transcribe(
      SAMPLES.map(({ file }) => samplePath(file)),
      { returnTimestamps: true },
    );
    let errors = 0;
    let total = 0;
    for (const [i, { text }] of SAMPLES.entries()) {
      errors += wordErrors(text, transcripts[i].text);
      total += words(text).length;
    }
    return errors / total;
  } finally {
    await pipeline.dispose();
  }
}

it("int8 makes at most one word error in a hundred more than float32", async () => {
  const exact = await wordErrorRate("float32");
  expect(exact).toBeLessThan(0.5); // a broken pipeline would make both equal
  expect(await wordErrorRate("int8")).toBeLessThanOrEqual(exact + 0.01);
});
