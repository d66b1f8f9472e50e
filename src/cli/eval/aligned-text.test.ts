import { describe, expect, it } from "vitest";
import { alignWords } from "../../evaluation/index.ts";
import { alignedText } from "./aligned-text.ts";

const plain = { substitution: String, deletion: String, insertion: String };
const lines = (reference: string, hypothesis: string, width = 100): string[] =>
  alignedText(alignWords(reference, hypothesis), width, plain);

describe("alignedText()", () => {
  it("shows three words around each change, and marks it", () => {
    expect(lines("a b c d e f old g h i j k l m n", "a b c d e f new g h i j k m n x")).toEqual([
      "REF: … d e f old g h i j k l m n *",
      "HYP: … d e f new g h i j k * m n x",
      "             S             D     I",
    ]);
  });

  it("has nothing to show of equals", () => expect(lines("a b", "a b")).toEqual([]));

  it("wraps at the width, and leaves out lines without a change", () => {
    const many = "alpha bravo charlie delta";
    expect(lines(`one ${many} ${many} two`, `eins ${many} ${many} zwei`, 30)).toEqual([
      "REF: one  alpha bravo charlie",
      "HYP: eins alpha bravo charlie",
      "     S",
      "REF: two",
      "HYP: zwei",
      "     S",
    ]);
  });

  it("counts East Asian letters as two columns and marks as none", () => {
    expect(lines("今 日 は", "今 は")).toEqual(["REF: 今 日 は", "HYP: 今 ** は", "        D"]);
    expect(lines("cafe\u0301 a", "cafe b")).toEqual(["REF: cafe\u0301 a", "HYP: cafe b", "     S    S"]);
  });

  it("paints what changed, and lets no control character through to the terminal", () => {
    const paint = {
      substitution: (text: string) => `s(${text})`,
      deletion: (text: string) => `d(${text})`,
      insertion: (text: string) => `i(${text})`,
    };
    expect(alignedText(alignWords("a bb x c y w", "a \u001b[2J x y w z"), 100, paint)).toEqual([
      "REF: a s(bb)  x d(c) y w *",
      "HYP: a s([2J) x * y w i(z)",
      "       S     D     I",
    ]);
  });
});
