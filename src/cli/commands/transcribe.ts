/** `sotto FILE...`: recordings in, text out. What the flags mean is read in options.ts; here is the order of the work. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { OptionError } from "../../errors.ts";
import { writeTranscript } from "../../outputs/index.ts";
import type { Transcript } from "../../transcription/index.ts";
import type { CliCommand } from "../command.ts";
import {
  type CliHost,
  type CliPipeline,
  type DownloadProgress,
  type StopSignal,
  stopExitCode,
  type TranscriptionSettings,
} from "../host.ts";
import { SegmentDisplay } from "../display.ts";
import { expandInputs, type InputItem } from "../inputs.ts";
import { addTranscribeFlags, BOOLEAN_FLAGS, DEFAULT_MODEL, formatsOf, readTranscribeFlags } from "../options.ts";
import type { TranscribeFlags } from "../options.ts";
import { outputStems, writeWholeFile } from "../output-files.ts";
import { clock, colours, openReport, type Report, speed } from "../report.ts";
import { systemReason } from "../system-reason.ts";

export const transcribe: CliCommand = {
  name: "transcribe",
  summary: "transcribe recordings; meant when no command is named",
  booleanFlags: BOOLEAN_FLAGS,
  configure(command: Command): void {
    command.argument("[file...]", 'audio or video files, folders, patterns, http(s) URLs; "-" is standard input');
    addTranscribeFlags(command);
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const words = command.args;
    const flags = await readTranscribeFlags(command);
    if (words.length === 0) {
      throw new OptionError("file", "Nothing to transcribe, expected files, folders, URLs or -", {
        hint: "sotto --help",
      });
    }
    const { items, failures } = await expandInputs(words, () => host.stdin);
    assertDestinationFits(flags, items);
    const report = await openReport(host, flags.quiet);
    for (const failure of failures) report.failure(failure);
    const run = new Run(flags, items, host, report);
    return run.run(failures.length);
  },
};

function assertDestinationFits({ destination }: TranscribeFlags, items: readonly InputItem[]): void {
  const single = destination.kind === "file" || (destination.kind === "stdout" && destination.format !== "txt");
  if (!single || items.length <= 1) return;
  const format = destination.format;
  throw new OptionError("output", `Cannot write ${items.length} recordings as one ${format}, expected one recording`, {
    hint: `--output_dir . --output_format ${format} writes a file for each`,
  });
}

/** What became of one recording. */
interface Outcome {
  readonly index: number;
  readonly transcript?: Transcript;
  readonly error?: Error;
}

/** One run over recordings: loads, transcribes, writes each as it is finished, and counts. */
class Run {
  readonly #flags: TranscribeFlags;
  readonly #items: readonly InputItem[];
  readonly #host: CliHost;
  readonly #report: Report;
  readonly #abort = new AbortController();
  /** Rejects when the run was to stop and work has not ended in time: native code cannot be interrupted. */
  readonly #deadline: Promise<never>;
  #startGrace: () => void = () => undefined;
  #busy = false;
  readonly #stems: readonly string[];
  #failed = 0;
  #done = 0;
  #stoppedBy: StopSignal | undefined;
  readonly #display: SegmentDisplay | undefined;

