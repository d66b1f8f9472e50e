/** Live captions as segments, so that they can be read, searched and saved as any transcript. */

import type { Segment, Word } from "../../../src/transcription/transcript.ts";
import type { LiveWord } from "../api.ts";

/** A pause that begins a new segment, in seconds. */
const PAUSE = 1;
/** The longest segment, in seconds: two lines of a subtitle are read in some 7. */
const MAX_SECONDS = 8;

/** Words in their order as segments, cut at pauses, at the ends of sentences, and where one gets long. */
export function captionSegments(words: readonly LiveWord[]): Segment[] {
  const groups: Word[][] = [];
  for (const { text, start, end } of words) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    const word = { word: /^\s/.test(text) || isUnspaced(text) ? text : ` ${text}`, start, end, probability: 1 };
    const isNew =
      group === undefined ||
      last === undefined ||
      start - last.end >= PAUSE ||
      /[.!?。!?…]["'»”)]?$/.test(last.word) ||
      end - group[0].start > MAX_SECONDS;
    if (isNew) groups.push([word]);
    else group.push(word);
  }
  return groups.map((group, id) => ({
    id,
    start: group[0].start,
    end: group[group.length - 1].end,
    text: group.map(({ word }) => word).join(""),
    tokens: [],
    temperature: 0,
    avgLogprob: 0,
    compressionRatio: 1,
    noSpeechProb: 0,
    words: group,
  }));
}

/** Scripts that are written without spaces, and punctuation that clings to the word before it. */
function isUnspaced(text: string): boolean {
  return /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar},.!?;:、。!?]/u.test(
    text,
  );
}
