import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError, OptionError } from "../errors.ts";
import { toByteAlphabet } from "./byte-alphabet.ts";
import { LANGUAGES } from "./languages.ts";
import { specialTokens } from "./special-tokens.ts";
import { Tokenizer } from "./tokenizer.ts";

const read = (name: string): string => readFileSync(new URL(`../../models/nano/${name}`, import.meta.url), "utf8");
const tokenizerJson = read("tokenizer.json");
/** The multilingual vocabulary. */
const tokenizer = Tokenizer.fromFiles({ tokenizerJson }, 51865);
const { special } = tokenizer;

const text = fc.string({ unit: "binary", maxLength: 60 });
const textIds = fc.array(fc.integer({ min: 0, max: special.eot - 1 }), { maxLength: 30 });
const anyIds = fc.array(fc.integer({ min: 0, max: 52_000 }), { maxLength: 30 });

interface FakeToken {
  id: number;
  content: string;
  special?: boolean;
}

/** Tokens of these ids that never come up. */
function unused(from: number, to: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`unused${from + i}`, from + i]));
}

/** A tokenizer.json of the 128 ASCII characters, tokens that never come up, and the special tokens of an official vocabulary. */
function asciiOnly(nVocab: number, more: FakeToken[] = [], model: object = {}): string {
  const s = specialTokens(nVocab);
  const ascii = Array.from({ length: 128 }, (_, id): [string, number] => [toByteAlphabet(String.fromCharCode(id)), id]);
  // Lists "0" to "9" first, so not in the order of the ids.
  const vocab = { ...Object.fromEntries(ascii), ...unused(128, s.eot) };
  const added: FakeToken[] = [
    { id: s.eot, content: "<|endoftext|>" },
    { id: s.sot, content: "<|startoftranscript|>" },
    ...[...s.languages].map(([code, id]) => ({ id, content: `<|${code}|>` })),
    { id: s.translate, content: "<|translate|>" },
    { id: s.transcribe, content: "<|transcribe|>" },
    { id: s.sotLm, content: "<|startoflm|>" },
    { id: s.sotPrev, content: "<|startofprev|>" },
    { id: s.noSpeech, content: "<|nospeech|>" },
    { id: s.noTimestamps, content: "<|notimestamps|>" },
    ...more,
  ];
  return JSON.stringify({
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
    model: { type: "BPE", vocab, merges: [], ...model },
  });
}

const english = Tokenizer.fromFiles({ tokenizerJson: asciiOnly(51864) }, 51864);

