/**
 * Subtitles that can be read: two short lines, on screen long enough to read them and no longer, that end where sentences do, or
 * failing that where the speaker pauses. openai/whisper's own rules, which fill lines word by word, are in shape-words.ts.
 *
 * Of all ways to divide the words into cues, the one of least cost is taken (as TeX breaks lines): a greedy division gains nothing but
 * a last cue of one word.
 */
import type { Segment, Word } from "../transcription/index.ts";
import { strip } from "./python-space.ts";

/** Seconds a cue is on screen: shorter ones cannot be read, longer ones are read twice (the guides of the BBC and Netflix). */
const LEAST_SECONDS = 1;
const MOST_SECONDS = 7;
/** Characters of a line, and lines of a cue, where no limit is given. */
export const READABLE_LINE_WIDTH = 42;
export const READABLE_LINE_COUNT = 2;
/** What a line that ends within a clause costs, in squares of characters that it differs from an even share. */
const WITHIN_CLAUSE = 120;
/** A silence of so many seconds ends a cue in any case; one that can be heard is a good place to end one. */
const LONG_PAUSE = 1.5;
const PAUSE = 0.3;

/** What is paid for a cue, and for where it ends. */
const COST = {
  cue: 3,
  afterSentence: 0,
  afterSegment: 1,
  afterClause: 2,
  atPause: 2,
  withinClause: 8,
  /** For each sentence that ends within a cue, and more for one that is followed by a pause. */
  innerSentence: 1.5,
  innerPause: 3,
  /** For each second that a cue is too short to be read. */
  shortSecond: 12,
  oneWord: 3,
} as const;

