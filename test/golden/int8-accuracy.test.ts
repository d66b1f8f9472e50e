/** int8 may cost at most one point of word error rate on the samples. */
import { afterEach, expect, it } from "vitest";
import { loadKernels } from "../../src/engine/native/index.ts";
import { WhisperPipeline } from "../../src/pipeline/index.ts";
import { SAMPLES, samplePath } from "../helpers/samples.ts";
import { words, wordErrors } from "../helpers/word-errors.ts";

const kernelsBefore = process.env["SOTTO_KERNELS"];
afterEach(() => {
  if (kernelsBefore === undefined) delete process.env["SOTTO_KERNELS"];
  else process.env["SOTTO_KERNELS"] = kernelsBefore;
});

async function wordErrorRate(dtype: "float32" | "int8", returnTimestamps: boolean): Promise<number> {
  const pipeline = await WhisperPipeline.fromPretrained("nano", { dtype });
  try {
    const paths = SAMPLES.map(({ file }) => samplePath(file));
    let errors = 0;
    let total = 0;
    for await (const result of pipeline.transcribeMany(paths, { returnTimestamps })) {
      if (result.error) throw result.error;
      const { text } = SAMPLES[result.index];
      errors += wordErrors(text, result.transcript.text);
      total += words(text).length;
    }
    return errors / total;
  } finally {
    await pipeline.dispose();
  }
}

// Without timestamps the bundled model is unstable on full windows, so that onnxruntime's int8, coarser than ours, loses four points.
const native = loadKernels();
for (const [kernels, how, returnTimestamps] of [
  ["native", "with", true],
  ["native", "without", false],
  ["onnxruntime", "with", true],
] as const) {
  it(`int8 of ${kernels} makes at most one word error in a hundred more than float32, ${how} timestamps`, async (context) => {
    if (kernels === "native" && "reason" in native) context.skip(`no native kernels: ${native.reason}`);
    process.env["SOTTO_KERNELS"] = kernels === "native" ? "auto" : kernels;
    const exact = await wordErrorRate("float32", returnTimestamps);
    expect(exact).toBeLessThan(0.5); // a broken pipeline would make both equal
    expect(await wordErrorRate("int8", returnTimestamps)).toBeLessThanOrEqual(exact + 0.01);
  });
}