describe("Tokenizer.encode()", () => {
  // The first is openai/whisper's own test (facts 6.3 T3); the others were made by tiktoken's algorithm in Python, with
  // the merge ranks of the same vocabulary and the `regex` package.
  it.each([
    [
      "다람쥐 헌 쳇바퀴에 타고파",
      [9835, 22855, 168, 98, 238, 13431, 234, 43517, 229, 47053, 169, 222, 19086, 19840, 1313, 17974],
    ],
    ["Hello, world!", [15947, 11, 1002, 0]],
    ["  two  spaces \n\n tabs\t", [220, 732, 220, 7673, 220, 198, 198, 20743, 197]],
    ["I'm we'll they've it's 'tis", [40, 478, 321, 603, 436, 600, 309, 311, 922, 83, 271]],
    ["1234567 3.14 ½ ²", [4762, 18, 8465, 22452, 805, 13, 7271, 32653, 1815, 110]],
    ["日本語のテキスト、です。", [27311, 31348, 2972, 22985, 15535, 40498, 1231, 4767, 1543]],
    ["Привет, мир! Ещё.", [43971, 31259, 11, 20536, 0, 6538, 12534, 13]],
    ["مرحبا بالعالم", [29973, 5016, 3555, 995, 20666, 3615, 45340]],
    ["नमस्ते दुनिया", [35082, 48521, 45938, 27099, 36158, 21981, 8485, 99, 8703, 223, 35082, 33279, 48268, 17937]],
    ["a    \uFEFF!", [64, 220, 220, 220, 25072, 119, 123, 0]],
    ["    \u0085a", [220, 220, 220, 220, 126, 227, 64]],
    ["", []],
  ])("encodes %j as openai/whisper does", (input, ids) => {
    expect(tokenizer.encode(input)).toEqual(ids);
  });

  it("reads special tokens in a text as the characters they are", () => {
    const ids = tokenizer.encode("<|endoftext|><|en|><|0.00|>");
    expect(ids.every((id) => id < special.eot)).toBe(true);
    expect(tokenizer.decode(ids)).toBe("<|endoftext|><|en|><|0.00|>");
  });

  it("gives the same ids from vocab.json and merges.txt", () => {
    const parts = Tokenizer.fromFiles({
      vocabJson: read("vocab.json"),
      mergesTxt: read("merges.txt"),
      addedTokensJson: read("added_tokens.json"),
    });
    expect(parts.special).toEqual(special);
    const sentence = "And so my fellow Americans, 다람쥐 헌 쳇바퀴에 타고파 — ¿qué?";
    expect(parts.encode(sentence)).toEqual(tokenizer.encode(sentence));
    expect(parts.decode(parts.encode(sentence))).toBe(sentence);
    expect(parts.idToToken(262)).toBe(tokenizer.idToToken(262));
  });

  it("needs the merges", () => {
    const withoutMerges = Tokenizer.fromFiles({ vocabJson: read("vocab.json") }, 51865);
    expect(withoutMerges.decode([15947, 11, 1002, 0])).toBe("Hello, world!");
    expect(() => withoutMerges.encode("Hello")).toThrow(CheckpointError);
    expect(() => withoutMerges.encode("Hello")).toThrow('"merges.txt"');
  });

  it("keeps the words that a fine-tuned model has added", () => {
    const json = asciiOnly(51865, [{ id: 51865, content: "naïve日", special: false }]);
    const tuned = Tokenizer.fromFiles({ tokenizerJson: json }, 51866);
    expect(tuned.encode("a naïve日!")).toEqual([97, 32, 51865, 33]);
    expect(tuned.decode([97, 32, 51865, 33])).toBe("a naïve日!");
  });
});

describe("Tokenizer.decode()", () => {
  it("undoes encode for every text", () => {
    fc.assert(
      fc.property(text, (input) => {
        expect(tokenizer.decode(tokenizer.encode(input))).toBe(input);
      }),
      { numRuns: 300 },
    );
  });

  it("joins characters that lie across tokens, and marks those that are not whole", () => {
    const ids = tokenizer.encode("다람쥐"); // the last character is three tokens
    expect(ids.length).toBeGreaterThan(3);
    expect(tokenizer.decode(ids)).toBe("다람쥐");
    expect(tokenizer.decode(ids.slice(0, -1))).toBe("다람\uFFFD");
    expect(tokenizer.decode(ids.slice(-1))).toBe("\uFFFD");
  });

  it.each([
    { options: {}, want: " He has grave doubts" },
    { options: { timestamps: true }, want: "<|0.00|> He has grave doubts<|6.24|>" },
    {
      options: { skipSpecialTokens: false },
      want: "<|startoftranscript|><|en|><|transcribe|> He has grave doubts<|endoftext|>",
    },
    {
      options: { skipSpecialTokens: false, timestamps: true },
      want: "<|startoftranscript|><|en|><|transcribe|><|0.00|> He has grave doubts<|6.24|><|endoftext|>",
    },
  ])("with $options gives $want (facts 6.10)", ({ options, want }) => {
    const ids = [50258, 50259, 50359, 50364, ...tokenizer.encode(" He has grave doubts"), 50676, 50257];
    expect(tokenizer.decode(ids, options)).toBe(want);
  });

  it("leaves out the context before startoftranscript with the special tokens (facts 6.6 H4, 6.10)", () => {
    const context = [50361, ...tokenizer.encode(" Mr. Quilter")];
    const ids = [...context, 50258, 50259, 50359, 50363, ...tokenizer.encode(" On the general"), 50257];
    expect(tokenizer.decode(ids)).toBe(" On the general");
    expect(tokenizer.decode(context)).toBe("");
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(
      "<|startofprev|> Mr. Quilter<|startoftranscript|><|en|><|transcribe|><|notimestamps|> On the general<|endoftext|>",
    );
  });

  it("drops ids that do not exist", () => {
    expect(tokenizer.decode([15947, 60_000, -1, 1.5, 0])).toBe("Hello!");
  });

  it("keeps a byte order mark", () => {
    expect(tokenizer.decode(tokenizer.encode("\uFEFFa"))).toBe("\uFEFFa");
  });

  it("finds tokens in a file that is not in the order of the ids", () => {
    const json = asciiOnly(51865, [], { vocab: { b: 1, a: 0, Ġ: 4, "\u0022": 3, ...unused(5, 50258) } });
    const shuffled = Tokenizer.fromFiles({ tokenizerJson: json });
    expect(shuffled.decode([1, 0, 4, 3])).toBe('ba "');
    expect(shuffled.tokenToId("Ġ")).toBe(4);
    expect(shuffled.idToToken(2)).toBeUndefined();
  });
});