const SENTENCE_END = /[.!?…。！？｡](?:["'”’»)\]」』】]*)$/u;
const CLAUSE_END = /[,;:،、，；：–—-](?:["'”’»)\]」』】]*)$/u;

export interface ReadableOptions {
  readonly maxLineWidth: number;
  readonly maxLineCount: number;
}

/** Words between two times. The first word of a line but the first has a line break in front of it; joined they are the text. */
export interface WordCue {
  readonly start: number;
  readonly end: number;
  readonly words: readonly Word[];
  /** Of all its words, where speakers are known. */
  readonly speaker?: string | undefined;
}

interface Item {
  readonly word: Word;
  /** Without white space; spaces before it count apart. */
  readonly text: string;
  readonly length: number;
  readonly spaced: boolean;
  readonly endsSegment: boolean;
  readonly speaker: string | undefined;
}

/**
 * Divides a transcript into cues.
 *
 * Every word is in one cue, in order. A cue has one speaker, at most `maxLineCount` lines of `maxLineWidth` characters, unless a single
 * word is longer, and lasts 1 to 7 s; less only where the next cue begins, or the audio ends. Segments without word times are divided as if
 * every character took the same time.
 *
 * @param duration of the audio, in seconds
 */
export function readableCues(segments: readonly Segment[], duration: number, options: ReadableOptions): WordCue[] {
  const items = itemsOf(segments, duration);
  const groups = divide(items, options);
  return groups.map(([from, to], i) => {
    const group = items.slice(from, to);
    const { speaker } = group[0];
    const { start } = group[0].word;
    const spoken = Math.max(start, group[group.length - 1].word.end);
    const next = i + 1 < groups.length ? items[groups[i + 1][0]].word.start : Math.max(duration, spoken);
    const readable = Math.max(spoken, Math.min(start + LEAST_SECONDS, Math.max(next, start)));
    const end = Math.min(readable, start + MOST_SECONDS, Math.max(start, next));
    return { start, end, words: inLines(group, options), ...(speaker !== undefined && { speaker }) };
  });
}

function itemsOf(segments: readonly Segment[], duration: number): Item[] {
  const items: Item[] = [];
  // Times of words may overlap a little; those of cues must not.
  let last = 0;
  for (const segment of segments) {
    if (segment.start < 0) throw new RangeError(`Cannot write a segment that starts at ${segment.start} s`);
    const words = segment.words === undefined ? wordsByLength(segment, duration) : segment.words;
    for (const [i, word] of words.entries()) {
      const text = strip(word.word).replace(/\s+/g, " ");
      const start = Math.max(last, word.start);
      const end = Math.max(start, word.end);
      last = start;
      if (text === "") continue;
      items.push({
        word: { ...word, start, end },
        text,
        length: codePoints(text),
        spaced: /^\s/.test(word.word) || i === 0,
        endsSegment: i === words.length - 1,
        speaker: segment.speaker,
      });
    }
  }
  return items;
}

/** The words of a text, or its characters where it has no spaces, as long as their share of it. */
function wordsByLength({ text, start, end: given }: Segment, duration: number): Word[] {
  const end = Math.max(start, Number.isFinite(given) ? given : duration);
  const parts = text.match(/\s*\S+/gu) ?? [];
  const pieces = parts.flatMap((part) => (isUnspaced(part) ? [...part] : [part]));
  const total = pieces.reduce((sum, piece) => sum + codePoints(piece), 0);
  let done = 0;
  const time = (): number => start + ((end - start) * done) / Math.max(1, total);
  return pieces.map((word) => {
    const from = time();
    done += codePoints(word);
    return { word, start: from, end: time(), probability: 0 };
  });
}

/** Whether a text is in a script that has no spaces between words: a long run of one would not fit a line. */
function isUnspaced(text: string): boolean {
  return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u.test(
    text,
  );
}

/** The cheapest division: [first, after the last] of each cue. */
function divide(items: readonly Item[], options: ReadableOptions): [from: number, to: number][] {
  const least = new Array<number>(items.length + 1).fill(Infinity);
  const begins = new Array<number>(items.length + 1).fill(0);
  least[0] = 0;
  for (let to = 1; to <= items.length; to++) {
    const ending = endCost(items, to - 1);
    for (let from = to - 1; from >= 0; from--) {
      // A single word is a cue, however long.
      if (to - from > 1 && !fits(items, from, to, options)) break;
      const cost = least[from] + COST.cue + ending + innerCost(items, from, to);
      if (cost < least[to]) [least[to], begins[to]] = [cost, from];
    }
  }
  const groups: [number, number][] = [];
  for (let to = items.length; to > 0; to = begins[to]) groups.unshift([begins[to], to]);
  return groups;
}

/** Monotonic: if it fails from one word, it fails from all before. */
function fits(items: readonly Item[], from: number, to: number, options: ReadableOptions): boolean {
  if (items[from].speaker !== items[from + 1].speaker) return false;
  if (pauseAfter(items, from) >= LONG_PAUSE) return false;
  if (items[to - 1].word.end - items[from].word.start > MOST_SECONDS) return false;
  return lineCount(items, from, to, options.maxLineWidth) <= options.maxLineCount;
}

/** Lines that words need at least. */
function lineCount(items: readonly Item[], from: number, to: number, width: number): number {
  let lines = 1;
  let length = items[from].length;
  for (let i = from + 1; i < to; i++) {
    const more = items[i].length + (items[i].spaced ? 1 : 0);
    if (length + more <= width) length += more;
    else [lines, length] = [lines + 1, items[i].length];
  }
  return lines;
}

function pauseAfter(items: readonly Item[], i: number): number {
  return i + 1 < items.length ? items[i + 1].word.start - items[i].word.end : Infinity;
}

/** What ending a cue after a word costs. */
function endCost(items: readonly Item[], i: number): number {
  const { text, endsSegment } = items[i];
  const isLast = i + 1 === items.length || items[i + 1].speaker !== items[i].speaker;
  if (isLast || SENTENCE_END.test(text)) return COST.afterSentence;
  const costs = [COST.withinClause as number];
  if (endsSegment) costs.push(COST.afterSegment);
  if (CLAUSE_END.test(text)) costs.push(COST.afterClause);
  if (pauseAfter(items, i) >= PAUSE) costs.push(COST.atPause);
  return Math.min(...costs);
}

function innerCost(items: readonly Item[], from: number, to: number): number {
  let cost = 0;
  for (let i = from; i < to - 1; i++) {
    if (SENTENCE_END.test(items[i].text))
      cost += COST.innerSentence + (pauseAfter(items, i) >= PAUSE ? COST.innerPause : 0);
  }
  const { start } = items[from].word;
  const next = to < items.length ? items[to].word.start : Infinity;
  const seconds = Math.max(items[to - 1].word.end - start, Math.min(LEAST_SECONDS, next - start));
  if (seconds < LEAST_SECONDS) cost += (LEAST_SECONDS - seconds) * COST.shortSecond;
  if (to - from === 1 && !SENTENCE_END.test(items[from].text)) cost += COST.oneWord;
  return cost;
}

/** Breaks a cue into as few lines as it needs, of lengths as even as can be; rather after a comma than elsewhere. */
function inLines(group: readonly Item[], { maxLineWidth }: ReadableOptions): Word[] {
  const lines = lineCount(group, 0, group.length, maxLineWidth);
  const total = group.reduce((sum, { length, spaced }, i) => sum + length + (spaced && i > 0 ? 1 : 0), 0);
  const aim = total / lines;
  // least[line][i]: cost of words before i in so many lines.
  const least = [new Array<number>(group.length + 1).fill(Infinity)];
  const begins: number[][] = [[]];
  least[0][0] = 0;
  for (let line = 1; line <= lines; line++) {
    least.push(new Array<number>(group.length + 1).fill(Infinity));
    begins.push(new Array<number>(group.length + 1).fill(0));
    for (let to = line; to <= group.length; to++) {
      let length = 0;
      for (let from = to - 1; from >= line - 1; from--) {
        length += group[from].length + (from + 1 < to && group[from + 1].spaced ? 1 : 0);
        if (length > maxLineWidth && to - from > 1) break;
        const atMark =
          to === group.length || SENTENCE_END.test(group[to - 1].text) || CLAUSE_END.test(group[to - 1].text);
        const cost = least[line - 1][from] + (length - aim) ** 2 + (atMark ? 0 : WITHIN_CLAUSE);
        if (cost < least[line][to]) [least[line][to], begins[line][to]] = [cost, from];
      }
    }
  }
  const firsts = new Set<number>();
  for (let line = lines, to = group.length; line > 0; line--) firsts.add((to = begins[line][to]));
  return group.map(({ word, text, spaced }, i) => {
    if (i === 0) return { ...word, word: text };
    if (firsts.has(i)) return { ...word, word: `\n${text}` };
    return { ...word, word: spaced ? ` ${text}` : text };
  });
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
