/**
 * Segments that reach across speech which is none of their words. The model ends a segment at the end of the window though it has written only the
 * first sentence of it: what it passed over is to be decoded anew.
 */
import type { WordTiming } from "../../alignment/index.ts";
import { indexOfText, speechWithin, type Stretch } from "./split-at-pauses.ts";
import type { TimedText } from "./window-text.ts";

/** So much speech without a word, in seconds, is no hesitation. */
const LEAST_HOLE = 3;
/** No word is longer: alignment lets the last one before a hole last as long as that. */
const LONGEST_WORD = 1;
/** Slower than the slowest talk: letters a second, and those of scripts that write a syllable or a word with one. */
const LETTERS_PER_SECOND = 8;
const SYLLABLES_PER_SECOND = 2.5;

/** Whether a segment may have a hole: it has too little text for its speech. What looks so is to be aligned, as only words tell. */
export function isSparse(segment: Stretch, text: string, speech: readonly Stretch[]): boolean {
  const syllables =
    text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu)?.length ?? 0;
  const letters = (text.match(/[\p{L}\p{N}]/gu)?.length ?? 0) - syllables;
  const seconds = letters / LETTERS_PER_SECOND + syllables / SYLLABLES_PER_SECOND;
  return speechWithin(speech, segment.start, segment.end) - seconds >= LEAST_HOLE;
}

/**
 * Cuts holes out of segments.
 *
 * @param segments in seconds of the window, in order
 * @param words of all text tokens of the segments, in seconds of the window
 * @param speech in seconds of the window
 */
export function withoutHoles(
  segments: readonly TimedText[],
  words: readonly WordTiming[],
  speech: readonly Stretch[],
  eot: number,
): TimedText[] {
  const left: TimedText[] = [];
  let [word, at] = [0, 0];
  for (const segment of segments) {
    const first = at;
    const end = first + segment.tokens.filter((token) => token < eot).length;
    let rest = segment;
    let heard = segment.start;
    for (let from = first; word < words.length && at < end; word++) {
      const { start, tokens } = words[word];
      if (speechWithin(speech, heard, start) >= LEAST_HOLE) {
        const cut = indexOfText(rest.tokens, at - from, eot);
        if (at > from) left.push({ start: rest.start, end: heard, tokens: rest.tokens.slice(0, cut) });
        rest = { start, end: segment.end, tokens: at > from ? rest.tokens.slice(cut) : rest.tokens };
        from = at;
      }
      heard = Math.max(heard, Math.min(words[word].end, start + LONGEST_WORD));
      at += tokens.length;
    }
    const isOpen = speechWithin(speech, heard, segment.end) >= LEAST_HOLE;
    left.push(isOpen ? { ...rest, end: heard } : rest);
  }
  return left;
}