describe("Tokenizer.decodeBytes()", () => {
  it("of joined sequences is their bytes joined", () => {
    fc.assert(
      fc.property(textIds, textIds, (a, b) => {
        const joined = [...tokenizer.decodeBytes(a), ...tokenizer.decodeBytes(b)];
        expect([...tokenizer.decodeBytes([...a, ...b])]).toEqual(joined);
      }),
    );
  });

  it("gives the bytes of a token inside a character", () => {
    expect([...tokenizer.decodeBytes([168, 98, 238])]).toEqual([0xec, 0xa5, 0x90]);
    expect([...tokenizer.decodeBytes([98])]).toEqual([0xa5]);
  });
});

describe("Tokenizer.decodeStream()", () => {
  it("gives what decode gives, in any pieces", () => {
    fc.assert(
      fc.property(fc.array(anyIds, { maxLength: 5 }), fc.boolean(), fc.boolean(), (pieces, timestamps, skip) => {
        const options = { timestamps, skipSpecialTokens: skip };
        const stream = tokenizer.decodeStream(options);
        const streamed = pieces.map((ids) => stream.write(ids)).join("") + stream.end();
        expect(streamed).toBe(tokenizer.decode(pieces.flat(), options));
      }),
    );
  });

  it("holds a character back until it is whole", () => {
    const stream = tokenizer.decodeStream();
    expect([stream.write([168]), stream.write([98]), stream.write([238]), stream.end()]).toEqual(["", "", "쥐", ""]);
    const cut = tokenizer.decodeStream();
    expect([cut.write([168, 98]), cut.end()]).toEqual(["", "\uFFFD"]);
  });
});

describe("Tokenizer.idToToken() and tokenToId()", () => {
  it.each([
    [0, "!"],
    [262, "Ġs"],
    [50257, "<|endoftext|>"],
    [50259, "<|en|>"],
    [50362, "<|nospeech|>"],
    [50364, "<|0.00|>"],
    [51864, "<|30.00|>"],
  ])("know %d as %s", (id, token) => {
    expect(tokenizer.idToToken(id)).toBe(token);
    expect(tokenizer.tokenToId(token)).toBe(id);
  });

  it("know timestamps that the files do not list", () => {
    expect(english.idToToken(50363 + 312)).toBe("<|6.24|>");
    expect(english.tokenToId("<|6.24|>")).toBe(50363 + 312);
    expect(english.decode([50363, 104, 105, 50364], { timestamps: true })).toBe("<|0.00|>hi<|0.02|>");
  });

  it.each(["<|0.01|>", "<|30.02|>", "<|xx|>", "no such token", "<|0.0|>", "__proto__"])("know no %s", (token) => {
    expect(tokenizer.tokenToId(token)).toBeUndefined();
    expect(english.tokenToId(token)).toBeUndefined();
  });

  it("are inverse for every id", () => {
    for (let id = 0; id < 51865; id++) {
      const token = tokenizer.idToToken(id);
      if (token === undefined || tokenizer.tokenToId(token) !== id) expect.fail(`id ${id}, token ${token}`);
    }
    expect(tokenizer.idToToken(51865)).toBeUndefined();
  });
});

