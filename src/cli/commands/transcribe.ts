/** `sotto FILE...`: recordings in, text out. What the flags mean is read in options.ts; here is the order of the work. */

import { join } from "node:path";
import type { Command } from "commander";
import { OptionError, quote } from "../../errors.ts";
import { formatExtension, type OutputFormat, type RunDetails, writeTranscript } from "../../outputs/index.ts";
import type { Coverage, Transcript } from "../../transcription/index.ts";
import type { CliCommand } from "../command.ts";
import type { CliHost, CliPipeline, TranscriptionSettings } from "../host.ts";
import { SegmentDisplay } from "../display.ts";
import { expandInputs, isUrl, type InputItem } from "../inputs.ts";
import { addTranscribeFlags, BOOLEAN_FLAGS, readTranscribeFlags } from "../options.ts";
import type { TranscribeFlags } from "../options.ts";
import { assertWritable, outputStems, writeWholeFile } from "../output-files.ts";
import { addModelFiles, ProtectedFiles } from "../protected-files.ts";
import { clock, colours, messageOf, openReport, type Report, speed } from "../report.ts";
import { Stopping } from "../stopping.ts";
import { systemReason } from "../system-reason.ts";

export const transcribe: CliCommand = {
  name: "transcribe",
  summary: "transcribe recordings (the default command)",
  booleanFlags: BOOLEAN_FLAGS,
  configure(command: Command): void {
    command.argument("[file...]", 'audio or video files, folders, patterns or http(s) URLs; "-" is standard input');
    addTranscribeFlags(command);
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const words = command.args;
    const flags = await readTranscribeFlags(command);
    if (words.length === 0) {
      throw new OptionError("file", "Nothing to transcribe, expected files, folders, URLs or -", {
        hint: "see sotto --help",
      });
    }
    const { items, failures, repeated } = await expandInputs(words, () => host.stdin);
    assertDestinationFits(flags, items);
    const files = await protect(flags, items, host);
    const stems = await chooseOutputs(flags, items, files);
    const report = await openReport(host, flags.quiet);
    for (const warning of flags.warnings) report.warning(warning);
    if (repeated.length > 0) {
      const which = repeated.length === 1 ? `${quote(repeated[0])} was` : `${repeated.length} recordings were`;
      report.warning(`${which} named more than once, and ${repeated.length === 1 ? "is" : "are"} transcribed once`);
    }
    for (const failure of failures) report.failure(failure);
    const run = new Run(flags, items, stems, host, report);
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

/** Whatever this run must not write over. */
async function protect(flags: TranscribeFlags, items: readonly InputItem[], host: CliHost): Promise<ProtectedFiles> {
  const files = new ProtectedFiles();
  for (const { path, source } of items) {
    if (path !== null) files.add(path, RECORDING);
    const { fd } = source as { readonly fd?: number };
    if (fd !== undefined) files.addDescriptor(fd, `${RECORDING}, on standard input`);
  }
  files.assertStdoutMayBeWritten(host);
  if (flags.destination.kind === "file" || flags.destination.kind === "folder") {
    await addModelFiles(files, flags.model, flags.pipeline.cacheDir);
  }
  return files;
}

const RECORDING = "the recording itself";

/**
 * The stems of the output files, where there is one of each recording.
 *
 * @throws {OptionError} if a file that was named must not be written over, or cannot be written
 */
async function chooseOutputs(
  { destination }: TranscribeFlags,
  items: readonly InputItem[],
  files: ProtectedFiles,
): Promise<readonly string[]> {
  if (destination.kind === "file") {
    files.assertMayWrite("output", destination.path);
    await assertWritable("output", destination.path);
  }
  if (destination.kind !== "folder") return [];
  const { path, formats } = destination;
  files.assertMayWriteInto("output_dir", path);
  return outputStems(items, path, formats.map(formatExtension), (one) => files.roleOf(one) !== undefined);
}

/** What became of one recording. */
interface Outcome {
  readonly index: number;
  readonly transcript?: Transcript | undefined;
  readonly error?: Error | undefined;
}

/** One run over recordings: loads, transcribes, writes each as it is finished, and counts. */
class Run {
  readonly #flags: TranscribeFlags;
  readonly #items: readonly InputItem[];
  readonly #host: CliHost;
  readonly #report: Report;
  readonly #stopping: Stopping;
  readonly #stems: readonly string[];
  #failed = 0;
  #done = 0;
  #details: RunDetails = {};
  /** Part of each transcript's, and said once. */
  #modelWarnings: readonly string[] = [];
  readonly #display: SegmentDisplay | undefined;

  constructor(
    flags: TranscribeFlags,
    items: readonly InputItem[],
    stems: readonly string[],
    host: CliHost,
    report: Report,
  ) {
    this.#flags = flags;
    this.#items = items;
    this.#host = host;
    this.#report = report;
    this.#stopping = new Stopping(host, report);
    if (flags.display) {
      this.#display = new SegmentDisplay({
        names: items.map(({ name }) => name),
        times: flags.displayTimes,
        dim: colours(host.stdout).dim,
        write: (text) => report.result(text),
      });
    }
    this.#stems = stems;
  }

  /** @param missing inputs that failed before this run */
  async run(missing: number): Promise<number> {
    const { kind } = this.#flags.destination;
    await this.#stopping.during(
      async () => {
        if (this.#items.length > 0) await this.#loadAndTranscribe();
      },
      { needsOutput: kind === "display" || kind === "stdout" },
    );
    return this.#conclude(missing);
  }

  async #loadAndTranscribe(): Promise<void> {
    const { destination, model, pipeline: settings } = this.#flags;
    if (destination.kind === "folder") await makeOutputFolder(destination.path);
    for (const note of this.#flags.notes) this.#report.note(note);
    const { signal } = this.#stopping;
    const pipeline = await this.#stopping.wait(
      this.#host.createPipeline(model, { ...settings, ...this.#report.downloads, signal }),
    );
    this.#modelWarnings = pipeline.warnings ?? [];
    for (const warning of this.#modelWarnings) this.#report.warning(warning);
    this.#details = this.#detailsOf(pipeline);
    try {
      signal.throwIfAborted();
      this.#report.begin(this.#items.map(({ name }) => name));
      if (this.#items.length === 1) await this.#transcribeOne(pipeline);
      else await this.#transcribeMany(pipeline);
    } finally {
      this.#display?.flush();
      this.#report.clear();
      await this.#stopping.release(() => pipeline.dispose());
    }
  }

  #detailsOf({ engine, dtype, tokenizer }: CliPipeline): RunDetails {
    return {
      model: this.#flags.model,
      task: this.#flags.transcription.task,
      dimensions: engine?.dimensions,
      dtype,
      decode: tokenizer && ((ids) => tokenizer.decode(ids, { skipSpecialTokens: false, timestamps: true })),
    };
  }

  #settings(): TranscriptionSettings {
    const display = this.#display;
    return {
      ...this.#flags.transcription,
      // Whoever types a URL may go where the proxy lets them.
      ...(this.#items.some(({ source }) => isUrl(source)) && { proxyLookup: true }),
      signal: this.#stopping.signal,
      onProgress: (progress, index = 0) => this.#report.progress(index, progress),
      ...(display !== undefined && { onSegment: (segment, index = 0) => display.segment(index, segment) }),
    };
  }

  async #transcribeOne(pipeline: CliPipeline): Promise<void> {
    const work = pipeline.transcribe(this.#items[0].source, this.#settings()).then(
      (transcript) => ({ transcript }),
      (error: Error) => ({ error }),
    );
    await this.#settle({ index: 0, ...(await this.#stopping.wait(work)) });
  }

  /** Several recordings share batches, and each is written as soon as it is finished. */
  async #transcribeMany(pipeline: CliPipeline): Promise<void> {
    const sources = this.#items.map(({ source }) => source);
    const results = pipeline.transcribeMany(sources, this.#settings())[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#stopping.wait(results.next());
        if (next.done === true) break;
        await this.#settle(next.value);
      }
    } finally {
      await this.#stopping.release(() => results.return?.());
    }
  }

  async #settle({ index, transcript, error }: Outcome): Promise<void> {
    try {
      if (transcript === undefined) throw error ?? new Error("it gave no transcript");
      this.#display?.finish(index, transcript);
      await this.#finish(index, transcript);
    } catch (failure) {
      // A flag that the model refuses is refused for every recording; and what the stop broke off is no failure.
      if (failure instanceof OptionError || this.#stopping.brokeOff(failure)) throw failure;
      this.#fail(index, failure);
    }
  }

  async #finish(index: number, transcript: Transcript): Promise<void> {
    const { destination } = this.#flags;
    const { name } = this.#items[index];
    for (const warning of transcript.warnings) {
      if (!this.#modelWarnings.includes(warning)) this.#report.warning(`${name}: ${warning}`);
    }
    const written: string[] = [];
    if (destination.kind === "stdout") {
      const text = this.#written(transcript, destination.format);
      this.#report.result(text.endsWith("\n") || text === "" ? text : `${text}\n`);
    } else if (destination.kind === "file") {
      await writeWholeFile(destination.path, this.#written(transcript, destination.format));
      written.push(destination.path);
    } else if (destination.kind === "folder") {
      for (const format of destination.formats) {
        const path = join(destination.path, `${this.#stems[index]}.${formatExtension(format)}`);
        await writeWholeFile(path, this.#written(transcript, format));
        written.push(path);
      }
    }
    this.#done++;
    this.#report.finished(index);
    const figures = [`${clock(transcript.duration)} of audio`];
    if (isLanguageKnown(transcript, this.#flags)) figures.push(await languageOf(transcript));
    if (transcript.coverage !== undefined) figures.push(coverageOf(transcript.coverage));
    if (this.#items.length === 1) {
      const { elapsedMs } = this.#report;
      figures.push(`${(elapsedMs / 1000).toFixed(1)} s`, speed(transcript.duration, elapsedMs));
    }
    const missing = stretchesOf(transcript.coverage?.untranscribed ?? []);
    this.#report.note(
      `${name}: ${figures.join(", ")}${missing === "" ? "" : `; speech without text: ${missing}`}` +
        (written.length > 0 ? ` -> ${written.join(", ")}` : ""),
    );
  }

  #written(transcript: Transcript, format: OutputFormat): string {
    return writeTranscript(transcript, format, { ...this.#flags.subtitles, details: this.#details });
  }

  #fail(index: number, error: unknown): void {
    this.#failed++;
    this.#report.finished(index);
    this.#display?.finish(index, null);
    const { name } = this.#items[index];
    const message = messageOf(error);
    this.#report.failure(message.includes(name) ? message : `${name}: ${message}`);
  }

  #conclude(missing: number): number {
    const failed = this.#failed + missing;
    const all = this.#items.length + missing;
    const code = this.#stopping.conclude(
      `${this.#done} of ${all} ${all === 1 ? "recording was" : "recordings were"} finished`,
    );
    if (code !== null) return code;
    if (failed > 0 && all > 1) this.#report.failure(`${failed} of ${all} recordings failed`);
    return failed > 0 ? 1 : 0;
  }
}

