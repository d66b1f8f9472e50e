/**
 * What `sotto live` prints. Text: committed words as they come, which stay; on a terminal what may still change stands dimmed
 * behind them, and is written over. JSON: each event on a line. SubRip: cues of what is committed.
 */
import type { LiveEvent } from "../../live/index.ts";
import { formatTimestamp } from "../../outputs/index.ts";
import type { Word } from "../../transcription/index.ts";
import type { CliOutput } from "../host.ts";
import { colours } from "../report.ts";

export const LIVE_FORMATS = ["text", "jsonl", "srt"] as const;
export type LiveFormat = (typeof LIVE_FORMATS)[number];

/** A cue of subtitles has at most so many characters, two lines, and seconds. */
const CUE_CHARACTERS = 84;
const CUE_SECONDS = 6;
const DEFAULT_COLUMNS = 80;
/** Scripts whose letters take two columns on a terminal. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/u;

export class LiveDisplay {
  readonly #format: LiveFormat;
  readonly #output: CliOutput;
  /** Columns of the current line that hold committed text. */
  #column = 0;
  #cues = 0;

  constructor(format: LiveFormat, output: CliOutput) {
    this.#format = format;
    this.#output = output;
  }

  show(event: LiveEvent): void {
    if (this.#format === "jsonl") this.#output.write(`${JSON.stringify(event)}\n`);
    else if (this.#format === "srt") {
      if (event.type === "final") for (const cue of cues(event.words)) this.#showCue(cue);
    } else if (event.type === "commit") this.#showCommitted(event.text);
    else if (event.type === "partial") this.#showPartial(event.text);
    else if (event.type === "final") this.#endLine();
  }

  /** Ends a line that an utterance has not ended. */
  end(): void {
    if (this.#format === "text") this.#endLine();
  }

  #showCommitted(text: string): void {
    const shown = printable(this.#column === 0 ? text.trimStart() : text);
    this.#output.write(`${this.#isTerminal ? "\x1b[K" : ""}${shown}`);
    this.#column += width(shown);
  }

  #showPartial(text: string): void {
    if (!this.#isTerminal) return;
    const columns = this.#output.columns ?? DEFAULT_COLUMNS;
    const room = columns - (this.#column % columns) - 1;
    const shown = cut(printable(this.#column === 0 ? text.trimStart() : text), room);
    const back = width(shown);
    this.#output.write(`\x1b[K${colours(this.#output).dim(shown)}${back > 0 ? `\x1b[${back}D` : ""}`);
  }

  #endLine(): void {
    if (this.#isTerminal) this.#output.write("\x1b[K");
    if (this.#column > 0) this.#output.write("\n");
    this.#column = 0;
  }

  #showCue(words: readonly Word[]): void {
    const time = (seconds: number): string =>
      formatTimestamp(seconds, { alwaysIncludeHours: true, decimalMarker: "," });
    const text = words
      .map(({ word }) => word)
      .join("")
      .trim()
      .replaceAll("-->", "->");
    const { end } = words[words.length - 1];
    this.#output.write(`${++this.#cues}\n${time(words[0].start)} --> ${time(end)}\n${text}\n\n`);
  }

  get #isTerminal(): boolean {
    return this.#output.isTTY === true;
  }
}

/** Words shared out among cues, in order. */
function cues(words: readonly Word[]): Word[][] {
  const found: Word[][] = [];
  for (const word of words) {
    const last = found.at(-1);
    const length = last?.reduce((sum, one) => sum + one.word.length, word.word.length) ?? 0;
    if (last === undefined || length > CUE_CHARACTERS || word.end - last[0].start > CUE_SECONDS) found.push([word]);
    else last.push(word);
  }
  return found;
}

/** Without what a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "");
}

function width(text: string): number {
  return [...text].reduce((sum, letter) => sum + (WIDE.test(letter) ? 2 : 1), 0);
}

function cut(text: string, columns: number): string {
  let shown = "";
  let used = 0;
  for (const letter of text) {
    used += width(letter);
    if (used > columns) break;
    shown += letter;
  }
  return shown;
}
