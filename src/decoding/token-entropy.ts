/** How much the end of a token sequence repeats itself, as whisper.cpp measures it where openai/whisper compresses the text. */
import type { SpecialTokens } from "../tokenizer/index.ts";
import type { Hypothesis } from "./result.ts";

/** Tokens at the end that are counted; a sequence of no more says too little. */
const COUNTED = 32;

/**
 * Entropy of the last 32 tokens in nats: 0 if they are all the same, ln 32 = 3.47 if no two are. Tokens after the last timestamp are left
 * out, as they belong to no segment; without timestamps all count, endoftext too.
 *
 * @returns null for 32 tokens or fewer, which the rule passes over
 * @see whisper.cpp src/whisper.cpp `whisper_sequence_score`, and `result_len` in `whisper_full_with_state`
 */
export function tokenEntropy(
  { tokens, stop }: Pick<Hypothesis, "tokens" | "stop">,
  { timestampBegin, eot }: Pick<SpecialTokens, "timestampBegin" | "eot">,
): number | null {
  const lastTimestamp = tokens.findLastIndex((token) => token > timestampBegin); // 0.00 ends nothing
  const counted = lastTimestamp >= 0 ? tokens.slice(0, lastTimestamp + 1) : stop === "eot" ? [...tokens, eot] : tokens;
  if (counted.length <= COUNTED) return null;
  const counts = new Map<number, number>();
  for (const token of counted.slice(-COUNTED)) counts.set(token, (counts.get(token) ?? 0) + 1);
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / COUNTED) * Math.log(count / COUNTED);
  return entropy;
}