async function makeOutputFolder(path: string): Promise<void> {
  const { makeFolder } = await import("../../files/index.ts");
  try {
    await makeFolder(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "EEXIST" ? "it is a file" : systemReason(error);
    throw new OptionError("output_dir", `Cannot use --output_dir "${path}": ${reason}`, { cause: error });
  }
}

/** Not where there is no speech, and nobody said what language it would be in. */
function isLanguageKnown({ coverage }: Transcript, { transcription }: TranscribeFlags): boolean {
  return coverage?.speechSeconds !== 0 || transcription.language !== undefined;
}

async function languageOf({ language, languageProbability }: Transcript): Promise<string> {
  const { languageName } = await import("../../tokenizer/index.ts");
  const name = languageName(language);
  const titled = name.replace(/^./, (letter) => letter.toUpperCase());
  return languageProbability === null ? titled : `${titled} (detected, ${Math.round(languageProbability * 100)}%)`;
}

/** `speech 4:02`, and how much of it has text where that is not all. */
function coverageOf({ speechSeconds, transcribedSeconds, untranscribed }: Coverage): string {
  if (speechSeconds === 0) return "no speech";
  const speech = `speech ${clock(speechSeconds)}`;
  return untranscribed.length === 0 ? `${speech}, all with text` : `${speech}, with text ${clock(transcribedSeconds)}`;
}

/** Stretches that are listed; the JSON formats have all of them. */
const MOST_STRETCHES = 5;

/** `0:30–0:36, 1:02–1:04 and 3 more`, in whole seconds, in which stretches that touch are one; "" where there is none. */
function stretchesOf(untranscribed: Coverage["untranscribed"]): string {
  const stretches: { start: number; end: number }[] = [];
  for (const { start, end } of untranscribed) {
    const whole = { start: Math.floor(start), end: Math.ceil(end) };
    const last = stretches.at(-1);
    if (last !== undefined && whole.start <= last.end) last.end = Math.max(last.end, whole.end);
    else stretches.push(whole);
  }
  const listed = stretches.slice(0, MOST_STRETCHES).map(({ start, end }) => `${clock(start)}–${clock(end)}`);
  const others = stretches.length - listed.length;
  return listed.join(", ") + (others > 0 ? ` and ${others} more` : "");
}
