/** Which language is spoken in a window, from one decoder step (openai/whisper decoding.py `detect_language`, facts 2.4.11). */
import type { AudioState, Engine } from "../engine/engine.ts";
import { noSpeechProbability } from "./scores.ts";
import type { DecodingTokenizer } from "./options.ts";

export interface LanguageDetection {
  /** Code of the likeliest language. */
  readonly language: string;
  /** Its probability among the languages. */
  readonly probability: number;
  /** Code -> probability, in the vocabulary's order; they sum to 1. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** Probability that the window holds no speech: of a silent window the languages say little. */
  readonly noSpeechProb: number;
}

/**
 * Detects the language of every window of an audio state. Only language tokens take part; the first one wins a tie.
 *
 * An English-only checkpoint has no language tokens to compare: it answers "en" with probability 1.
 *
 * @returns one answer a window, in order
 */
export async function detectLanguage(
  engine: Engine,
  audio: AudioState,
  tokenizer: Pick<DecodingTokenizer, "special" | "multilingual">,
): Promise<LanguageDetection[]> {
  const { special } = tokenizer;
  const rows = Array.from({ length: audio.batch }, (_, window) => ({ window, prompt: [special.sot] }));
  const { state, logits } = await engine.startDecoder(audio, rows);
  state.dispose();
  const { nVocab } = engine.dimensions;
  return rows.map((_, row) => {
    const rowLogits = logits.subarray(row * nVocab, (row + 1) * nVocab);
    const noSpeechProb = noSpeechProbability(rowLogits, special.noSpeech);
    return { ...(tokenizer.multilingual ? likeliest(rowLogits, special.languages) : ENGLISH), noSpeechProb };
  });
}

const ENGLISH = { language: "en", probability: 1, probabilities: { en: 1 } };

function likeliest(
  logits: Float32Array,
  languages: ReadonlyMap<string, number>,
): Omit<LanguageDetection, "noSpeechProb"> {
  let language = "";
  let largest = -Infinity;
  for (const [code, id] of languages) {
    if (logits[id] > largest || language === "") [language, largest] = [code, logits[id]];
  }
  let sum = 0;
  for (const id of languages.values()) sum += Math.exp(logits[id] - largest);
  const probabilities: Record<string, number> = {};
  for (const [code, id] of languages) probabilities[code] = Math.exp(logits[id] - largest) / sum;
  return { language, probability: probabilities[language], probabilities };
}
