/** Recordings that say something else than they hold, with OpenAI's `base`: the text is that of the sound recording. */
import { afterAll, describe, expect, it, type TestContext } from "vitest";
import { encodeWav, loadAudio, type AudioInput } from "../../src/audio/index.ts";
import { WhisperPipeline, type TranscribeOptions } from "../../src/pipeline/index.ts";
import { realModel, realRecording } from "./files.ts";

const RATE = 16000;
/** A sentence of 4.46 s. */
const RECORDING = "cheetah-en.wav";
const TEXT = " Today only platforms 1 and 3 are used.";

let opening: Promise<WhisperPipeline> | undefined;
async function transcribe(
  context: TestContext,
  makeInput: (samples: Float32Array) => AudioInput,
  options: TranscribeOptions,
) {
  const model = realModel("base", context);
  const samples = await loadAudio(realRecording(RECORDING, context));
  opening ??= WhisperPipeline.fromPretrained(model, { device: "cpu", dtype: "float32" });
  return (await opening).transcribe(makeInput(samples), options);
}
afterAll(async () => {
  await (await opening)?.dispose();
});

describe("transcribe()", () => {
  for (const algorithm of ["chunked", "sequential"] as const) {
    it(`hears channels of opposite polarity, ${algorithm}`, async (context) => {
      const stereo = (samples: Float32Array) => encodeWav([samples, samples.map((value) => -value)], RATE);
      const { text, warnings } = await transcribe(context, stereo, { algorithm, language: "en" });
      expect(text).toBe(TEXT);
      expect(warnings.join()).toContain("channel 2 was inverted");
    });

    it(`hears floats on the scale of 16-bit integers, ${algorithm}`, async (context) => {
      const integers = (samples: Float32Array) => samples.map((value) => value * 32768);
      const { text, warnings } = await transcribe(context, integers, { algorithm, language: "en" });
      expect(text).toBe(TEXT);
      expect(warnings.join()).toContain("divided by 32768");
    });

    it(`ends nothing after a recording that is cut in a sentence, ${algorithm}`, async (context) => {
      for (const seconds of [1, 2.005, 3]) {
        const cut = (samples: Float32Array) => samples.slice(0, seconds * RATE);
        const { segments, duration } = await transcribe(context, cut, {
          algorithm,
          returnTimestamps: true,
          wordTimestamps: true,
        });
        expect(duration).toBe(seconds);
        for (const { start, end, words = [] } of segments) {
          for (const time of [start, end, ...words.flatMap((word) => [word.start, word.end])]) {
            expect(time).toBeLessThanOrEqual(duration);
          }
        }
      }
    });
  }

  it("ends nothing after a clip up to the end", async (context) => {
    const cut = (samples: Float32Array) => samples.slice(0, 4 * RATE);
    const { segments } = await transcribe(context, cut, { algorithm: "sequential", clipTimestamps: "1" });
    expect(segments.length).toBeGreaterThan(0);
    for (const { start, end } of segments) {
      expect(start).toBeGreaterThanOrEqual(1);
      expect(end).toBeLessThanOrEqual(4);
    }
  });
});
