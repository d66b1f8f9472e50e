/** Live captions with OpenAI's `base`: an utterance says what the same audio says as a file, and what is no speech says nothing. */
import { afterAll, describe, expect, it, type TestContext } from "vitest";
import { loadAudio, SAMPLE_RATE } from "../../src/audio/index.ts";
import { LiveSession, type LiveEvent, type LiveOptions } from "../../src/live/index.ts";
import { WhisperPipeline } from "../../src/pipeline/index.ts";
import { realModel, realRecording } from "./files.ts";

let opening: Promise<WhisperPipeline> | undefined;
async function pipelineFor(context: TestContext): Promise<WhisperPipeline> {
  opening ??= WhisperPipeline.fromPretrained(realModel("base", context), { device: "cpu" });
  return opening;
}
afterAll(async () => {
  await (await opening)?.dispose();
});

/** Events of samples that come in pieces of two seconds, each waited for. */
async function listen(pipeline: WhisperPipeline, samples: Float32Array, options: LiveOptions = {}) {
  const events: LiveEvent[] = [];
  const session = new LiveSession(pipeline.context, options, (event) => events.push(event));
  const piece = 2 * SAMPLE_RATE;
  for (let at = 0; at < samples.length; at += piece) await session.push(samples.subarray(at, at + piece));
  await session.end();
  return events;
}

/** White noise, the same for the same seed. @param level root mean square */
function noise(seconds: number, level: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: seconds * SAMPLE_RATE }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * level * Math.sqrt(3);
  });
}

function hum(seconds: number, level: number): Float32Array {
  return Float32Array.from({ length: seconds * SAMPLE_RATE }, (_, i) => {
    const phase = (2 * Math.PI * 50 * i) / SAMPLE_RATE;
    return level * (Math.sin(phase) + Math.sin(2 * phase) / 2 + Math.sin(3 * phase) / 3);
  });
}

describe("LiveSession", () => {
  for (const file of ["cheetah-en.wav", "leopard-es.wav", "kerstin-0007.webm", "azure-en-b.flac"]) {
    it(`says of each utterance what the same audio says as a file: ${file}`, async (context) => {
      const pipeline = await pipelineFor(context);
      const samples = await loadAudio(realRecording(file, context));
      const found = (await listen(pipeline, samples)).filter((event) => event.type === "final");
      expect(found.length).toBeGreaterThan(0);
      for (const { start, end, text, language } of found) {
        const stretch = samples.subarray(Math.round(start * SAMPLE_RATE), Math.round(end * SAMPLE_RATE));
        const transcript = await pipeline.transcribe(stretch);
        expect(text).toBe(transcript.text.trim());
        expect(text).not.toBe("");
        expect(language).toBe(transcript.language);
      }
    });
  }

  it("says of all of a recording what the file says, where nobody ends an utterance", async (context) => {
    const pipeline = await pipelineFor(context);
    const samples = await loadAudio(realRecording("long-en-printing.flac", context));
    const events = await listen(pipeline, samples, { endpointing: null, language: "en" });
    const { text } = await pipeline.transcribe(samples, { language: "en" });
    expect(events.at(-1)).toMatchObject({ type: "final", text: text.trim() });
  });

  it("has no event of silence, noise and hum, at any level", async (context) => {
    const pipeline = await pipelineFor(context);
    expect(await listen(pipeline, new Float32Array(20 * SAMPLE_RATE))).toEqual([]);
    for (const level of [0.003, 0.03, 0.3]) {
      expect(await listen(pipeline, noise(20, level))).toEqual([]);
      expect(await listen(pipeline, hum(20, level))).toEqual([]);
    }
  });
});
