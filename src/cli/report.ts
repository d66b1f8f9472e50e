/**
 * What the command line says while it works: a bar that is drawn over on a terminal, plain lines now and then elsewhere, all of
 * it on stderr, so that stdout holds results alone.
 */

import type { SingleBar } from "cli-progress";
import pc from "picocolors";
import { InputError } from "../errors.ts";
import type { CliHost, CliOutput, DownloadProgress, ModelDownload, TranscriptionProgress } from "./host.ts";

/** Between two plain lines of progress: a log of an hour's work stays readable. */
const PLAIN_INTERVAL_MS = 10_000;
const BAR_WIDTH = 20;

/** Colours for an output: none unless it is a terminal that wants them (NO_COLOR and FORCE_COLOR are honoured). */
export function colours(output: CliOutput): ReturnType<typeof pc.createColors> {
  return pc.createColors(output.isTTY === true && pc.isColorSupported);
}

/** Whole seconds as `0:05`, `12:30`, `1:02:03`. */
export function clock(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const rest = `${String(Math.floor(total / 60) % 60)}:${String(total % 60).padStart(2, "0")}`;
  return total < 3600 ? rest : `${Math.floor(total / 3600)}:${rest.padStart(5, "0")}`;
}

/** Bytes as `72 MB`, with decimal units as the hub's pages have them. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : String(Math.round(value))} ${units[unit]}`;
}

/** How many seconds of audio a second of work took care of: `16.7x real time`. */
export function speed(audioSeconds: number, workMs: number): string {
  const ratio = audioSeconds / Math.max(workMs / 1000, 1e-3);
  return `${ratio < 100 ? ratio.toFixed(1) : String(Math.round(ratio))}x real time`;
}

/** What an error says to somebody at the command line. */
export function messageOf(error: unknown): string {
  if (error instanceof InputError) return error.messageFor("commandLine");
  return error instanceof Error ? error.message : String(error);
}

/** A message on one line, whatever it is made of: hints follow after a semicolon, control characters are left out. */
function oneLine(message: string): string {
  return message
    .replace(/\s*\n\s*(?:Hint: )?/g, "; ")
    .replace(/:; - |; - /g, (mark) => (mark.startsWith(":") ? ": " : "; "))

    .replace(/[\u0000-\u001f\u007f]/g, "");
}

/** The voice of one run on stderr, and the way to stdout that does not tear the bar. */
export class Report {
  readonly #host: CliHost;
  readonly #quiet: boolean;
  readonly #terminal: boolean;
  readonly #colour: ReturnType<typeof colours>;
  readonly #barClass: typeof SingleBar | undefined;
  #bar: SingleBar | undefined;
  #draw: (() => string) | undefined;
  #resume: NodeJS.Immediate | undefined;
  #lastPlain: number;
  /** The model that is being downloaded: its size, and the bytes there are of each of its files of weights. */
  #download: { readonly name: string; readonly total: number | null; readonly files: Map<string, number> } | undefined;
  #started = 0;
  #progress: { processed: number; total: number | null; done: boolean }[] = [];
  #names: readonly string[] = [];

  /** @param barClass what draws bars; without it there are none. Use `openReport`. */
  constructor(host: CliHost, quiet: boolean, barClass: typeof SingleBar | undefined) {
    this.#host = host;
    this.#barClass = barClass;
    this.#quiet = quiet;
    this.#terminal = host.stderr.isTTY === true;
    this.#colour = colours(host.stderr);
    this.#lastPlain = host.now();
  }

