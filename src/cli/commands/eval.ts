/** `sotto eval`: how many words a model gets wrong on recordings whose text is known. */

import type { Command } from "commander";
import { OptionError } from "../../errors.ts";
import type { Transcript } from "../../transcription/index.ts";
import type { CliCommand } from "../command.ts";
import type { EvalRun, EvalTable } from "../eval/eval-report.ts";
import { addEvalFlags, EVAL_BOOLEAN_FLAGS, type EvalFlags, readEvalFlags } from "../eval/flags.ts";
import type { Sample } from "../eval/samples.ts";
import type { FileScore } from "../eval/score.ts";
import type { CliHost, CliPipeline } from "../host.ts";
import { isUrl } from "../inputs.ts";
import { assertWritable, writeWholeFile } from "../output-files.ts";
import { addModelFiles, ProtectedFiles } from "../protected-files.ts";
import { colours, messageOf, openReport, type Report } from "../report.ts";
import { Stopping } from "../stopping.ts";

const DEFAULT_WIDTH = 100;

export const evaluate: CliCommand = {
  name: "eval",
  summary: "measure a model's word error rate",
  booleanFlags: EVAL_BOOLEAN_FLAGS,
  configure(command: Command): void {
    command.argument(
      "[file...]",
      "folders of audio files, each with its text in a .txt file; or manifests (.json, .jsonl, .csv, .tsv)",
    );
    addEvalFlags(command);
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const flags = await readEvalFlags(command);
    if (command.args.length === 0) {
      throw new OptionError("file", "Nothing to evaluate, expected folders or manifests", {
        hint: "see sotto eval --help",
      });
    }
    const { output } = flags;
    if (output !== undefined) await assertWritable("output", output);
    const { findSamples } = await import("../eval/samples.ts");
    const found = await findSamples(command.args, flags.transcribe.transcription.task);
    if (output !== undefined) await assertMayWrite(output, flags, command.args, found.samples);
    const report = await openReport(host, flags.transcribe.quiet);
    for (const warning of flags.transcribe.warnings) report.warning(warning);
    const { withoutReference } = found;
    if (withoutReference > 0) {
      const were = withoutReference === 1 ? "1 recording has" : `${withoutReference} recordings have`;
      report.warning(`${were} no text beside and ${withoutReference === 1 ? "is" : "are"} left out`);
    }
    const run = new Evaluation(flags, found.samples.slice(0, flags.limit), host, report);
    for (const failure of found.failures) run.fail(null, failure);
    return run.run();
  },
};

/** @throws {OptionError} if the report would be written over what is evaluated, or the model */
async function assertMayWrite(
  output: string,
  { transcribe: { model, pipeline } }: EvalFlags,
  words: readonly string[],
  samples: readonly Sample[],
): Promise<void> {
  const files = new ProtectedFiles();
  for (const word of words) files.add(word, "one of the files to evaluate");
  for (const { source } of samples) {
    files.add(source, "one of the recordings");
    files.add(source.replace(/\.[^./\\]*$/, ".txt"), "the text of a recording");
  }
  await addModelFiles(files, model, pipeline.cacheDir);
  files.assertMayWrite("output", output);
}

/** One evaluation: transcribes, scores each recording as it is finished, and reports in the order of the samples. */
class Evaluation {
  readonly #flags: EvalFlags;
  readonly #samples: readonly Sample[];
  readonly #host: CliHost;
  readonly #report: Report;
  readonly #stopping: Stopping;
  /** undefined while at work, null if it failed. */
  readonly #scores: (FileScore | null | undefined)[];
  readonly #failures: { file: string | null; message: string }[] = [];
  #shown = 0;
  #elapsedMs = 0;
  #runs = { device: "", dtype: "" };
  /** Part of each transcript's, and said once. */
  #modelWarnings: readonly string[] = [];

  constructor(flags: EvalFlags, samples: readonly Sample[], host: CliHost, report: Report) {
    this.#flags = flags;
    this.#samples = samples;
    this.#host = host;
    this.#report = report;
    this.#stopping = new Stopping(host, report);
    this.#scores = samples.map(() => undefined);
  }

  /** Takes note of what cannot be evaluated, and says so. */
  fail(sample: Sample | null, error: unknown): void {
    const message = messageOf(error);
    this.#failures.push({ file: sample?.name ?? null, message });
    const named = sample === null || message.includes(sample.name) || message.includes(sample.source);
    this.#report.failure(named ? message : `${sample.name}: ${message}`);
  }

