/**
 * A tokenizer without a vocabulary, for tests of what is done with tokens: text token n reads " wn". The special tokens
 * are those of the published checkpoints.
 */
import type { DecodingTokenizer } from "../../src/decoding/index.ts";
import { specialTokens } from "../../src/tokenizer/index.ts";

export function wordTokenizer(kind: "multilingual" | "english" = "multilingual"): DecodingTokenizer {
  const multilingual = kind === "multilingual";
  const special = specialTokens(multilingual ? 51865 : 51864);
  return {
    special,
    multilingual,
    nonSpeechTokens: [1, 2, 7],
    encode: (text) => (text === " " ? [220] : [...text.matchAll(/ w(\d+)/g)].map((match) => Number(match[1]))),
    decode: (ids) => [...ids].flatMap((id) => (id < special.eot ? [` w${id}`] : [])).join(""),
    sotSequence: ({ language, task, timestamps }) => [
      special.sot,
      ...(multilingual ? [special.languages.get(language ?? "en") as number, special[task ?? "transcribe"]] : []),
      ...(timestamps ? [] : [special.noTimestamps]),
    ],
  };
}

/** Token ids of a text with times: numbers are text tokens, `<4.5>` is a timestamp, `<de>` a language. */
export function tokensOf(text: string, { special }: DecodingTokenizer): number[] {
  return [...text.matchAll(/<(\d[\d.]*)>|<(\w+)>|(\d+)/g)].map(([, time, language, token]) => {
    if (time !== undefined) return special.timestampBegin + Math.round(Number(time) / 0.02);
    if (language !== undefined) return special.languages.get(language) as number;
    return Number(token);
  });
}