  constructor(flags: TranscribeFlags, items: readonly InputItem[], host: CliHost, report: Report) {
    this.#flags = flags;
    this.#items = items;
    this.#host = host;
    this.#report = report;
    const { destination } = flags;
    this.#deadline = new Promise((_resolve, reject) => {
      this.#startGrace = () => {
        setTimeout(() => {
          this.#busy = true;
          reject(this.#abort.signal.reason as Error);
        }, host.graceMs).unref();
      };
    });
    this.#deadline.catch(() => undefined);
    if (flags.display) {
      this.#display = new SegmentDisplay({
        names: items.map(({ name }) => name),
        times: flags.displayTimes,
        dim: colours(host.stdout).dim,
        write: (text) => report.result(text),
      });
    }
    this.#stems = destination.kind === "folder" ? outputStems(items, destination.path, destination.formats) : [];
  }

  /** @param missing inputs that failed before this run */
  async run(missing: number): Promise<number> {
    const removeStop = this.#host.onStop((signal) => {
      this.#stoppedBy = signal;
      this.#abort.abort();
      this.#startGrace();
      this.#report.clear();
      this.#report.note("stopping; once more ends it at once");
    });
    // With stdout gone, and nothing written elsewhere, nobody waits for the rest.
    const { outputClosed } = this.#host;
    const onClosed = (): void => {
      if (formatsOf(this.#flags.destination).length === 0 || this.#flags.destination.kind === "stdout") {
        this.#abort.abort();
      }
    };
    outputClosed.addEventListener("abort", onClosed);
    try {
      if (this.#items.length > 0) await this.#loadAndTranscribe();
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    } finally {
      this.#report.clear();
      outputClosed.removeEventListener("abort", onClosed);
      removeStop();
    }
    return this.#conclude(missing);
  }

  async #loadAndTranscribe(): Promise<void> {
    const { destination, model, modelGiven, pipeline: settings } = this.#flags;
    if (destination.kind === "folder") await makeFolder(destination.path);
    if (!modelGiven) {
      this.#report.note(
        `using ${DEFAULT_MODEL}, a small model for trying sotto; for real speech: --model turbo (sotto models lists them)`,
      );
    }
    const { signal } = this.#abort;
    const onProgress = (progress: DownloadProgress): void => this.#report.download(progress);
    const pipeline = await this.#wait(this.#host.createPipeline(model, { ...settings, signal, onProgress }));
    try {
      signal.throwIfAborted();
      this.#report.begin(this.#items.map(({ name }) => name));
      if (this.#items.length === 1) await this.#transcribeOne(pipeline);
      else await this.#transcribeMany(pipeline);
    } finally {
      this.#display?.flush();
      this.#report.clear();
      if (!this.#busy) await this.#wait(pipeline.dispose());
    }
  }

  async #wait<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#deadline]);
  }

  #settings(): TranscriptionSettings {
    const display = this.#display;
    return {
      ...this.#flags.transcription,
      signal: this.#abort.signal,
      onProgress: (progress, index = 0) => this.#report.progress(index, progress),
      ...(display !== undefined && { onSegment: (segment, index = 0) => display.segment(index, segment) }),
    };
  }

  async #transcribeOne(pipeline: CliPipeline): Promise<void> {
    const work = pipeline.transcribe(this.#items[0].source, this.#settings()).then(
      (transcript) => ({ transcript }),
      (error: Error) => ({ error }),
    );
    await this.#settle({ index: 0, ...(await this.#wait(work)) });
  }

  /** Several recordings share batches, and each is written as soon as it is finished. */
  async #transcribeMany(pipeline: CliPipeline): Promise<void> {
    const sources = this.#items.map(({ source }) => source);
    const results = pipeline.transcribeMany(sources, this.#settings())[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#wait(results.next());
        if (next.done === true) break;
        await this.#settle(next.value);
      }
    } finally {
      if (!this.#busy) await this.#wait(Promise.resolve(results.return?.()));
    }
  }

  async #settle({ index, transcript, error }: Outcome): Promise<void> {
    try {
      if (transcript === undefined) throw error ?? new Error("it gave no transcript");
      this.#display?.finish(index, transcript);
      await this.#finish(index, transcript);
    } catch (failure) {
      // A flag that the model refuses is refused for every recording; and what the stop broke off is no failure.
      const { signal } = this.#abort;
      if (failure instanceof OptionError || (signal.aborted && isAbort(failure, signal))) throw failure;
      this.#fail(index, failure);
    }
  }

  async #finish(index: number, transcript: Transcript): Promise<void> {
    const { destination } = this.#flags;
    const { name } = this.#items[index];
    for (const warning of transcript.warnings) this.#report.warning(`${name}: ${warning}`);
    const written: string[] = [];
    if (destination.kind === "stdout") {
      const text = writeTranscript(transcript, destination.format);
      this.#report.result(text.endsWith("\n") || text === "" ? text : `${text}\n`);
    } else if (destination.kind === "file") {
      await writeWholeFile(destination.path, writeTranscript(transcript, destination.format));
      written.push(destination.path);
    } else if (destination.kind === "folder") {
      for (const format of destination.formats) {
        const path = join(destination.path, `${this.#stems[index]}.${format}`);
        await writeWholeFile(path, writeTranscript(transcript, format));
        written.push(path);
      }
    }
    this.#done++;
    this.#report.finished(index);
    const figures = [`${clock(transcript.duration)} of audio`, await languageOf(transcript)];
    if (this.#items.length === 1) {
      const { elapsedMs } = this.#report;
      figures.push(`${(elapsedMs / 1000).toFixed(1)} s`, speed(transcript.duration, elapsedMs));
    }
    this.#report.note(`${name}: ${figures.join(", ")}${written.length > 0 ? ` -> ${written.join(", ")}` : ""}`);
  }

  #fail(index: number, error: unknown): void {
    this.#failed++;
    this.#report.finished(index);
    this.#display?.finish(index, null);
    const { name } = this.#items[index];
    const message = error instanceof Error ? error.message : String(error);
    this.#report.failure(message.includes(name) ? message : `${name}: ${message}`);
  }

  #conclude(missing: number): number {
    const failed = this.#failed + missing;
    const all = this.#items.length + missing;
    if (this.#stoppedBy !== undefined) {
      this.#report.failure(
        `interrupted; ${this.#done} of ${all} ${all === 1 ? "recording was" : "recordings were"} finished`,
      );
      if (this.#busy) this.#host.die(this.#stoppedBy);
      return stopExitCode(this.#stoppedBy);
    }
    if (failed > 0 && all > 1) this.#report.failure(`${failed} of ${all} recordings failed`);
    return failed > 0 ? 1 : 0;
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "EEXIST" ? "it is a file" : systemReason(error);
    throw new OptionError("output_dir", `Cannot use --output_dir "${path}": ${reason}`, { cause: error });
  }
}

async function languageOf({ language, languageProbability }: Transcript): Promise<string> {
  const { languageName } = await import("../../tokenizer/index.ts");
  const name = languageName(language);
  const titled = name.replace(/^./, (letter) => letter.toUpperCase());
  return languageProbability === null ? titled : `${titled} (detected, ${Math.round(languageProbability * 100)}%)`;
}

function isAbort(failure: unknown, { reason }: AbortSignal): boolean {
  return (
    failure === reason || (failure instanceof Error && (failure.name === "AbortError" || failure.cause === reason))
  );
}
