import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokensOf, wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { createStitcher, type DecodedWindow, type Piece } from "./stitcher.ts";
import { chunkWindows } from "./windows.ts";

const tokenizer = wordTokenizer();
const T = { returnTimestamps: true };
const N = { returnTimestamps: false };

type Stride = readonly [number, number, number];

const windowOf = ([text, ...stride]: readonly [string, ...number[]]): DecodedWindow => ({
  tokens: tokensOf(text, tokenizer),
  stride: stride.length === 0 ? null : (stride as unknown as Stride),
});

/** Stitches, and checks that pieces know which of the windows' tokens theirs are, each token at most once, in order. */
function stitch(windows: readonly DecodedWindow[], options: { returnTimestamps: boolean }): Piece[] {
  const stitcher = createStitcher(tokenizer.special, options.returnTimestamps);
  const pieces = [...windows.flatMap((window) => stitcher.push(window)), ...stitcher.finish()];
  const all = windows.flatMap(({ tokens }) => Array.from(tokens).filter((token) => token < tokenizer.special.eot));
  const sources = pieces.flatMap((piece) => piece.sources);
  expect(sources.map((source) => all[source])).toEqual(pieces.flatMap(({ tokens }) => tokens));
  expect(pieces.map((piece) => piece.sources.length)).toEqual(pieces.map(({ tokens }) => tokens.length));
  expect(sources.every((source, i) => i === 0 || source > sources[i - 1])).toBe(true);
  return pieces;
}

/** Pieces as `start-end: tokens`. */
const shown = (windows: readonly (readonly [string, ...number[]])[], options = T): string[] =>
  stitch(windows.map(windowOf), options).map(
    ({ start, end, tokens, language }) =>
      `${options.returnTimestamps ? `${start}-${end}: ` : ""}${tokens.join(" ")}${language === null ? "" : ` ${language}`}`,
  );

