import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Word } from "../transcription/index.ts";
import { HypothesisBuffer } from "./hypothesis-buffer.ts";

/** Words "a b c", half a second each, the first at `start`. */
function words(text: string, start = 0, step = 0.5): Word[] {
  return text
    .split(" ")
    .filter(Boolean)
    .map((word, i) => ({ word: ` ${word}`, start: start + i * step, end: start + (i + 1) * step, probability: 1 }));
}

const text = (list: readonly Word[]): string => list.map(({ word }) => word.trim()).join(" ");

/** What each hypothesis of a row commits. */
function commits(...hypotheses: readonly Word[][]): string[] {
  const buffer = new HypothesisBuffer();
  return hypotheses.map((hypothesis) => {
    buffer.insert(hypothesis);
    return text(buffer.flush());
  });
}

describe("HypothesisBuffer", () => {
  it.each<[what: string, hypotheses: Word[][], committed: string[]]>([
    ["commits what two hypotheses begin with", [words("a b c"), words("a b d")], ["", "a b"]],
    ["commits nothing where the first word differs", [words("a b c"), words("x b c")], ["", ""]],
    ["compares with the last hypothesis, not an earlier one", [words("a"), words("x"), words("a")], ["", "", ""]],
    ["tells words by every letter", [words("the"), words("The")], ["", ""]],
    ["goes on after committed words", [words("a b"), words("a b c d"), words("a b c e")], ["", "a b", "c"]],
    ["takes an empty hypothesis", [words("a"), [], words("a")], ["", "", ""]],
    ["leaves out words before the committed end", [words("a b"), words("a b"), words("x y", 0.2)], ["", "a b", ""]],
  ])("%s", (_, hypotheses, committed) => {
    expect(commits(...hypotheses)).toEqual(committed);
  });

  it.each<[repeated: string]>([["e"], ["d e"], ["c d e"], ["b c d e"], ["a b c d e"]])(
    "drops %j where it repeats the committed end within a second",
    (repeated) => {
      const buffer = new HypothesisBuffer();
      for (let i = 0; i < 2; i++) {
        buffer.insert(words("a b c d e", 0, 0.2));
        buffer.flush();
      }
      buffer.insert(words(`${repeated} f g`, 1, 0.1));
      buffer.flush();
      expect(text(buffer.tentative)).toBe("f g");
    },
  );

  it("keeps a repetition that is further away, or longer than five words", () => {
    const buffer = new HypothesisBuffer();
    for (let i = 0; i < 2; i++) {
      buffer.insert(words("u v w x y z", 0, 0.1));
      buffer.flush();
    }
    buffer.insert(words("z again", 1.7));
    buffer.flush();
    expect(text(buffer.tentative)).toBe("z again");
    buffer.insert(words("u v w x y z new", 0.6));
    buffer.flush();
    expect(text(buffer.tentative)).toBe("u v w x y z new");
  });

  it("does not look for repetitions in words whose audio is dropped", () => {
    const buffer = new HypothesisBuffer();
    for (let i = 0; i < 2; i++) {
      buffer.insert(words("a b"));
      buffer.flush();
    }
    buffer.forget(1);
    buffer.insert(words("b c", 1));
    buffer.flush();
    expect(text(buffer.tentative)).toBe("b c");
  });

  it("commits the rest at the end", () => {
    const buffer = new HypothesisBuffer();
    buffer.insert(words("a b"));
    buffer.flush();
    expect(text(buffer.complete())).toBe("a b");
    expect(buffer.tentative).toEqual([]);
    expect(buffer.complete()).toEqual([]);
  });

  // Few words and times close together, so that hypotheses agree, overlap and repeat.
  const hypothesis = fc
    .array(fc.tuple(fc.constantFrom(" a", " b", " c"), fc.integer({ min: 0, max: 10 })), { maxLength: 8 })
    .map((parts): Word[] => {
      let at = 0;
      return parts.map(([word, gap]) => {
        const start = at + gap / 10;
        at = start + 0.2;
        return { word, start, end: at, probability: 1 };
      });
    });

  it("commits only what both of the last hypotheses begin with, in order of time", () => {
    fc.assert(
      fc.property(fc.array(hypothesis, { minLength: 1, maxLength: 12 }), (hypotheses) => {
        const buffer = new HypothesisBuffer();
        const all: Word[] = [];
        let before: readonly Word[] = [];
        for (const next of hypotheses) {
          buffer.insert(next);
          const committed = buffer.flush();
          expect(before.map(({ word }) => word).slice(0, committed.length)).toEqual(committed.map(({ word }) => word));
          const rest = [...committed, ...buffer.tentative].map(({ word }) => word);
          expect(next.map(({ word }) => word).slice(next.length - rest.length)).toEqual(rest);
          before = [...buffer.tentative];
          all.push(...committed);
        }
        for (let i = 1; i < all.length; i++) expect(all[i].start).toBeGreaterThanOrEqual(all[i - 1].end);
        for (const { start, end } of all) expect(end).toBeGreaterThanOrEqual(start);
      }),
    );
  });
});
