/** Tokens that write a number in figures, for transcripts that spell numbers out (WhisperX suppress_numerals, facts 4.3.5). */
import type { DecodingTokenizer } from "./options.ts";

/** Reading a whole vocabulary takes a while, and a transcription asks for every window. */
const known = new WeakMap<object, readonly number[]>();

/** Ids of text tokens with a digit, a percent sign, or the sign of dollar or pound. */
export function numeralTokens(tokenizer: Pick<DecodingTokenizer, "special" | "decode">): readonly number[] {
  let ids = known.get(tokenizer);
  if (ids === undefined) {
    ids = Array.from({ length: tokenizer.special.eot }, (_, id) => id).filter((id) =>
      /[0-9%$£]/.test(tokenizer.decode([id])),
    );
    known.set(tokenizer, ids);
  }
  return ids;
}