describe("createStitcher(), vectors of facts 6.8", () => {
  it("V1 text without timestamps", () => {
    expect(shown([["1 2 3", 11, 0, 0]], N)).toEqual(["1 2 3"]);
  });
  it("V2 two sentences", () => {
    expect(shown([["<0>1 2<4><4>3 4<8>", 11, 0, 0]])).toEqual(["0-4: 1 2", "4-8: 3 4"]);
  });
  it("V3 a missing last timestamp", () => {
    expect(shown([["<0>1 2<4><4>3 4", 11, 0, 0]])).toEqual(["0-4: 1 2", "4-null: 3 4"]);
  });
  it("V4 a missing last timestamp is no error: strict mode, which throws here, is not offered", () => {
    expect(shown([["<0>1 2", 11, 0, 0]])).toEqual(["0-null: 1 2"]);
  });
  it("V5 a start that comes twice", () => {
    expect(shown([["<2><2>1 2<5>", 11, 0, 0]])).toEqual(["2-5: 1 2"]);
  });
  it("V6 an overlap without timestamps", () => {
    expect(
      shown(
        [
          ["1 2 3 4 5 6", 30, 0, 5],
          ["4 5 6 7 8", 20, 5, 0],
        ],
        N,
      ),
    ).toEqual(["1 2 3 4 5 6 7 8"]);
  });
  it("V7 an overlap with timestamps", () => {
    expect(
      shown([
        ["<0>1 2<10><10>3 4 5 6<29>", 30, 0, 5],
        ["<0>4 5 6<9><9>7 8<15>", 20, 5, 0],
      ]),
    ).toEqual(["0-10: 1 2", "10-29: 3 4 5 6", "29-35: 7 8"]);
  });
  it("V8 the last timestamp of a window is never trusted, even well before the stride", () => {
    expect(
      shown([
        ["<0>1 2<24>", 30, 0, 5],
        ["<0>3 4<12>", 20, 5, 0],
      ]),
    ).toEqual(["0-32: 1 2 3 4"]);
  });
  it("V9 the tail of 45 s comes once with the windows that chunkWindows() makes", () => {
    const first = ["<0>1 2<10><10>3 4 5<29>", 30, 0, 5] as const;
    const second = ["<0>4 5<9><9>6<20><20>6 7<25>", 25, 5, 0] as const;
    const expected = ["0-10: 1 2", "10-29: 3 4 5", "29-40: 6", "40-45: 6 7"];
    expect(shown([first, second])).toEqual(expected);
    // Whisper JAX cuts a third window out of audio that the second one has covered, and its answer is
    // [...expected, "40-45: 6 7"]: the tail comes twice.
    expect(shown([first, second, ["<0>6 7<5>", 5, 5, 0]])).toEqual(expected);
  });
  it("V10 a change of language without timestamps", () => {
    expect(
      shown(
        [
          ["<en>1 2", 30, 0, 0],
          ["<fr>3 4", 10, 0, 0],
        ],
        N,
      ),
    ).toEqual(["1 2 en", "3 4 fr"]);
  });
  it("V11 a change of language with timestamps", () => {
    expect(
      shown([
        ["<en><0>1 2<10>", 30, 0, 0],
        ["<fr><0>3 4<10>", 30, 0, 0],
      ]),
    ).toEqual(["0-10: 1 2 en", "30-40: 3 4 fr"]);
  });
  it("V12 special tokens alone", () => {
    expect(shown([["<en>", 30, 0, 0]])).toEqual([]);
    expect(shown([["<0>", 30, 0, 0]])).toEqual([]);
    expect(shown([["", 30, 0, 0]], N)).toEqual([]);
  });
  it("V12 an empty window in the middle does not disturb its neighbours", () => {
    expect(
      shown([
        ["<0>1 2<10>", 30, 0, 0],
        ["", 30, 0, 0],
        ["<0>3 4<10>", 30, 0, 0],
      ]),
    ).toEqual(["0-10: 1 2", "60-70: 3 4"]);
  });
  it("V13 timestamps that nobody asked for are not in the text", () => {
    const pieces = stitch([windowOf(["<0>1 2<4><4>3<6>4", 11, 0, 0])], N);
    expect(pieces.flatMap(({ tokens }) => tokens)).toEqual([1, 2, 3, 4]);
  });
  it("V14 no clock without strides", () => {
    expect(shown([["<0>1 2<4>"], ["<0>3 4<4>"]])).toEqual(["0-4: 1 2", "0-4: 3 4"]);
  });
  it("V15 an overlap of one token is not seen", () => {
    expect(
      shown(
        [
          ["1 2 3", 30, 0, 5],
          ["3 4", 20, 5, 0],
        ],
        N,
      ),
    ).toEqual(["1 2 3 3 4"]);
  });
  it("V16 three windows", () => {
    expect(
      shown(
        [
          ["1 2 3 4", 30, 0, 5],
          ["3 4 5 6", 30, 5, 5],
          ["5 6 7", 20, 5, 0],
        ],
        N,
      ),
    ).toEqual(["1 2 3 4 5 6 7"]);
  });
  it("H3 times of a single sentence", () => {
    const tokens = [51492, 406, 3163, 1953, 466, 13, 51612, 51612];
    expect(stitch([{ tokens, stride: [30, 0, 0] }], T)).toMatchObject([{ start: 22.56, end: 24.96 }]);
  });
});

