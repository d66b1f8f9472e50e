/**
 * LocalAgreement-2: a word is committed once two transcriptions in a row, of a growing buffer of audio, agree on it and on all
 * words before it. Of audio and models it knows nothing.
 *
 * After ufal/whisper_streaming's `HypothesisBuffer` (facts ecosystem 6.1), with one difference: committed words never lie
 * before each other, where the original lets times overlap by what alignment gets wrong.
 */
import type { Word } from "../transcription/index.ts";

/** How far before the end of the committed words a word may begin and still be new, in seconds. */
const SLACK = 0.1;
/** How near to the end of the committed words the first new one must begin to be looked at as a repetition, in seconds. */
const NEAR = 1;
/** Longest repetition that is looked for, in words. */
const MAX_REPEATED = 5;

export class HypothesisBuffer {
  /** Committed words that lie in the audio still kept. */
  #committed: Word[] = [];
  /** What of the last hypothesis is not committed. */
  #tentative: Word[] = [];
  #incoming: Word[] = [];
  #committedEnd: number;

  /** @param start seconds where the audio begins */
  constructor(start = 0) {
    this.#committedEnd = start;
  }

  /** Where the last committed word ends. */
  get committedEnd(): number {
    return this.#committedEnd;
  }

  /** What of the last hypothesis is not committed, in order. */
  get tentative(): readonly Word[] {
    return this.#tentative;
  }

  /**
   * Takes a new hypothesis. Words that lie before the end of the committed ones are left out, and so is a beginning of one to
   * five words that repeats the committed end.
   *
   * @param words in order, in seconds since the session began
   */
  insert(words: readonly Word[]): void {
    const incoming = words.filter(({ start }) => start > this.#committedEnd - SLACK);
    if (incoming.length > 0 && Math.abs(incoming[0].start - this.#committedEnd) < NEAR) {
      incoming.splice(0, repeated(this.#committed, incoming));
    }
    this.#incoming = incoming;
  }

  /** Commits what the last two hypotheses begin with, and gives it. */
  flush(): Word[] {
    const agreed: Word[] = [];
    while (
      agreed.length < Math.min(this.#incoming.length, this.#tentative.length) &&
      this.#incoming[agreed.length].word === this.#tentative[agreed.length].word
    ) {
      agreed.push(this.#incoming[agreed.length]);
    }
    this.#tentative = this.#incoming.slice(agreed.length);
    this.#incoming = [];
    return this.#commit(agreed);
  }

  /** Commits the rest of the last hypothesis, at the end of an utterance, and gives it. */
  complete(): Word[] {
    const rest = this.#tentative;
    this.#tentative = [];
    return this.#commit(rest);
  }

  /** Commits these words in place of what is not committed of the last hypothesis, and gives them. */
  append(words: readonly Word[]): Word[] {
    this.#incoming = [];
    this.#tentative = [];
    return this.#commit(words);
  }

  /** Forgets committed words that end by this time, because their audio is dropped. */
  forget(time: number): void {
    const kept = this.#committed.findIndex(({ end }) => end > time);
    this.#committed = kept < 0 ? [] : this.#committed.slice(kept);
  }

  #commit(words: readonly Word[]): Word[] {
    const committed = words.map((word) => {
      const start = Math.max(word.start, this.#committedEnd);
      this.#committedEnd = Math.max(start, word.end);
      return { ...word, start, end: this.#committedEnd };
    });
    this.#committed.push(...committed);
    return committed;
  }
}

/** How many words at the beginning of `incoming` are the last ones of `committed` once more; the fewest that fit. */
function repeated(committed: readonly Word[], incoming: readonly Word[]): number {
  const most = Math.min(committed.length, incoming.length, MAX_REPEATED);
  for (let n = 1; n <= most; n++) {
    const tail = committed.slice(-n);
    if (tail.every(({ word }, i) => word === incoming[i].word)) return n;
  }
  return 0;
}