describe("Tokenizer.sotSequence()", () => {
  it.each([
    [{ timestamps: false }, [50258, 50259, 50359, 50363]],
    [{ language: "af", timestamps: false }, [50258, 50327, 50359, 50363]],
    [{ language: "zh", task: "translate", timestamps: false }, [50258, 50260, 50358, 50363]],
    [{ language: "fr", timestamps: false }, [50258, 50265, 50359, 50363]],
    [{ language: "en", timestamps: true }, [50258, 50259, 50359]],
    [{ language: "<|de|>", task: "transcribe", timestamps: true }, [50258, 50261, 50359]],
    [{ language: "Castilian", timestamps: true }, [50258, 50262, 50359]],
  ] as const)("of %j is %j (facts 6.10)", (options, want) => {
    expect(tokenizer.sotSequence(options)).toEqual(want);
  });

  it("has neither language nor task in an English-only vocabulary (facts 0.9)", () => {
    expect(english.multilingual).toBe(false);
    expect(english.sotSequence({ timestamps: false })).toEqual([50257, 50362]);
    expect(english.sotSequence({ timestamps: true, task: "transcribe" })).toEqual([50257]);
  });

  it("shifts by one in large-v3's vocabulary (facts 8.16)", () => {
    const v3 = Tokenizer.fromFiles({ tokenizerJson: asciiOnly(51866) }, 51866);
    expect(v3.multilingual).toBe(true);
    expect(v3.sotSequence({ language: "yue", timestamps: false })).toEqual([50258, 50358, 50360, 50364]);
  });

  it("refuses tasks and languages that do not exist", () => {
    const task = "summarize" as "transcribe";
    expect(() => tokenizer.sotSequence({ task, timestamps: true })).toThrow(OptionError);
    expect(() => tokenizer.sotSequence({ task, timestamps: true })).toThrow(
      'Unknown task "summarize", expected one of transcribe, translate',
    );
    expect(() => tokenizer.sotSequence({ language: "xx", timestamps: true })).toThrow('Unknown language "xx"');
    expect(() => tokenizer.sotSequence({ language: "cantonese", timestamps: true })).toThrow(
      'The model has no token for language "cantonese", expected one of en, zh, de',
    );
  });
});

describe("Tokenizer.languageId(), languageOf() and isLanguageToken()", () => {
  it("agree for every language", () => {
    for (const [code, name] of LANGUAGES) {
      if (code === "yue") continue;
      const id = tokenizer.languageId(name);
      expect(id).toBe(tokenizer.tokenToId(`<|${code}|>`));
      expect(tokenizer.languageOf(id)).toBe(code);
      expect(tokenizer.isLanguageToken(id)).toBe(true);
      expect(id).toBeLessThan(special.timestampBegin);
    }
    expect(special.languages.size).toBe(99);
  });

  it.each([0, 50257, 50258, 50358, 50364, 60_000])("take %d for no language", (id) => {
    expect(tokenizer.isLanguageToken(id)).toBe(false);
    expect(tokenizer.languageOf(id)).toBeUndefined();
  });
});

describe("Tokenizer.timestampIndex()", () => {
  it.each([
    [50363, undefined],
    [50364, 0],
    [50414, 50],
    [51864, 1500],
    [51865, undefined],
  ])("of %d is %s", (id, index) => {
    expect(tokenizer.timestampIndex(id)).toBe(index);
  });
});

describe("Tokenizer.nonSpeechTokens", () => {
  it("is the multilingual list of facts 6.4", () => {
    expect(tokenizer.nonSpeechTokens.join(" ")).toBe(
      "1 2 7 8 9 10 14 25 26 27 28 29 31 58 59 60 61 62 63 90 91 92 93 359 503 522 542 873 893 902 918 922 931 1350 1853 " +
        "1982 2460 2627 3246 3253 3268 3536 3846 3961 4183 4667 6585 6647 7273 9061 9383 10428 10929 11938 12033 12331 " +
        "12562 13793 14157 14635 15265 15618 16553 16604 18362 18956 20075 21675 22520 26130 26161 26435 28279 29464 " +
        "31650 32302 32470 36865 42863 47425 49870 50254",
    );
  });

  it("is made of the vocabulary it is in", () => {
    const symbols = [...'"#()*+/:;<=>@[\\]^_`{|}~'].map((symbol) => symbol.charCodeAt(0));
    // 32, the space, is the first token of " -" and of " ♩".
    expect(english.nonSpeechTokens).toEqual([32, ...symbols]);
  });
});

