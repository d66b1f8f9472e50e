/**
 * What becomes of a segment's words when a person edits its text: words that stayed keep their times, new ones share the
 * time of those they replaced. Joined, the words are the text again, as everywhere in sotto.
 */

import type { Segment, Word } from "../../../src/transcription/transcript.ts";

/** A person wrote it. */
const CERTAIN = 1;
/** Above this many words times words, a segment is compared from its ends only: a table of it would be megabytes. */
const MAX_TABLE = 1_000_000;

/** A segment with another text. The text's own spaces at its ends are replaced by the one space that segments begin with. */
export function editSegment(segment: Segment, text: string): Segment {
  const bare = text.replace(/\s+/g, " ").trim();
  const joined = bare === "" ? "" : ` ${bare}`;
  const { words, ...rest } = segment;
  return {
    ...rest,
    text: joined,
    tokens: [],
    ...(words !== undefined && { words: retimeWords(words, joined, segment) }),
  };
}

/**
 * The words of an edited text.
 *
 * @param text begins with a space, and has single ones between words
 * @param span where the words must lie if there is nothing to go by
 */
export function retimeWords(
  words: readonly Word[],
  text: string,
  span: { readonly start: number; readonly end: number },
): Word[] {
  const pieces = text.match(/\s*\S+/g) ?? [];
  const kept = commonWords(
    words.map(({ word }) => word.trim()),
    pieces.map((piece) => piece.trim()),
  );
  const out: Word[] = [];
  let oldAt = 0;
  let newAt = 0;
  for (const [oldIndex, newIndex] of [...kept, [words.length, pieces.length] as const]) {
    const replaced = words.slice(oldAt, oldIndex);
    const start = replaced[0]?.start ?? words[oldAt - 1]?.end ?? span.start;
    const end = Math.max(start, replaced.at(-1)?.end ?? words[oldIndex]?.start ?? span.end);
    out.push(...spread(pieces.slice(newAt, newIndex), start, end));
    if (oldIndex < words.length) out.push({ ...words[oldIndex], word: pieces[newIndex] });
    oldAt = oldIndex + 1;
    newAt = newIndex + 1;
  }
  return out;
}

/** New words over a stretch of time, each as long as it is written. */
function spread(pieces: readonly string[], start: number, end: number): Word[] {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  let at = 0;
  return pieces.map((word) => {
    const from = start + ((end - start) * at) / total;
    at += word.length;
    return { word, start: from, end: start + ((end - start) * at) / total, probability: CERTAIN };
  });
}

/** Pairs of indices of a longest common subsequence, increasing. */
function commonWords(before: readonly string[], after: readonly string[]): [number, number][] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail++;
  }
  const pairs: [number, number][] = [];
  for (let i = 0; i < head; i++) pairs.push([i, i]);
  const rows = before.length - head - tail;
  const columns = after.length - head - tail;
  if (rows > 0 && columns > 0 && rows * columns <= MAX_TABLE) {
    // length[i][j]: of the longest common subsequence of before[i..] and after[j..], within the middle.
    const width = columns + 1;
    const length = new Uint16Array((rows + 1) * width);
    for (let i = rows - 1; i >= 0; i--) {
      for (let j = columns - 1; j >= 0; j--) {
        length[i * width + j] =
          before[head + i] === after[head + j]
            ? length[(i + 1) * width + j + 1] + 1
            : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
      }
    }
    for (let i = 0, j = 0; i < rows && j < columns;) {
      if (before[head + i] === after[head + j]) pairs.push([head + i++, head + j++]);
      else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
      else j++;
    }
  }
  for (let i = tail; i > 0; i--) pairs.push([before.length - i, after.length - i]);
  return pairs;
}
