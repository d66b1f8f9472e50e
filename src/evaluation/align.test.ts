import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { align, type Alignment } from "./index.ts";

/** Few symbols, so that sequences have much in common; long enough for several blocks of 32. */
const sequence = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 150 });
const cost = ({ substitutions, deletions, insertions }: Alignment): number => substitutions + deletions + insertions;
const halving = { tableCells: 8, cells: 2 ** 36 };

/** Levenshtein's distance by its definition. */
function distance(a: readonly unknown[], b: readonly unknown[]): number {
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    above = row;
  }
  return above[b.length];
}

describe("align()", () => {
  // Kinds of edits, one letter an element.
  it.each([
    ["", "", ""],
    ["abc", "abc", "hhh"],
    ["", "ab", "ii"],
    ["ab", "", "dd"],
    ["abc", "axc", "hsh"],
    ["abc", "ac", "hdh"],
    ["ac", "abc", "hih"],
    ["abcd", "bcde", "dhhhi"],
    ["aab", "ab", "hdh"], // of two ways the first letters stay
    ["ab", "bc", "ss"], // two edits either way
    ["kitten", "sitting", "shhhshi"],
    ["sunday", "saturday", "hiihshhh"],
  ])("%j -> %j: %s", (reference, hypothesis, wanted) => {
    const { edits } = align([...reference], [...hypothesis]);
    const letters = edits.map(({ kind, reference: [r0, r1], hypothesis: [h0, h1] }) =>
      kind[0].repeat(Math.max(r1 - r0, h1 - h0)),
    );
    expect(letters.join("")).toBe(wanted);
  });

  it.each([
    ["a whole table", undefined],
    ["halves", halving],
  ])("finds the fewest edits, with %s", (_name, limits) => {
    fc.assert(
      fc.property(sequence, sequence, (a, b) => {
        expect(cost(align(a, b, limits))).toBe(distance(a, b));
      }),
    );
  });

  it.each([
    ["a whole table", undefined],
    ["halves", halving],
  ])("counts what its edits say, and they lead from one to the other, with %s", (_name, limits) => {
    fc.assert(
      fc.property(sequence, sequence, (a, b) => {
        const { hits, substitutions, deletions, insertions, edits } = align(a, b, limits);
        expect([hits + substitutions + deletions, hits + substitutions + insertions]).toEqual([a.length, b.length]);
        const made: number[] = [];
        let [atA, atB] = [0, 0];
        let before = "";
        for (const { kind, reference, hypothesis } of edits) {
          expect([reference[0], hypothesis[0]]).toEqual([atA, atB]); // no gap, no overlap
          expect(kind).not.toBe(before);
          [atA, atB, before] = [reference[1], hypothesis[1], kind];
          const [said, heard] = [a.slice(...reference), b.slice(...hypothesis)];
          if (kind === "hit") expect(heard).toEqual(said);
          if (kind === "substitution") expect(heard.some((one, i) => one === said[i])).toBe(false);
          if (kind === "deletion") expect(heard).toEqual([]);
          if (kind === "insertion") expect(said).toEqual([]);
          made.push(...(kind === "hit" ? said : heard));
        }
        expect([atA, atB]).toEqual([a.length, b.length]);
        expect(made).toEqual(b);
      }),
    );
  });

  it("is a metric: nothing between equals, the same both ways, no detour is shorter", () => {
    fc.assert(
      fc.property(sequence, sequence, sequence, (a, b, c) => {
        expect(align(a, a)).toMatchObject({ hits: a.length, substitutions: 0, deletions: 0, insertions: 0 });
        expect(cost(align(a, b))).toBe(cost(align(b, a)));
        expect(cost(align(a, c))).toBeLessThanOrEqual(cost(align(a, b)) + cost(align(b, c)));
      }),
    );
  });

  it("aligns 10,000 words with 10,000 others, of few and of many kinds", () => {
    const length = 10_000;
    for (const kinds of [7, length]) {
      const words = Array.from({ length }, (_, i) => `w${(i * 7919) % kinds}`);
      const heard = words.flatMap((word, i) => (i % 100 === 50 ? [] : i % 100 === 70 ? [word, "x"] : word));
      heard[0] = "y";
      heard[heard.length - 1] = "y";
      expect(align(words, heard)).toMatchObject({ hits: 9898, substitutions: 2, deletions: 100, insertions: 100 });
    }
  });

  it("refuses what would take hours", () => {
    const limits = { tableCells: 8, cells: 100 };
    const other = Array<string>(10).fill("b");
    expect(() => align(Array<string>(11).fill("a"), other, limits)).toThrow(
      /^Cannot align 11 with 10 elements, expected a product of at most 100\nHint: /,
    );
    expect(align(Array<string>(1000).fill("b"), [...other, ...Array<string>(990).fill("b")], limits).hits).toBe(1000);
  });
});
