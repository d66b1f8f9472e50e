/** A tokenizer for the toy vocabularies of toy-model.ts: text token n reads " wn", and there is one language, "en". */
import type { DecodingTokenizer } from "../../src/decoding/index.ts";
import { toyTokens, type ToyTokens } from "./toy-model.ts";

export function toyTokenizer(nVocab: number): DecodingTokenizer & { readonly tokens: ToyTokens } {
  const tokens = toyTokens(nVocab);
  const { eot, sot, language, transcribe, sotPrev, noSpeech, noTimestamps, timestampBegin } = tokens;
  const special = {
    ...{ eot, sot, transcribe, translate: transcribe, sotPrev, sotLm: sotPrev, noSpeech, noTimestamps, timestampBegin },
    languages: new Map([["en", language]]),
  };
  return {
    tokens,
    special,
    multilingual: true,
    nonSpeechTokens: [],
    encode: (text) => (text === " " ? [0] : [...text.matchAll(/w(\d+)/g)].map((match) => Number(match[1]))),
    decode: (ids) => [...ids].flatMap((id) => (id < eot ? [` w${id}`] : [])).join(""),
    sotSequence: ({ timestamps }) => [sot, language, transcribe, ...(timestamps ? [] : [noTimestamps])],
  };
}
