import { describe, expect, it } from "vitest";
import { tensor } from "../tensor/index.ts";
import { ScriptedEngine } from "../../test/helpers/scripted-engine.ts";
import { wordTokenizer } from "../../test/helpers/word-tokenizer.ts";
import { detectLanguage } from "./language.ts";

const mel = (batch: number) => tensor(new Float32Array(batch * 80 * 3000), [batch, 80, 3000]);

describe("detectLanguage()", () => {
  const tokenizer = wordTokenizer();

  it("answers for each window, with probabilities over the languages alone", async () => {
    const script = [
      { tokens: [], language: "de" },
      { tokens: [], language: "fr", noSpeechProb: 0.75 },
    ];
    const engine = new ScriptedEngine(script, tokenizer);
    const audio = await engine.encode(mel(2));
    const [german, french] = await detectLanguage(engine, audio, tokenizer);
    expect(german.language).toBe("de");
    expect(german.probability).toBeCloseTo(0.9, 5);
    expect(german.noSpeechProb).toBeCloseTo(0, 5);
    expect(french.language).toBe("fr");
    // Not 0.225: the no-speech token takes no part.
    expect(french.probability).toBeCloseTo(0.9, 5);
    expect(french.noSpeechProb).toBeCloseTo(0.75, 5);
    for (const { probabilities } of [german, french]) {
      expect(Object.keys(probabilities)).toEqual([...tokenizer.special.languages.keys()]);
      expect(Object.values(probabilities).reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    }
  });

  it("leaves nothing behind but the audio", async () => {
    const engine = new ScriptedEngine([{ tokens: [] }], tokenizer);
    const audio = await engine.encode(mel(1));
    await detectLanguage(engine, audio, tokenizer);
    expect(engine.alive).toBe(1);
  });

  it("takes the first of equally likely languages", async () => {
    const engine = new ScriptedEngine([{ tokens: [] }], tokenizer);
    const audio = await engine.encode(mel(1));
    engine.startDecoder = async () => ({
      state: { rows: 1, length: 1, dispose: () => {} },
      logits: await Promise.resolve(new Float32Array(51865)),
    });
    expect((await detectLanguage(engine, audio, tokenizer))[0].language).toBe("en");
  });

  it("knows the answer for an English-only checkpoint", async () => {
    const english = wordTokenizer("english");
    const engine = new ScriptedEngine([{ tokens: [], language: "fr", noSpeechProb: 0.25 }], english);
    const [{ noSpeechProb, ...rest }] = await detectLanguage(engine, await engine.encode(mel(1)), english);
    expect(rest).toEqual({ language: "en", probability: 1, probabilities: { en: 1 } });
    expect(noSpeechProb).toBeCloseTo(0.25, 5);
  });
});
