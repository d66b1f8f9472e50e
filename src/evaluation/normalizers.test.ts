import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeBasic, normalizeEnglish, normalizeEnglishNumbers, normalizeEnglishSpelling } from "./index.ts";
import { AMERICAN_SPELLINGS } from "./spelling-table.ts";

describe("normalizeEnglishNumbers() and normalizeEnglish() on numbers (facts 6.3 T7)", () => {
  it.each([
    ["two", "2"],
    ["thirty one", "31"],
    ["five twenty four", "524"],
    ["nineteen ninety nine", "1999"],
    ["twenty nineteen", "2019"],
    ["two point five million", "2500000"],
    ["four point two billions", "4200000000s"],
    ["200 thousand", "200000"],
    ["200 thousand dollars", "$200000"],
    ["$20 million", "$20000000"],
    ["€52.4 million", "€52400000"],
    ["£77 thousands", "£77000s"],
    ["two double o eight", "2008"],
    ["three thousand twenty nine", "3029"],
    ["forty three thousand two hundred sixty", "43260"],
    ["forty three thousand two hundred and sixty", "43260"],
    ["nineteen fifties", "1950s"],
    ["thirty first", "31st"],
    ["thirty three thousand and three hundred and thirty third", "33333rd"],
    ["three billion", "3000000000"],
    ["millions", "1000000s"],
    ["july third twenty twenty", "july 3rd 2020"],
    ["august twenty sixth twenty twenty one", "august 26th 2021"],
    ["3 14", "3 14"],
    ["3.14", "3.14"],
    ["3 point 2", "3.2"],
    ["3 point 14", "3.14"],
    ["fourteen point 4", "14.4"],
    ["two point two five dollars", "$2.25"],
    ["two hundred million dollars", "$200000000"],
    ["$20.1 million", "$20100000"],
    ["ninety percent", "90%"],
    ["seventy six per cent", "76%"],
    ["double oh seven", "007"],
    ["double zero seven", "007"],
    ["nine one one", "911"],
    ["nine double one", "911"],
    ["one triple oh one", "10001"],
    ["two thousandth", "2000th"],
    ["thirty two thousandth", "32000th"],
    ["minus 500", "-500"],
    ["positive twenty thousand", "+20000"],
    ["two dollars and seventy cents", "$2.70"],
    ["3 cents", "¢3"],
    ["$0.36", "¢36"],
    ["three euros and sixty five cents", "€3.65"],
    ["three and a half million", "3500000"],
    ["forty eight and a half dollars", "$48.5"],
    ["b747", "b 747"],
    ["10 th", "10th"],
    ["10th", "10th"],
    ["one", "one"],
    ["ones", "ones"],
    ["two decillion", `2${"0".repeat(33)}`],
  ])("%s -> %s", (text, wanted) => {
    expect(normalizeEnglishNumbers(text)).toBe(wanted);
    expect(normalizeEnglish(text)).toBe(wanted);
  });

  it("reads digits of other scripts", () => {
    expect(normalizeEnglishNumbers("٣ thousand १२")).toBe("3000 12");
  });
});

describe("normalizeEnglish() on text (facts 6.3 T9, T10, 2.7.3)", () => {
  it.each([
    ["Let's", "let us"],
    ["he's like", "he is like"],
    ["she's been like", "she has been like"],
    ["10km", "10 km"],
    ["10mm", "10 mm"],
    ["RC232", "rc 232"],
    ["Mr. Park visited Assoc. Prof. Kim Jr.", "mister park visited associate professor kim junior"],
    ["I'm gonna pay $3.50 [laughs] (coughs) um, 100%!", "i am going to pay $3.50 100%"],
    ["Colour of the aeroplane, Dr. Smith's", "color of the airplane doctor smith is"],
    ["oh oh seven", "007"],
    ["1,234,567", "1234567"],
    ["U.S.A. e-mail", "u s a e mail"],
    ["$0.05", "¢5"],
    ["hundred and a half", "100.5"],
    ["mm hmm mhm", ""],
    // Odd, and kept (facts 2.7.3): "o" is a zero, and 1 is written "one" even after a point.
    ["3 o'clock", "30 clock"],
    ["five hundred thousand and twenty two point one", "500022 one"],
  ])("%s -> %s", (text, wanted) => expect(normalizeEnglish(text)).toBe(wanted));

  it("takes letters of all scripts for letters, where a word ends", () => {
    expect(normalizeEnglish("can't éum um")).toBe("can not eum");
  });
});

describe("normalizeEnglishSpelling() (facts 6.3 T8)", () => {
  it.each([
    ["mobilisation", "mobilization"],
    ["cancelation", "cancellation"],
    ["the grey  constructor", "the gray constructor"],
  ])("%s -> %s", (text, wanted) => expect(normalizeEnglishSpelling(text)).toBe(wanted));

  it("has the pairs of the checkpoints' normalizer.json that are single words", () => {
    const file = new URL("../../models/nano/normalizer.json", import.meta.url);
    const pairs = Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, string>);
    expect(pairs).toHaveLength(1739);
    expect([...AMERICAN_SPELLINGS]).toEqual(pairs.filter(([british]) => !british.includes(" ")));
  });
});

describe("normalizeBasic() (facts 2.7.1, 6.3 T10)", () => {
  it.each([
    ["Hola güey!", {}, "hola güey "],
    ["Ça va, très bien?", {}, "ça va très bien "],
    ["Ça va, très bien?", { removeDiacritics: true }, "ca va tres bien "],
    ["今日は、いい天気。", { splitLetters: true }, "今 日 は い い 天 気 "],
    ["[a] <b> (c) () d [e", {}, " d e"],
    ["Straße Øre Łódź", { removeDiacritics: true }, "strasse ore lodz"],
    ["ﬁn ＡＢ ½", {}, "fin ab 1 2"],
    ["a\u001cb\u0085c\ufeffd", {}, "a b c\ufeffd"], // white space as Python has it
  ])("%j %j -> %j", (text, options, wanted) => expect(normalizeBasic(text, options)).toBe(wanted));

  it("is at rest after one pass, up to its spaces", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const once = normalizeBasic(text);
        expect(normalizeBasic(once)).toBe(once);
      }),
    );
  });
});
