import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { normalizeBasic, normalizeEnglish, normalizeEnglishNumbers } from "../../../src/evaluation/index.ts";

interface Case {
  readonly text: string;
  readonly english: string;
  readonly numbers: string;
  readonly basic: string;
  readonly plain: string;
  /** Where the text is beyond ASCII. */
  readonly letters?: string;
}
const { cases } = JSON.parse(readFileSync(new URL("openai-normalizers.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

/** What the function makes of the texts, beside what OpenAI's makes of them. */
function compare(normalize: (text: string) => string, wanted: (one: Case) => string | undefined): void {
  const told = cases.filter((one) => wanted(one) !== undefined);
  expect(told.length).toBeGreaterThan(30);
  expect(told.map(({ text }) => [text, normalize(text)])).toEqual(told.map((one) => [one.text, wanted(one)]));
}

describe("the normalisers against openai/whisper's, on hundreds of texts", () => {
  it("normalizeEnglish() gives the same", () => compare(normalizeEnglish, ({ english }) => english));
  it("normalizeEnglishNumbers() gives the same", () => compare(normalizeEnglishNumbers, ({ numbers }) => numbers));
  it("normalizeBasic() gives the same", () => compare(normalizeBasic, ({ basic }) => basic));
  it("normalizeBasic() gives the same without diacritics", () =>
    compare(
      (text) => normalizeBasic(text, { removeDiacritics: true }),
      ({ plain }) => plain,
    ));
  it("normalizeBasic() gives the same with split letters", () =>
    compare(
      (text) => normalizeBasic(text, { splitLetters: true }),
      ({ letters }) => letters,
    ));
});
