import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { samplePath } from "../../test/helpers/samples.ts";
import type { Progress } from "../transcription/index.ts";
import type { LoadOptions } from "./load.ts";
import { WhisperPipeline } from "./pipeline.ts";

const long = samplePath("en-long.flac");
const short = samplePath("en-short.wav");

afterEach(() => {
  vi.unstubAllEnvs();
});

/** One thread, so that nothing but the order of the work decides who ends first. */
const ENGINES: [name: string, options: LoadOptions, kernels: string][] = [
  ["native kernels where the machine has them", { dtype: "int8", threads: 1 }, ""],
  ["onnxruntime, int8", { dtype: "int8", threads: 1 }, "onnxruntime"],
  ["onnxruntime, float32", { dtype: "float32", threads: 1 }, "onnxruntime"],
];

for (const [name, options, kernels] of ENGINES) {
  describe(`calls of one pipeline (${name})`, () => {
    let pipeline: WhisperPipeline;
    beforeAll(async () => {
      if (kernels !== "") vi.stubEnv("SOTTO_KERNELS", kernels);
      pipeline = await WhisperPipeline.fromPretrained("nano", options);
      await pipeline.transcribe(short); // workers started, graphs made ready
    });
    afterAll(() => pipeline.dispose());

    it("let a short recording that comes later end before a long one", async () => {
      const ended: string[] = [];
      // All of its windows are in one batch.
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => (begin = resolve));
      const expected = await pipeline.transcribe(short);
      const ofLong = pipeline.transcribe(long, { onProgress: () => begin() }).then(() => ended.push("long"));
      await begun;
      const transcript = await pipeline.transcribe(short);
      ended.push("short");
      await ofLong;
      expect(ended).toEqual(["short", "long"]);
      expect(transcript.text).toBe(expected.text);
    });

    it("tell of progress with every window, encoded and decoded", async () => {
      for (const algorithm of ["chunked", "sequential"] as const) {
        const seen: Progress[] = [];
        const { duration } = await pipeline.transcribe(long, {
          algorithm,
          language: "en",
          onProgress: (progress) => seen.push(progress),
        });
        const steps = seen.map(({ processedSeconds }, i) => processedSeconds - (seen[i - 1]?.processedSeconds ?? 0));
        expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...steps)).toBeLessThanOrEqual(30);
        expect(seen.at(-1)).toEqual({ processedSeconds: duration, totalSeconds: duration });
      }
    });

    it("stop when their signal is aborted, in the middle of a batch, and leave the engine to others", async () => {
      for (const given of [{}, { algorithm: "sequential", beamSize: 2 }] as const) {
        const stop = new AbortController();
        const reason = new Error("changed my mind");
        let progress = 0;
        const running = pipeline.transcribe(long, {
          ...given,
          language: "en",
          signal: stop.signal,
          onProgress: () => {
            if (++progress === 1) stop.abort(reason);
          },
        });
        await expect(running).rejects.toBe(reason);
        expect(progress).toBeLessThanOrEqual(2);
        const { waitingRows, waitingWindows } = pipeline.scheduler.counters;
        expect([waitingRows, waitingWindows]).toEqual([0, 0]);
        expect((await pipeline.transcribe(short)).text).not.toBe("");
      }
    });
  });
}

describe("calls that share one AbortSignal", () => {
  it("do not add up their listeners", async () => {
    const pipeline = await WhisperPipeline.fromPretrained("nano");
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on("warning", onWarning);
    try {
      const stop = new AbortController();
      const { signal } = stop;
      const results = await Promise.allSettled([
        ...Array.from({ length: 20 }, () => pipeline.transcribe(short, { signal })),
        ...Array.from({ length: 20 }, () => pipeline.detectLanguage(short, { signal })),
      ]);
      expect(results.filter(({ status }) => status === "rejected")).toEqual([]);
      const reason = new Error("enough");
      const running = Promise.allSettled(Array.from({ length: 20 }, () => pipeline.transcribe(short, { signal })));
      stop.abort(reason);
      expect(await running).toEqual(new Array(20).fill({ status: "rejected", reason }));
      await new Promise((resolve) => setImmediate(resolve)); // warnings are emitted on the next tick
      expect(warnings).toEqual([]);
    } finally {
      process.off("warning", onWarning);
      await pipeline.dispose();
    }
  });
});