  /** Writes a result. */
  result(text: string): void {
    if (this.#host.outputClosed.aborted) return;
    this.#aside(() => this.#host.stdout.write(text));
  }

  /** Says something that may be left unsaid. */
  note(text: string): void {
    if (!this.#quiet) this.#line(this.#colour.dim(`sotto: ${oneLine(text)}`));
  }

  /** Says what the user should know about a result. */
  warning(text: string): void {
    if (!this.#quiet) this.#line(`sotto: ${this.#colour.yellow("warning:")} ${oneLine(text)}`);
  }

  /** Says what went wrong, on one line. Never quiet. */
  failure(error: unknown): void {
    this.#line(`sotto: ${this.#colour.red(oneLine(messageOf(error)))}`);
  }

  /** Says why nothing can be done at all, with what may help on lines of its own. */
  fatal(error: unknown): void {
    const [first, ...rest] = messageOf(error).split("\n");
    this.#line([`sotto: ${this.#colour.red(first)}`, ...rest].join("\n"));
  }

  /** What a model is loaded with, so that its download is shown: its name and size first, then how far it is. */
  get downloads(): {
    readonly onDownload: (download: ModelDownload) => void;
    readonly onProgress: (progress: DownloadProgress) => void;
  } {
    return {
      onDownload: (download) => this.#beginDownload(download),
      onProgress: (progress) => this.#showDownload(progress),
    };
  }

  #beginDownload({ repository, bytes, cacheDir }: ModelDownload): void {
    this.#download = { name: repository, total: bytes, files: new Map() };
    this.#lastPlain = this.#host.now();
    this.note(`downloading model ${repository}${bytes === null ? "" : `, ${size(bytes)}`}, to ${cacheDir}`);
  }

  #showDownload({ file, loaded }: DownloadProgress): void {
    const download = this.#download;
    if (this.#quiet || download === undefined || !file.endsWith(".safetensors")) return;
    download.files.set(file, loaded);
    const draw = (): string => {
      const { name, total, files } = download;
      const sum = [...files.values()].reduce((before, one) => before + one, 0);
      if (total === null || total === 0) return `${name}: ${size(sum)}`;
      const part = Math.min(1, sum / total);
      const figures = `${Math.floor(part * 100)}%, ${size(sum)} of ${size(total)}`;
      return this.#terminal ? `${name} ${bar(part)} ${figures}` : `${name}: ${figures}`;
    };
    if (this.#terminal) return this.#show(draw);
    const now = this.#host.now();
    if (now - this.#lastPlain < PLAIN_INTERVAL_MS) return;
    this.#lastPlain = now;
    this.#line(`sotto: ${draw()}`);
  }

  /** Begins counting the audio of these inputs. */
  begin(names: readonly string[]): void {
    this.#names = names;
    this.#progress = names.map(() => ({ processed: 0, total: null, done: false }));
    this.#started = this.#lastPlain = this.#host.now();
    this.clear();
    if (this.#terminal && !this.#quiet) this.#show(() => this.#summary());
  }

  /** Milliseconds since `begin`. */
  get elapsedMs(): number {
    return this.#host.now() - this.#started;
  }

  /** Takes note of how far an input is. */
  progress(index: number, { processedSeconds, totalSeconds }: TranscriptionProgress): void {
    const entry = this.#progress[index];
    entry.processed = processedSeconds;
    entry.total = totalSeconds;
    const now = this.#host.now();
    if (this.#terminal || this.#quiet || now - this.#lastPlain < PLAIN_INTERVAL_MS) return;
    this.#lastPlain = now;
    this.#line(`sotto: ${this.#summary()}`);
  }

  /** An input is finished, well or not. */
  finished(index: number): void {
    this.#progress[index].done = true;
  }

  /** Takes the bar away, leaving the terminal as it was. */
  clear(): void {
    this.#hide();
    this.#draw = undefined;
  }

  #summary(): string {
    const done = this.#progress.filter((entry) => entry.done).length;
    const processed = this.#progress.reduce((sum, entry) => sum + entry.processed, 0);
    const known = this.#progress.every(({ total }) => total !== null);
    const total = this.#progress.reduce((sum, entry) => sum + (entry.total ?? 0), 0);
    // Files that have not been opened yet have no length: each counts the same.
    const parts = this.#progress.map((entry) =>
      entry.done ? 1 : entry.total === null || entry.total === 0 ? 0 : Math.min(1, entry.processed / entry.total),
    );
    const part = parts.reduce((sum, one) => sum + one, 0) / Math.max(1, parts.length);
    const elapsed = this.elapsedMs;
    const label = this.#names.length === 1 ? this.#names[0] : `${done}/${this.#names.length} files`;
    const figures = [`${Math.floor(part * 100)}%`, known ? `${clock(processed)} of ${clock(total)}` : clock(processed)];
    if (processed > 0) figures.push(speed(processed, elapsed));
    if (part > 0 && part < 1) figures.push(`ETA ${clock(((elapsed / 1000) * (1 - part)) / part)}`);
    return this.#terminal
      ? `${shorten(label, 24)} ${bar(part)} ${figures.join("  ")}`
      : `${label}: ${figures.join(", ")}`;
  }

  #line(text: string): void {
    this.#aside(() => this.#host.stderr.write(`${text}\n`));
  }

  /** Writes with the bar out of the way, and puts it back when all that comes at once has been written. */
  #aside(write: () => void): void {
    this.#hide();
    write();
    if (this.#draw === undefined) return;
    this.#resume = setImmediate(() => {
      if (this.#draw !== undefined) this.#show(this.#draw);
    });
  }

  #hide(): void {
    clearImmediate(this.#resume);
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #show(draw: () => string): void {
    this.#draw = draw;
    if (this.#bar !== undefined || this.#barClass === undefined) return;
    this.#bar = new this.#barClass({
      stream: this.#host.stderr,
      format: (_options, params) => shorten(this.#draw?.() ?? "", params.maxWidth - 1),
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false, // signals are the command's
      fps: 5,
    });
    this.#bar.start(1, 0);
  }
}

/** Makes a report. The bar is loaded only where one can be drawn. */
export async function openReport(host: CliHost, quiet: boolean): Promise<Report> {
  const draws = host.stderr.isTTY === true && !quiet;
  return new Report(host, quiet, draws ? (await import("cli-progress")).default.SingleBar : undefined);
}

function bar(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR_WIDTH);
  return "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
}

function shorten(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
}

/**
 * Rows below a header, in columns.
 *
 * @param right columns of numbers, which end at one place
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  host: Pick<CliHost, "stdout">,
  right: readonly number[] = [],
): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return `${[colours(host.stdout).bold(line(header)), ...rows.map(line)].join("\n")}\n`;
}
