/**
 * What `sotto live` prints. Text: a line an utterance. On a terminal committed words come at once, with what may still change dimmed
 * behind them, and the utterance's final text is written over both; elsewhere, where nothing can be written over, the line comes
 * when the utterance has ended. JSON: each event on a line. SubRip: cues of final text.
 */
import type { CommitEvent, LiveEvent } from "../../live/index.ts";
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
/** Audio that the model hears at once, in seconds. */
const WINDOW_SECONDS = 30;
/** Scripts whose letters take two columns on a terminal. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/u;

export class LiveDisplay {
  readonly #format: LiveFormat;
  readonly #output: CliOutput;
  readonly #toJson: (event: LiveEvent) => object;
  /** Columns of the current line that hold committed text. */
  #column = 0;
  /** Committed text of the utterance under way. */
  #committed = "";
  /** Where its first committed word begins. */
  #committedFrom = 0;
  #cues = 0;

  /** @param toJson an event as `jsonl` has it: `eventObject` of the live core, which is not loaded for the sake of help */
  constructor(format: LiveFormat, output: CliOutput, toJson: (event: LiveEvent) => object) {
    this.#format = format;
    this.#output = output;
    this.#toJson = toJson;
  }

  show(event: LiveEvent): void {
    if (this.#format === "jsonl") this.#output.write(`${JSON.stringify(this.#toJson(event))}\n`);
    else if (this.#format === "srt") {
      if (event.type === "final") for (const cue of cues(event.words)) this.#showCue(cue);
    } else if (event.type === "commit") this.#commit(event);
    else if (event.type === "partial") this.#showPartial(event.text);
    else if (event.type === "final") {
      this.#showFinal(event.text);
      this.#endLine();
    }
  }

  /** Ends a line that an utterance has not ended. */
  end(): void {
    if (this.#format !== "text") return;
    if (this.#column === 0 && this.#committed !== "") this.#write(this.#committed);
    this.#endLine();
  }

  #commit({ text, words }: CommitEvent): void {
    if (this.#committed === "") this.#committedFrom = words[0].start;
    this.#committed += text;
    if (this.#isTerminal || this.#column > 0) this.#write(text);
    // The final text of an utterance this long is what was committed: no need to wait for it.
    else if (words[words.length - 1].end - this.#committedFrom > WINDOW_SECONDS) this.#write(this.#committed);
  }

  #showFinal(text: string): void {
    if (this.#column === 0) this.#write(text);
    else if (this.#isTerminal && text !== this.#committed.trim()) {
      const rows = Math.floor((this.#column - 1) / this.#columns);
      this.#output.write(`\r${rows > 0 ? `\x1b[${rows}A` : ""}\x1b[J`);
      this.#column = 0;
      this.#write(text);
    }
  }

  #write(text: string): void {
    const shown = printable(this.#column === 0 ? text.trimStart() : text);
    this.#output.write(`${this.#isTerminal ? "\x1b[K" : ""}${shown}`);
    this.#column += width(shown);
  }

  #showPartial(text: string): void {
    const columns = this.#columns;
    // In the last column a cursor may stand on either of two rows.
    if (!this.#isTerminal || (this.#column > 0 && this.#column % columns === 0)) return;
    const room = columns - (this.#column % columns) - 1;
    const shown = cut(printable(this.#column === 0 ? text.trimStart() : text), room);
    const back = width(shown);
    this.#output.write(`\x1b[K${colours(this.#output).dim(shown)}${back > 0 ? `\x1b[${back}D` : ""}`);
  }

  #endLine(): void {
    if (this.#isTerminal) this.#output.write("\x1b[K");
    if (this.#column > 0) this.#output.write("\n");
    this.#column = 0;
    this.#committed = "";
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

  get #columns(): number {
    return this.#output.columns ?? DEFAULT_COLUMNS;
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