describe("createStitcher(), at the border of two windows", () => {
  const first = ["<0>1 2<12><12>3 4<24.5><25.2>", 30, 0, 5] as const;

  it("does not take ends for starts after a window that ends with the start of a sentence", () => {
    // Hugging Face: 24.5-25.2: 3 4, 29-32: 5 6 7 8; the repeated 3 4, and 5 6 too late.
    expect(shown([first, ["<0>3 4<4.5><5.2>5 6<9><9>7 8<12>", 20, 5, 0]])).toEqual([
      "0-12: 1 2",
      "12-24.5: 3 4",
      "25.2-29: 5 6",
      "29-32: 7 8",
    ]);
  });
  it("does not take ends for starts after a gap (seen with nano)", () => {
    // Hugging Face: 18-25.5: 3 4 5 6 .. 3 4 5 6, then 27-27.4: 7 8, and every start an end until the next border.
    expect(
      shown([
        ["<10>1 2<17><18>3 4<25.1><25.5>5 6<27><29.3>", 30, 0, 5],
        ["<0.5>3 4<5><5.5>5 6<7><7.4>7 8<9><9.4>10 11<12>", 20, 5, 0],
      ]),
    ).toEqual(["10-17: 1 2", "18-25.1: 3 4", "25.5-27: 5 6", "27.4-29: 7 8", "29.4-32: 10 11"]);
  });
  it("does not say again what comes before the sentence that waits (seen with nano)", () => {
    // Hugging Face merges 5 6 7 8 with 9 1 2 3 4 5 6.
    expect(
      shown([
        ["<20>1 2<22><22.6>3 4<24.8><25.5>5 6 7<27.2><27.8>8 9 12 12 12", 30, 0, 5],
        ["<0>4 2<0.3><0.7>1 2<2><2.6>3 4<4.8><5.5>5 6 7<7.2><7.9>8 9 10<10>", 20, 5, 0],
      ]),
    ).toEqual(["20-22: 1 2", "22.6-24.8: 3 4", "25.5-27.2: 5 6 7", "27.8-30: 8 9 10"]);
  });
  it("merges text only where the times agree", () => {
    // 1 2 is said at 25 s and again at 29 s: by the text alone it is one.
    expect(
      shown([
        ["<5>3 4<20><25>1 2<26.5>", 30, 0, 5],
        ["<8.5>1 2<10><10>5 6<12>", 20, 5, 0],
      ]),
    ).toEqual(["5-20: 3 4", "25-26.5: 1 2", "28.5-30: 1 2", "30-32: 5 6"]);
  });
  it("believes each window on its side where they agree on nothing", () => {
    expect(
      shown([
        ["<22>1 2<24.4><24.6>3 4<29.8>", 30, 0, 5],
        ["<1>5 6<4.8><5>7 8<9.9>", 20, 5, 0],
      ]),
    ).toEqual(["22-24.4: 1 2", "25-29.9: 7 8"]);
  });
  it("keeps what one window alone has heard", () => {
    expect(shown([first, ["<4.6>9<4.9><5.2>5 6<9>", 20, 5, 0]])).toEqual([
      "0-12: 1 2",
      "12-24.5: 3 4",
      "24.6-24.9: 9",
      "25.2-29: 5 6",
    ]);
    expect(
      shown([
        ["<10>1 2<12><26>3 4<28>", 30, 0, 5],
        ["<12>5 6<14>", 20, 5, 0],
      ]),
    ).toEqual(["10-12: 1 2", "26-28: 3 4", "32-34: 5 6"]);
  });
  it("keeps all of the next window after a silent one, and all of a window before one", () => {
    expect(
      shown([
        ["", 30, 0, 5],
        ["<1>1 2<3><3>3 4<9>", 20, 5, 0],
      ]),
    ).toEqual(["21-23: 1 2", "23-29: 3 4"]);
    expect(
      shown([
        ["<1>1 2<3><27>3 4<29>", 30, 0, 5],
        ["", 20, 5, 0],
      ]),
    ).toEqual(["1-3: 1 2", "27-29: 3 4"]);
  });
  it("cuts a sentence where only the next window hears another one begin", () => {
    expect(
      shown([
        ["<20>1 2 3 4 5 6<29>", 30, 0, 5],
        ["<0>1 2 3<4.5><5>4 5 6<9>", 20, 5, 0],
      ]),
    ).toEqual(["20-25: 1 2 3", "25-29: 4 5 6"]);
  });
});