  async run(): Promise<number> {
    await this.#stopping.during(
      async () => {
        if (this.#samples.length > 0) await this.#loadAndTranscribe();
      },
      { needsOutput: this.#flags.output === undefined },
    );
    return this.#conclude();
  }

  async #loadAndTranscribe(): Promise<void> {
    const { model, pipeline: settings } = this.#flags.transcribe;
    for (const note of this.#flags.transcribe.notes) this.#report.note(note);
    const { signal } = this.#stopping;
    const pipeline = await this.#stopping.wait(
      this.#host.createPipeline(model, { ...settings, ...this.#report.downloads, signal }),
    );
    this.#modelWarnings = pipeline.warnings ?? [];
    for (const warning of this.#modelWarnings) this.#report.warning(warning);
    this.#runs = { device: pipeline.device ?? settings.device, dtype: pipeline.dtype ?? settings.dtype };
    try {
      signal.throwIfAborted();
      const table = this.#flags.json ? undefined : await this.#table();
      if (table !== undefined) this.#report.result(table.header());
      this.#report.begin(this.#samples.map(({ name }) => name));
      for (const [language, indices] of this.#groups()) {
        await this.#transcribe(pipeline, language, indices, table);
      }
    } finally {
      this.#elapsedMs = this.#report.elapsedMs;
      this.#report.clear();
      await this.#stopping.release(() => pipeline.dispose());
    }
  }

  async #table(): Promise<EvalTable> {
    const { EvalTable } = await import("../eval/eval-report.ts");
    return new EvalTable(
      this.#samples.map(({ name }) => name),
      {
        width: this.#host.stdout.columns ?? DEFAULT_WIDTH,
        colours: colours(this.#host.stdout),
        differences: this.#flags.differences,
      },
    );
  }

  /** Samples that share a call: those in one language, where the model is told it. */
  #groups(): Map<string | undefined, number[]> {
    const groups = new Map<string | undefined, number[]>();
    for (const [i, sample] of this.#samples.entries()) {
      const language = this.#flags.useKnownLanguages ? sample.language : undefined;
      const group = groups.get(language);
      if (group === undefined) groups.set(language, [i]);
      else group.push(i);
    }
    return groups;
  }

  async #transcribe(
    pipeline: CliPipeline,
    language: string | undefined,
    indices: readonly number[],
    table: EvalTable | undefined,
  ): Promise<void> {
    const { signal } = this.#stopping;
    const results = pipeline
      .transcribeMany(
        indices.map((i) => this.#samples[i].source),
        {
          ...this.#flags.transcribe.transcription,
          ...(indices.some((i) => isUrl(this.#samples[i].source)) && { proxyLookup: true }),
          ...(language !== undefined && { language }),
          signal,
          onProgress: (progress, index = 0) => this.#report.progress(indices[index], progress),
        },
      )
      [Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#stopping.wait(results.next());
        if (next.done === true) break;
        const { index, transcript, error } = next.value;
        await this.#settle(indices[index], transcript ?? error ?? new Error("it gave no transcript"), language);
        this.#show(table);
      }
    } catch (error) {
      // A language of the manifest that the model refuses is refused for its recordings alone.
      if (!(error instanceof OptionError) || language === undefined) throw error;
      for (const i of indices) if (this.#scores[i] === undefined) await this.#settle(i, error, language);
      this.#show(table);
    } finally {
      await this.#stopping.release(() => results.return?.());
    }
  }

  async #settle(index: number, outcome: Transcript | Error, language: string | undefined): Promise<void> {
    const sample = this.#samples[index];
    if (outcome instanceof Error) {
      const { signal } = this.#stopping;
      if (outcome instanceof OptionError && language === undefined) throw outcome; // a flag: refused for all
      if (signal.aborted) throw outcome; // what the stop broke off is no failure
      this.#scores[index] = null;
      this.fail(sample, outcome);
    } else {
      const { scoreOf } = await import("../eval/score.ts");
      const { normalizer, transcribe } = this.#flags;
      this.#scores[index] = scoreOf(sample, outcome, { normalizer, task: transcribe.transcription.task });
      for (const warning of outcome.warnings) {
        if (!this.#modelWarnings.includes(warning)) this.#report.warning(`${sample.name}: ${warning}`);
      }
    }
    this.#report.finished(index);
  }

  /** Prints what is finished and has its turn. */
  #show(table: EvalTable | undefined): void {
    for (; this.#shown < this.#scores.length; this.#shown++) {
      const score = this.#scores[this.#shown];
      if (score === undefined) return;
      if (score !== null && table !== undefined) this.#report.result(table.file(score));
    }
  }

  async #conclude(): Promise<number> {
    const scores = this.#scores.filter((score) => score !== undefined && score !== null);
    const { transcribe, normalizer, output, json } = this.#flags;
    const { task, algorithm } = transcribe.transcription;
    const run: EvalRun = {
      model: transcribe.model,
      ...this.#runs,
      task,
      algorithm,
      normalizer,
      elapsedMs: this.#elapsedMs,
    };
    const { evalJson } = await import("../eval/eval-report.ts");
    const text = evalJson(scores, this.#failures, run);
    if (json) this.#report.result(text);
    else if (scores.length > 0) this.#report.result((await this.#table()).conclusion(scores, run));
    if (output !== undefined) {
      await writeWholeFile(output, text);
      this.#report.note(`report -> ${output}`);
    }

    const all = this.#samples.length + this.#failures.filter(({ file }) => file === null).length;
    const code = this.#stopping.conclude(`${scores.length} of ${this.#samples.length} recordings were finished`);
    if (code !== null) return code;
    const failed = this.#failures.length;
    if (failed > 0 && all > 1) this.#report.failure(`${failed} of ${all} recordings failed`);
    return failed > 0 ? 1 : 0;
  }
}
