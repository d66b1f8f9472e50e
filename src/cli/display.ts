/**
 * Segments on stdout while the work goes on, in the order of the inputs: what a later recording has ready before its turn
 * is kept back.
 */

import { formatTimestamp } from "../outputs/index.ts";
import type { Segment, Transcript } from "../transcription/index.ts";

/** What a display needs to know. */
export interface DisplayOptions {
  /** Of the inputs; with several of them each one's text stands below `==> name <==`, as `tail` has it. */
  readonly names: readonly string[];
  /** Write `[00:00.000 --> 00:02.500]` before each segment. */
  readonly times: boolean;
  readonly dim: (text: string) => string;
  readonly write: (text: string) => void;
}

/** Shows the segments of several recordings. */
export class SegmentDisplay {
  readonly #options: DisplayOptions;
  readonly #queues: { segments: Segment[]; shown: number; finished: boolean }[];
  #current = 0;

  constructor(options: DisplayOptions) {
    this.#options = options;
    this.#queues = options.names.map(() => ({ segments: [], shown: 0, finished: false }));
  }

  /** A segment of the recording is ready; those of one recording come in order. */
  segment(index: number, segment: Segment): void {
    this.#queues[index].segments.push(segment);
    this.#show();
  }

  /** Nothing more comes for the recording. Segments of its transcript that were not announced are shown too. */
  finish(index: number, transcript: Transcript | null): void {
    const queue = this.#queues[index];
    if (transcript !== null) queue.segments.push(...transcript.segments.slice(queue.segments.length));
    queue.finished = true;
    this.#show();
  }

  /** Shows what was kept back, when the work ends early: everything that is finished. */
  flush(): void {
    for (; this.#current < this.#queues.length; this.#current++) {
      if (this.#queues[this.#current].finished) this.#print(this.#current);
    }
  }

  #show(): void {
    for (; this.#current < this.#queues.length; this.#current++) {
      this.#print(this.#current);
      if (!this.#queues[this.#current].finished) return;
    }
  }

  #print(index: number): void {
    const { names, times, dim, write } = this.#options;
    const queue = this.#queues[index];
    for (; queue.shown < queue.segments.length; queue.shown++) {
      if (queue.shown === 0 && names.length > 1) write(`==> ${names[index]} <==\n`);
      const { start, end, text } = queue.segments[queue.shown];
      const line = text.trim();
      if (line === "") continue;
      write(times ? `${dim(`[${formatTimestamp(start)} --> ${formatTimestamp(end)}]`)} ${line}\n` : `${line}\n`);
    }
  }
}
