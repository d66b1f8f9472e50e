import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { arrayAudio } from "../../test/helpers/array-audio.ts";
import { chunkWindows, streamWindows, wholeWindow, windowLayout, type AudioWindow } from "./windows.ts";

const RATE = 16000;
const DEFAULT = { chunk: 480000, left: 80000, right: 80000 };

async function collect(windows: AsyncIterable<AudioWindow>): Promise<AudioWindow[]> {
  const all: AudioWindow[] = [];
  for await (const window of windows) all.push(window);
  return all;
}

describe("windowLayout()", () => {
  it.each([
    [30, undefined, DEFAULT],
    [undefined, undefined, DEFAULT],
    [30, 2, { chunk: 480000, left: 32000, right: 32000 }],
    [30, [4, 2] as const, { chunk: 480000, left: 64000, right: 32000 }],
    [30, 0, { chunk: 480000, left: 0, right: 0 }],
    [10, undefined, { chunk: 160000, left: 26667, right: 26667 }],
    // 24000.5 and 1000.5 samples go to the even neighbour.
    [24000.5 / RATE, [1000.5 / RATE, 1001.5 / RATE] as const, { chunk: 24000, left: 1000, right: 1002 }],
  ])("of %j s with strides %j (facts 1.4.5)", (chunk, stride, expected) => {
    expect(windowLayout(chunk, stride)).toEqual(expected);
  });

  it.each([
    [30, 20, "Strides of 20 s and 20 s are too large for chunks of 30 s"],
    [30, 15, "too large for chunks of 30 s"], // equal: Whisper JAX divides by zero (facts 1.4.4)
    [30, [30, 0] as const, "Strides of 30 s and 0 s are too large"],
    [0.0001, [0.00005, 0.00005] as const, "too large for chunks"],
    [31, 5, 'Chunks cannot be "31" s long, expected more than 0 and at most 30'],
    [-1, undefined, "Chunks cannot be"],
    [Number.NaN, undefined, "Chunks cannot be"],
    [30, -1, 'Strides cannot be "-1"'],
    [30, Number.NaN, "Strides cannot be"],
    [30, [1] as unknown as [number, number], 'Strides cannot be "[1]", expected seconds, or a pair of them'],
    [30, "5" as unknown as number, 'Strides cannot be "5"'],
  ])("refuses %j s with strides %j", (chunk, stride, message) => {
    expect(() => windowLayout(chunk, stride)).toThrow(OptionError);
    expect(() => windowLayout(chunk, stride)).toThrow(message);
  });
});

describe("chunkWindows()", () => {
  // Facts 1.5.8, column of Hugging Face. Whisper JAX makes 2 of 25 s, 3 of 45 s and 4 of 65 s: the last one again.
  it.each([
    [5, 1],
    [11, 1],
    [20, 1],
    [25, 1],
    [30, 2],
    [30.01, 2],
    [45, 2],
    [50, 3],
    [60, 3],
    [65, 3],
    [600, 30],
    [3600, 180],
  ])("makes of %d s %d windows", (seconds, count) => {
    expect(chunkWindows(seconds * RATE, DEFAULT)).toHaveLength(count);
  });

  const inSeconds = (seconds: number, layout = DEFAULT) =>
    chunkWindows(seconds * RATE, layout).map(({ start, length, left, right }) =>
      [start, length, left, right].map((samples) => samples / RATE),
    );

  it("gives a window of 30.0 s a right stride, and a second window (facts 1.5.7)", () => {
    expect(inSeconds(30)).toEqual([
      [0, 30, 0, 5],
      [20, 10, 5, 0],
    ]);
  });
  it("ends 45 s with the window that reaches the end (facts 1.5.6)", () => {
    expect(inSeconds(45)).toEqual([
      [0, 30, 0, 5],
      [20, 25, 5, 0],
    ]);
  });
  it("ends at the audio's end exactly where there is no right stride", () => {
    expect(inSeconds(30, { chunk: 480000, left: 80000, right: 0 })).toEqual([[0, 30, 0, 0]]);
    expect(inSeconds(55, { chunk: 480000, left: 80000, right: 0 })).toEqual([
      [0, 30, 0, 0],
      [25, 30, 5, 0],
    ]);
  });
  it("makes none of nothing, and one of a single sample", () => {
    expect(chunkWindows(0, DEFAULT)).toEqual([]);
    expect(chunkWindows(1, DEFAULT)).toEqual([{ start: 0, length: 1, left: 0, right: 0, isLast: true }]);
  });
});