describe("Tokenizer.fromFiles()", () => {
  it.each([
    ["no files", {}, '"tokenizer.json": the file is missing, and there is no vocab.json either'],
    ["text that is no JSON", { tokenizerJson: "<html>" }, 'found "<" at character 0, expected an object'],
    ["a truncated file", { tokenizerJson: tokenizerJson.slice(0, 1_000_000) }, "cannot be parsed"],
    ["a file truncated in its merges", { tokenizerJson: tokenizerJson.slice(0, -1000) }, "found the end"],
    ["more after the end", { tokenizerJson: `${asciiOnly(51865)}}` }, "found more after the end"],
    ["no vocabulary", { tokenizerJson: '{"model":{"type":"BPE"}}' }, '"model.vocab" is missing'],
    [
      "another kind of model",
      { tokenizerJson: '{"model":{"type":"Unigram","vocab":[]}}' },
      'is "Unigram", expected "BPE"',
    ],
    [
      "ids that are no numbers",
      { tokenizerJson: '{"model":{"vocab":{"a":"b"}}}' },
      "expected a key and a whole number",
    ],
    ["a damaged vocab.json", { vocabJson: '{"a":0,' }, '"vocab.json"'],
    ["damaged added tokens", { vocabJson: '{"a":0}', addedTokensJson: "{" }, '"added_tokens.json"'],
    [
      "a hostile id",
      { tokenizerJson: asciiOnly(51865, [{ id: 2 ** 40, content: "x" }]) },
      "needs a content and an id below",
    ],
    [
      "an added token without text",
      { tokenizerJson: '{"added_tokens":[{"id":3}],"model":{"vocab":{}}}' },
      "needs a content",
    ],
    [
      "a null among the added tokens",
      { tokenizerJson: '{"added_tokens":[null],"model":{"vocab":{}}}' },
      "needs a content",
    ],
    ["no special tokens", { vocabJson: '{"a":0}' }, '"<|startoftranscript|>" is missing'],
  ])("refuses %s", (_what, files, message) => {
    expect(() => Tokenizer.fromFiles(files)).toThrow(CheckpointError);
    expect(() => Tokenizer.fromFiles(files)).toThrow(message);
  });

  it.each([
    ["an empty vocabulary", { tokenizerJson: asciiOnly(51865, [], { vocab: {} }) }, 'field "model.vocab" has 0 tokens'],
    ["an empty vocab.json", { vocabJson: "{}" }, "the file has 0 tokens, expected the 50257 before endoftext\nHint: "],
    [
      "half a vocabulary",
      { tokenizerJson: asciiOnly(51865, [], { vocab: Object.fromEntries([["a", 0]]) }) },
      'field "model.vocab" has 1 tokens, expected the 50257 before endoftext',
    ],
  ])("refuses %s, which leaves text without characters", (_what, files, message) => {
    expect(() => Tokenizer.fromFiles(files, 51865)).toThrow(CheckpointError);
    expect(() => Tokenizer.fromFiles(files, 51865)).toThrow(message);
  });

  it("refuses the tokenizer of another model", () => {
    expect(() => Tokenizer.fromFiles({ tokenizerJson: asciiOnly(51866) }, 51865)).toThrow(
      "special tokens go up to id 51865",
    );
  });

  it("does without special tokens in the files if the size of the vocabulary is known", () => {
    const bare = Tokenizer.fromFiles({ vocabJson: read("vocab.json") }, 51865);
    expect(bare.special).toEqual(special);
    expect(bare.decode([50258, 50259, 15947, 50257])).toBe("Hello");
  });
});
