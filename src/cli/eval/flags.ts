/** The flags of `sotto eval`: those of a transcription but for its outputs, and how it is scored. */

import { Command, type Option } from "commander";
import { assertOneOf } from "../../errors.ts";
import type { NormalizerName } from "../../evaluation/index.ts";
import { parseBoolean, parseWhole } from "../arguments.ts";
import { addTranscribeFlags, BOOLEAN_FLAGS, readTranscribeFlags, type TranscribeFlags } from "../options.ts";

// Written out and not imported, as in options.ts.
export const EVAL_NORMALIZERS = ["auto", "english", "basic", "letters", "none"] as const satisfies readonly (
  "auto" | NormalizerName
)[];

/** What the flags of an evaluation say, checked. */
export interface EvalFlags {
  readonly transcribe: TranscribeFlags;
  /** Speak the manifest's languages to the model: no flag says something else about languages. */
  readonly useKnownLanguages: boolean;
  /** `auto`: by language. */
  readonly normalizer: "auto" | NormalizerName;
  /** Most recordings. */
  readonly limit: number;
  readonly json: boolean;
  /** Show where texts differ. */
  readonly differences: boolean;
  /** File of the JSON report. */
  readonly output: string | undefined;
}

export const EVAL_BOOLEAN_FLAGS: readonly string[] = [...BOOLEAN_FLAGS, "--differences"];

/** Declares the flags. */
export function addEvalFlags(command: Command): void {
  command
    .optionsGroup("Evaluation:")
    .option("--normalizer <name>", `text normaliser: ${EVAL_NORMALIZERS.join(", ")}; auto = by language`, "auto")
    .option("--limit <n>", "evaluate only the first n recordings; 0 = all", "0")
    .option("--differences [bool]", "show the differences between the texts", "True")
    .option("--output <file>", "write a JSON report with all texts and differences")
    .option("--json", "print that report on stdout instead of the table")
    .option("-q, --quiet", "print nothing but errors on stderr");
  for (const option of transcriptionOptions(new Command())) command.addOption(option);
  command.optionsGroup("Other:");
}

/**
 * Reads the flags of a parsed command.
 *
 * @throws {OptionError} if a value does not exist, or flags exclude one another
 */
export async function readEvalFlags(command: Command): Promise<EvalFlags> {
  const given = command.opts<Record<string, string | boolean | undefined>>();
  const normalizer = given["normalizer"];
  assertOneOf("normalizer", normalizer, EVAL_NORMALIZERS);
  const limit = parseWhole("--limit", String(given["limit"]), 0);
  const differences = parseBoolean("--differences", String(given["differences"]));

  const inner = new Command();
  for (const option of transcriptionOptions(inner)) {
    const name = option.attributeName();
    inner.setOptionValueWithSource(name, command.getOptionValue(name), command.getOptionValueSource(name) ?? "default");
  }
  inner.setOptionValue("quiet", given["quiet"]);
  const transcribe = await readTranscribeFlags(inner);
  const { languagePerWindow } = transcribe.transcription;
  return {
    transcribe,
    useKnownLanguages: command.getOptionValueSource("language") !== "cli" && languagePerWindow !== true,
    normalizer,
    limit: limit === 0 ? Infinity : limit,
    json: given["json"] === true,
    differences,
    output: typeof given["output"] === "string" ? given["output"] : undefined,
  };
}

/** Declares all flags of a transcription, and gives those that have no business with its output. */
function transcriptionOptions(command: Command): readonly Option[] {
  addTranscribeFlags(command);
  return command.options.filter(({ helpGroupHeading }) => helpGroupHeading !== "Output:");
}
