/** The report of an evaluation: a table that grows with the work, and all of it as JSON. */

import type pc from "picocolors";
import type { ErrorRate } from "../../evaluation/index.ts";
import { clock, speed } from "../report.ts";
import { alignedText } from "./aligned-text.ts";
import {
  differencesOf,
  type FileScore,
  frequentDifferences,
  totalOf,
  totalsByLanguage,
  type TotalScore,
} from "./score.ts";

/** What the whole evaluation is about. */
export interface EvalRun {
  readonly model: string;
  readonly device: string;
  readonly dtype: string;
  readonly task: string;
  readonly algorithm: string;
  readonly normalizer: string;
  /** Milliseconds of transcription, without loading the model. */
  readonly elapsedMs: number;
}

type Colours = ReturnType<typeof pc.createColors>;

const MOST_FREQUENT = 10;
const MAX_NAME = 40;
const COLUMNS = ["WER", "CER", "WORDS", "SUB", "DEL", "INS", "AUDIO"] as const;

/** Writes the table, a line a recording, with the differences below it. */
export class EvalTable {
  readonly #name: number;
  readonly #width: number;
  readonly #colours: Colours;
  readonly #differences: boolean;

  constructor(
    names: readonly string[],
    options: { readonly width: number; readonly colours: Colours; readonly differences: boolean },
  ) {
    this.#name = Math.min(MAX_NAME, Math.max(5, ...names.map((name) => [...name].length)));
    this.#width = options.width;
    this.#colours = options.colours;
    this.#differences = options.differences;
  }

  header(): string {
    return `${this.#colours.bold(this.#row("FILE", [...COLUMNS]))}\n`;
  }

  file(score: FileScore): string {
    const { sample, transcript, words, characters } = score;
    const lines = [this.#row(sample.name, figures({ words, characters, duration: transcript.duration }))];
    if (this.#differences) {
      const { yellow, red, green } = this.#colours;
      const shades = { substitution: yellow, deletion: red, insertion: green };
      lines.push(...alignedText(words, this.#width - 2, shades).map((line) => `  ${line}`.trimEnd()));
    }
    return `${lines.join("\n")}\n`;
  }

  /** Totals, what went wrong most often, and the speed. */
  conclusion(scores: readonly FileScore[], run: EvalRun): string {
    const byLanguage = totalsByLanguage(scores);
    const total = totalOf(scores);
    const lines = byLanguage.length > 1 ? byLanguage.map(([language, sum]) => this.#row(language, figures(sum))) : [];
    lines.push(this.#colours.bold(this.#row("TOTAL", figures(total))));
    const frequent = frequentDifferences(scores, MOST_FREQUENT).map(({ kind, reference, hypothesis, count }) => {
      if (kind === "deletion") return `${count}x ${reference} left out`;
      return kind === "insertion" ? `${count}x ${hypothesis} put in` : `${count}x ${reference} -> ${hypothesis}`;
    });
    if (frequent.length > 0) lines.push("", `most frequent: ${frequent.join(", ")}`);
    const seconds = (run.elapsedMs / 1000).toFixed(1);
    lines.push(
      "",
      `${speed(total.duration, run.elapsedMs)}: ${clock(total.duration)} of audio in ${seconds} s`,
      `model ${run.model}, ${run.device}, ${run.dtype}, ${run.algorithm}, ${run.task}; normaliser ${normalisers(scores)}`,
    );
    return `\n${lines.join("\n")}\n`;
  }

  #row(name: string, cells: readonly string[]): string {
    const letters = [...name.replace(/\p{Cc}/gu, "")];
    const cut = letters.length > this.#name ? `…${letters.slice(1 - this.#name).join("")}` : letters.join("");
    return cut.padEnd(this.#name) + cells.map((text) => text.padStart(8)).join("");
  }
}

function figures({ words, characters, duration }: Omit<TotalScore, "files">): string[] {
  const { substitutions, deletions, insertions, referenceLength } = words;
  const counts = [referenceLength, substitutions, deletions, insertions].map(String);
  return [percent(words), characters === null ? "-" : percent(characters), ...counts, clock(duration)];
}

/** A rate as `4.2%`; `-` where nothing was said and something was written. */
export function percent({ rate }: ErrorRate): string {
  return Number.isFinite(rate) ? `${(100 * rate).toFixed(1)}%` : "-";
}

/** `english (en), basic (de, fr)`; of one for all, its name. */
function normalisers(scores: readonly FileScore[]): string {
  const languages = new Map<string, Set<string>>();
  for (const { normalizer, language } of scores) {
    languages.set(normalizer, (languages.get(normalizer) ?? new Set()).add(language));
  }
  const names = [...languages];
  if (names.length === 1) return names[0][0];
  return names.map(([name, of]) => `${name} (${[...of].sort().join(", ")})`).join(", ");
}

/** The report as JSON, with a line break at its end. A rate that is not finite is null. */
export function evalJson(
  scores: readonly FileScore[],
  failures: readonly { readonly file: string | null; readonly message: string }[],
  run: EvalRun,
): string {
  const { elapsedMs, ...about } = run;
  const total = totalOf(scores);
  const report = {
    ...about,
    total: { ...rates(total), seconds: elapsedMs / 1000, speed: total.duration / (Math.max(1, elapsedMs) / 1000) },
    languages: Object.fromEntries(totalsByLanguage(scores).map(([language, sum]) => [language, rates(sum)])),
    frequent_differences: frequentDifferences(scores, MOST_FREQUENT),
    failures,
    files: scores.map((score) => ({
      file: score.sample.name,
      language: score.language,
      normalizer: score.normalizer,
      ...rates({ ...score, files: 1, duration: score.transcript.duration }),
      reference: score.sample.reference,
      hypothesis: score.transcript.text,
      differences: differencesOf(score.words),
      warnings: score.transcript.warnings,
    })),
  };
  return `${JSON.stringify(report, null, 1)}\n`;
}

function rates({ files, duration, words, characters }: TotalScore): object {
  return {
    files,
    duration,
    wer: words.rate,
    cer: characters?.rate ?? null,
    words: counts(words),
    characters: characters === null ? null : counts(characters),
  };
}

function counts({
  errors,
  hits,
  substitutions,
  deletions,
  insertions,
  referenceLength,
  hypothesisLength,
}: ErrorRate): object {
  return {
    ...{ errors, hits, substitutions, deletions, insertions },
    reference_length: referenceLength,
    hypothesis_length: hypothesisLength,
  };
}
