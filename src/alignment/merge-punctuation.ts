/** Punctuation belongs to the word it stands at. */
import { isAmong, strip } from "./python-text.ts";
import type { WordTiming } from "./word-times.ts";

/** Marks that belong to the word after them (facts 2.1). */
export const PREPEND_PUNCTUATIONS = "\"'“¿([{-";
/** Marks that belong to the word before them (facts 2.1). */
export const APPEND_PUNCTUATIONS = "\"'.。,，!！?？:：”)]}、";

/**
 * Joins punctuation to words: a mark of `prepended` with a space before it to the next word, a mark of `appended` to the
 * previous word, unless that ends in a space. The joined word has the times and the probability of the word alone.
 *
 * Whether a word is among the marks is decided as Python's `in` does for strings: a run of marks that stand side by side
 * in the list counts, and so does nothing at all, so that a lone space joins the next word (facts 2.5.6).
 *
 * @see openai/whisper timing.py `merge_punctuations` (v20250625)
 */
export function mergePunctuation(
  alignment: readonly WordTiming[],
  prepended: string = PREPEND_PUNCTUATIONS,
  appended: string = APPEND_PUNCTUATIONS,
): WordTiming[] {
  const forward: WordTiming[] = [];
  for (const word of alignment.toReversed()) {
    const following = forward.at(-1);
    const joins = following !== undefined && word.word.startsWith(" ") && isAmong(strip(word.word), prepended);
    if (joins) forward[forward.length - 1] = { ...following, ...joined(word, following) };
    else forward.push(word);
  }
  const merged: WordTiming[] = [];
  for (const word of forward.toReversed()) {
    const previous = merged.at(-1);
    const joins = previous !== undefined && !previous.word.endsWith(" ") && isAmong(word.word, appended);
    if (joins) merged[merged.length - 1] = { ...previous, ...joined(previous, word) };
    else merged.push(word);
  }
  return merged;
}

function joined(left: WordTiming, right: WordTiming): Pick<WordTiming, "word" | "tokens"> {
  return { word: left.word + right.word, tokens: [...left.tokens, ...right.tokens] };
}