/** Any layout that has a step. */
const layouts = fc
  .tuple(fc.nat(12), fc.nat(12), fc.integer({ min: 1, max: 20 }))
  .map(([left, right, step]) => ({ chunk: left + right + step, left, right }));

it("chunkWindows() covers every sample, outside of the strides exactly once", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), layouts, (nSamples, layout) => {
      const windows = chunkWindows(nSamples, layout);
      let end = 0;
      for (const { start, length, left, right } of windows) {
        expect(start + left).toBe(end);
        end = start + length - right;
        expect(length).toBeGreaterThan(left);
      }
      expect(end).toBe(nSamples);
      expect(windows.map(({ isLast }) => isLast).lastIndexOf(false)).toBe(windows.length - 2);
    }),
  );
});

it("streamWindows() equals chunkWindows() for pieces of any size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(300),
      layouts,
      fc.array(fc.nat(60), { minLength: 1, maxLength: 8 }),
      async (nSamples, layout, sizes) => {
        const samples = Float32Array.from({ length: nSamples }, (_, i) => i);
        const pieces = async function* () {
          for (let from = 0, i = 0; from < nSamples; i++) {
            const size = i < 20 ? sizes[i % sizes.length] : nSamples;
            yield await Promise.resolve(samples.slice(from, from + size));
            from += size;
          }
        };
        const expected = chunkWindows(nSamples, layout).map((window) => ({
          ...window,
          samples: samples.slice(window.start, window.start + window.length),
        }));
        expect(await collect(streamWindows(pieces(), layout))).toEqual(expected);
      },
    ),
  );
});

describe("streamWindows()", () => {
  it("gives a window as soon as it is known, reading no further", async () => {
    let read = 0;
    const pieces = async function* () {
      for (; read < 100; read++) yield await Promise.resolve(new Float32Array(10));
    };
    const windows = streamWindows(pieces(), { chunk: 25, left: 5, right: 5 });
    expect((await windows.next()).value).toMatchObject({ start: 0, length: 25, left: 0, right: 5, isLast: false });
    expect(read).toBe(2);
    await windows.return();
    expect(read).toBe(2);
  });
});

describe("wholeWindow()", () => {
  const samples = Float32Array.from({ length: 10 }, (_, i) => i);
  const window = (nMax: number, stride: readonly [number, number] | null = null, length = 10) =>
    collect(wholeWindow(arrayAudio(samples.slice(0, length), { pieceLength: 3 }), "a.wav", stride, nMax));

  it("takes all samples, with the caller's stride", async () => {
    expect(await window(10)).toEqual([{ samples, start: 0, length: 10, left: 0, right: 0, isLast: true }]);
    expect(await window(10, [2, 3])).toMatchObject([{ length: 10, left: 2, right: 3 }]);
    expect(await window(10, null, 0)).toEqual([]);
  });
  it("refuses audio that is longer, where Whisper JAX drops the rest (facts 1.4.6)", async () => {
    await expect(window(9)).rejects.toThrow(/^Cannot transcribe "a.wav" in one piece: it is longer than/);
  });
  it("refuses a stride that is larger than the audio (facts 1.4.3)", async () => {
    await expect(window(10, [6, 5])).rejects.toThrow(
      'The stride of "a.wav", 6 and 5 samples, is larger than its 10 samples',
    );
    await expect(window(10, [5, 5])).resolves.toHaveLength(1);
  });
});