describe("createStitcher()", () => {
  it("gives pieces as soon as they are closed", () => {
    const stitcher = createStitcher(tokenizer.special, true);
    expect(stitcher.push(windowOf(["<0>1 2<10><10>3 4<20><20>5 6<29>", 30, 0, 5]))).toHaveLength(2);
    expect(stitcher.push(windowOf(["<0>5 6<9><9>7 8<15>", 20, 5, 0]))).toHaveLength(1);
    expect(stitcher.finish()).toHaveLength(1);
    expect(stitcher.finish()).toEqual([]);
  });
  it("names the window that gave most of the tokens, and the span of those that gave any", () => {
    const pieces = stitch(
      [windowOf(["<0>1<10><10>2 3<29>", 30, 0, 5]), windowOf(["<0>2 3 4 5 6 7<9><9>8<15>", 20, 5, 0])],
      T,
    );
    expect(pieces.map(({ window, span }) => [window, span])).toEqual([
      [0, [0, 30]],
      [1, [0, 40]],
      [1, [25, 40]],
    ]);
  });
  it("takes the language of a window from beside the tokens, too", () => {
    const pieces = stitch(
      [
        { tokens: [1], stride: [30, 0, 0], language: "en" },
        { tokens: [2], stride: [30, 0, 0], language: "fr" },
        { tokens: [3], stride: [30, 0, 0], language: "fr" },
      ],
      N,
    );
    expect(pieces.map(({ tokens, language }) => [language, tokens])).toEqual([
      ["en", [1]],
      ["fr", [2, 3]],
    ]);
  });
});

/** Spoken words and their times; sentences follow each other with and without a gap. */
interface SpokenWord {
  readonly token: number;
  readonly start: number;
  readonly end: number;
}

const speech = fc
  .array(
    fc.record({
      // Words come again, but not as those of a loop do: of a loop, no overlap can be told.
      words: fc.array(
        fc.tuple(fc.noBias(fc.integer({ min: 1, max: 200 })), fc.double({ min: 0.25, max: 0.55, noNaN: true })),
        {
          minLength: 3,
          maxLength: 10,
        },
      ),
      gap: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2, noNaN: true })),
      // What a model does with a sentence that the window's end cuts.
      cut: fc.constantFrom("close", "leave open", "only start"),
    }),
    { minLength: 15, maxLength: 40 },
  )
  .map((sentences) => {
    let time = 0.1;
    return sentences.map(({ words, gap, cut }) => {
      const spoken = words.map(([token, duration]): SpokenWord => {
        const start = time;
        time += duration;
        return { token, start, end: time };
      });
      time += gap;
      return { words: spoken, cut };
    });
  });

const layouts = fc
  .constantFrom([5, 5], [0, 10], [8, 3])
  .map(([left, right]) => ({ chunk: 480000, left: left * 16000, right: right * 16000 }));

it("createStitcher() gives back what was said, for windows that hear every word that lies in them", () => {
  fc.assert(
    fc.property(speech, layouts, (sentences, layout) => {
      const seconds = (sentences.at(-1)?.words.at(-1)?.end ?? 0) + 0.5;
      const spans = chunkWindows(Math.round(seconds * 16000), layout);
      const windows = spans.map(({ start, length, left, right }): DecodedWindow => {
        const [from, to] = [start / 16000, (start + length) / 16000];
        const timestamp = (time: number): number => 50364 + Math.round((time - from) / 0.02);
        const tokens: number[] = [];
        for (const { words, cut } of sentences) {
          const heard = words.filter((word) => word.start >= from && word.end <= to);
          if (heard.length === 0) continue;
          const isCut = (words.at(-1) as SpokenWord).end > to;
          tokens.push(timestamp(heard[0].start));
          if (isCut && cut === "only start") break;
          tokens.push(...heard.map(({ token }) => token));
          if (isCut && cut === "leave open") break;
          tokens.push(timestamp((heard.at(-1) as SpokenWord).end));
        }
        return { tokens, stride: [length / 16000, left / 16000, right / 16000] };
      });
      const pieces = stitch(windows, T);
      expect(pieces.flatMap(({ tokens }) => tokens)).toEqual(
        sentences.flatMap(({ words }) => words.map(({ token }) => token)),
      );
    }),
  );
});
