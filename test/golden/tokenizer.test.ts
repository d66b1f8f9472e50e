/** Tokens that openai/whisper generated, decoded: the text must be the one it printed. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Tokenizer } from "../../src/tokenizer/index.ts";

interface Decoded {
  readonly tokens: readonly number[];
  readonly text: string;
}

interface Golden {
  readonly language: string;
  readonly logits_after_sot_language_transcribe: { readonly tokens: readonly number[] };
  readonly first_window_timestamps: Decoded;
  readonly first_window_text_only: Decoded;
  readonly first_window_beam5: Decoded;
  readonly transcribe: Record<string, { readonly result: { readonly text: string; readonly segments: readonly Decoded[] } }>;
}

const root = new URL("../../", import.meta.url);
const tokenizer = Tokenizer.fromFiles(
  { tokenizerJson: readFileSync(new URL("models/nano/tokenizer.json", root), "utf8") },
  51865,
);
const names = readdirSync(new URL("test/golden/nano/", root)).filter((file) => file.endsWith(".json"));

describe("goldens of the tokenizer", () => {
  it.each(names)("hold for %s", (name) => {
    const golden = JSON.parse(readFileSync(new URL(`test/golden/nano/${name}`, root), "utf8")) as Golden;
    for (const { tokens, text } of [
      golden.first_window_timestamps,
      golden.first_window_text_only,
      golden.first_window_beam5,
    ]) {
      expect(tokenizer.decode(tokens).trim()).toBe(text);
    }
    for (const { result } of Object.values(golden.transcribe)) {
      for (const { tokens, text } of result.segments) expect(tokenizer.decode(tokens)).toBe(text);
    }
    const start = tokenizer.sotSequence({ language: golden.language, timestamps: true });
    expect(start).toEqual(golden.logits_after_sot_language_transcribe.tokens);
  });
});
