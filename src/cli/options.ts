/**
 * The flags of a transcription: what they are called, what they mean, and which exclude one another. Names and meanings are
 * openai/whisper's where it has the flag (facts 2.1). Everything wrong is found here, before a model is loaded.
 */

import type { Command } from "commander";
import { assertOneOf, nearest, OptionError, quote } from "../errors.ts";
import type { ChunkedTranscribeOptions } from "../index.ts";
import {
  formatExtension,
  OUTPUT_FORMATS,
  STANDARD_FORMATS,
  type OutputFormat,
  type SubtitleOptions,
  wantsWordTimes,
} from "../outputs/index.ts";
import {
  ALGORITHMS,
  assertDevice,
  defaultModel,
  DEVICES,
  dividesSubtitles,
  DTYPES,
  type Algorithm,
  type Device,
} from "../pipeline/choices.ts";
import { TASKS } from "../tokenizer/task.ts";
import { conflict, orNone, parseBoolean, parseSeconds, parseWhole } from "./arguments.ts";
import {
  addDecodingFlags,
  addGeneralFlags,
  chooseAlgorithm,
  DECODING_BOOLEANS,
  readDecodingFlags,
  sequentialDefaults,
} from "./decoding-flags.ts";
import type { PipelineSettings, TranscriptionSettings } from "./host.ts";
import { addSubtitleFlags, readSubtitleFlags, SUBTITLE_BOOLEANS } from "./subtitle-flags.ts";

/** More than any machine has; a typing error should not start as many. */
const MAX_THREADS = 1024;
const MAX_BATCH = 1024;

/** Shorter windows hold no words, and there would be more of them than anyone waits for. */
const MIN_CHUNK_SECONDS = 1;

/** The model hears 30 seconds at a time. */
const MAX_CHUNK_SECONDS = 30;

/** Flags that take True or False, as openai/whisper's do, or nothing: as `normaliseArguments` needs to know them. */
export const BOOLEAN_FLAGS: readonly string[] = [
  "--fp16",
  "--language_per_window",
  "--multilingual",
  "--return_timestamps",
  "--verbose",
  ...DECODING_BOOLEANS,
  ...SUBTITLE_BOOLEANS,
];

/** Flags of windows, and which algorithms have them. */
const WINDOW_FLAGS: readonly (readonly [name: string, algorithms: readonly Algorithm[]])[] = [
  ["batch_size", ["vad", "chunked"]],
  ["chunk_length", ["chunked"]],
  ["stride_length", ["chunked"]],
];

/** Formats without times in them, or of which nobody expects that they are the model's. */
const UNTIMED_FORMATS: readonly OutputFormat[] = ["txt", "json", "json-full"];

/** Where transcripts go. */
export type Destination =
  /** Segments on stdout as they come. */
  | { readonly kind: "display" }
  /** One file of a format on stdout. */
  | { readonly kind: "stdout"; readonly format: OutputFormat }
  /** One named file. */
  | { readonly kind: "file"; readonly path: string; readonly format: OutputFormat }
  | { readonly kind: "folder"; readonly path: string; readonly formats: readonly OutputFormat[] };

/** What the flags of a transcription say, checked. */
export interface TranscribeFlags {
  readonly model: string;
  readonly pipeline: PipelineSettings;
  readonly transcription: TranscriptionSettings;
  readonly destination: Destination;
  readonly subtitles: SubtitleOptions;
  /** What was decided for the user. */
  readonly notes: readonly string[];
  /** What was asked for, and will not be. */
  readonly warnings: readonly string[];
  /** Print segments on stdout as they come. */
  readonly display: boolean;
  /** ... with their times. */
  readonly displayTimes: boolean;
  readonly quiet: boolean;
}

/** Declares `--model`. It has no default of its own: which model is used depends on the device. */
export function addModelFlag(command: Command): void {
  command.option(
    "--model <name>",
    `model name, hub id ("owner/name") or folder; "sotto models" lists the names (default: ${defaultModel("cpu")}; ${defaultModel("cuda")} on a GPU)`,
  );
}

/**
 * The model that a parsed command asks for.
 *
 * @returns with it what the user should be told, or null
 * @throws {OptionError} if it is no name, no hub id and no path
 */
export async function readModel(
  command: Command,
  device: Device,
): Promise<{ readonly model: string; readonly note: string | null }> {
  const given = command.getOptionValue("model") as string | undefined;
  if (given !== undefined) await assertModel(given);
  if (given !== undefined) return { model: given, note: null };
  const model = defaultModel(device);
  return { model, note: `using model ${model}; --model chooses another, and "sotto models" lists them` };
}

/** @throws {OptionError} unless the word may be a model; one that cannot be had is found out when it is loaded */
export async function assertModel(model: string): Promise<void> {
  const { mayBeModel, modelNames } = await import("../hub/index.ts");
  if (await mayBeModel(model)) return;
  const meant = nearest(model, modelNames());
  const message = `Unknown model ${quote(model)}, `;
  throw new OptionError(
    "model",
    message + (meant === undefined ? "expected a name, a hub id or a folder" : `did you mean "${meant}"?`),
    { hint: '"sotto models" lists names; a hub id is written "owner/name", a folder "./folder"' },
  );
}

/** Declares the flags. */
export function addTranscribeFlags(command: Command): void {
  const list = (value: string, before: string[] = []): string[] => [...before, ...value.split(",")];
  addModelFlag(command.optionsGroup("Model:"));
  command
    .option("--model_dir <dir>", "folder of downloaded models (default: the Hugging Face cache)")
    .option("--offline", "use only models that are already on this machine")
    .option("--device <name>", `device to run on: ${DEVICES.join(", ")}; cuda:1 is the second GPU`, "auto")
    .option("--dtype <name>", `compute precision: ${DTYPES.join(", ")}`, "auto")
    .option("--fp16 [bool]", "openai/whisper's flag: False means --dtype float32", "True")
    .option("--threads <n>", "CPU threads; 0 = automatic", "0")
    .optionsGroup("Transcription:")
    .option("--task <name>", "transcribe, or translate into English", "transcribe")
    .option("--language <name>", 'spoken language: a code or a name ("de", "pt-BR", "german"); detected by default')
    .option("--language_per_window [bool]", "detect the language of each window separately", "False")
    .option("--multilingual [bool]", "faster-whisper's name for --language_per_window")
    .option("--audio_track <n>", "audio track to read where a file has several, from 1; default: the best one")
    .option("--return_timestamps [bool]", "let the model predict when each segment starts and ends", "True")
    .option(
      "--algorithm <name>",
      "vad, chunked (Hugging Face's), sequential (openai/whisper's), or auto: vad, unless other flags need another",
      "auto",
    );
  addGeneralFlags(command);
  command
    .option("--batch_size <n>", "vad, chunked: windows per batch; chosen to suit the device by default")
    .optionsGroup("Windows (algorithm chunked):")
    .option(
      "--chunk_length <seconds>",
      `window length, 1 to ${MAX_CHUNK_SECONDS}; 0 = a single window, for recordings of up to 30 s`,
      "30",
    )
    .option(
      "--stride_length <seconds>",
      'overlap between windows on each side, or "left,right" (default: chunk_length / 6)',
    );
  addDecodingFlags(command);
  command
    .optionsGroup("Output:")
    .option("-f, --output_format <names>", `${OUTPUT_FORMATS.join(", ")}, comma-separated; all = the first five`, list)
    .option("-o, --output_dir <dir>", "folder for output files, named after the recordings; created if missing")
    .option("--output <file>", 'write a single file, in the format of its extension or of -f; "-" is stdout')
    .option(
      "--verbose [bool]",
      "print segments with their times as they are ready; default: only if no file is written",
    )
    .option("-q, --quiet", "print nothing but errors on stderr");
  addSubtitleFlags(command);
  command
    .optionsGroup("Safety:")
    .option("--allow_private_addresses", "allow URLs that point to this machine or to private networks")
    .optionsGroup("Other:");
}

/**
 * Reads the flags of a parsed command.
 *
 * @throws {OptionError} if a value does not exist, or flags exclude one another
 */
export async function readTranscribeFlags(command: Command): Promise<TranscribeFlags> {
  const given = command.opts<Record<string, string | boolean | string[] | undefined>>();
  const text = (name: string): string | undefined => (typeof given[name] === "string" ? given[name] : undefined);
  const flag = (name: string): boolean => {
    const value = given[name];
    return typeof value === "string" ? parseBoolean(`--${name}`, value) : value === true;
  };
  const chosen = (name: string): boolean => command.getOptionValueSource(name) === "cli";

  const [device, dtype, asked, task] = [text("device"), text("dtype"), text("algorithm"), text("task")];
  assertDevice(device);
  assertOneOf("dtype", dtype, DTYPES);
  assertOneOf("algorithm", asked, ["auto", ...ALGORITHMS]);
  assertOneOf("task", task, TASKS);
  const { model, note: modelNote } = await readModel(command, device);

  const spoken = await readLanguage(text("language"));
  const perWindow = ["language_per_window", "multilingual"].filter(chosen);
  const languagePerWindow = perWindow.some(flag);
  if (!perWindow.every((name) => flag(name) === languagePerWindow)) {
    conflict("--language_per_window", "--multilingual", "they are two names of one flag, with two values here");
  }
  if (languagePerWindow && spoken !== undefined) conflict(`--${perWindow[0]}`, "--language");
  const isEnglishOnly = model.endsWith(".en") && spoken !== undefined && spoken !== "en";
  const language = isEnglishOnly ? "en" : spoken;
  const withoutTimestamps = flag("without_timestamps");
  if (withoutTimestamps && chosen("return_timestamps") && flag("return_timestamps")) {
    conflict("--without_timestamps True", "--return_timestamps True");
  }
  const returnTimestamps = flag("return_timestamps") && !withoutTimestamps;
  const threads =
    orNone((option, word) => parseWhole(option, word, 0, MAX_THREADS))("--threads", text("threads") ?? "0") ?? 0;
  const batchSize = text("batch_size");
  const audioTrack = text("audio_track");
  const cacheDir = text("model_dir");
  const windows = readWindows(text("chunk_length") ?? "30", text("stride_length"));

  const decoding = await readDecodingFlags(command);
  const ofWindows = WINDOW_FLAGS.filter(([name]) => chosen(name));
  const { algorithm, note } = chooseAlgorithm(asked, [
    ...ofWindows.map(([name, algorithms]) => ({ flag: `--${name}`, algorithms })),
    ...decoding.narrow,
  ]);

  const destination = readDestination(
    given["output_format"] as string[] | undefined,
    text("output_dir"),
    text("output"),
  );
  const formats = formatsOf(destination);
  const hasWords = decoding.settings.wordTimestamps === true;
  const { subtitles, warnings } = readSubtitleFlags(command, hasWords, dividesSubtitles(algorithm));
  const wantsWords = returnTimestamps && formats.some((format) => wantsWordTimes(format, subtitles));
  const timed = formats.filter((format) => !UNTIMED_FORMATS.includes(format));
  if (!returnTimestamps && timed.length > 0) {
    const reason = withoutTimestamps ? "--without_timestamps True" : "--return_timestamps False";
    throw new OptionError("return_timestamps", `Cannot write ${timed.join(", ")} with ${reason}`, {
      hint: "without times there are txt and json: --output_format txt,json",
    });
  }
  const display = chosen("verbose") ? flag("verbose") : destination.kind === "display";
  if (display && destination.kind === "stdout") conflict("--verbose True", "--output -");

  const common = {
    task,
    returnTimestamps,
    ...(language !== undefined && { language }),
    ...(languagePerWindow && { languagePerWindow }),
    ...(audioTrack !== undefined && { audioTrack: parseWhole("--audio_track", audioTrack, 1) }),
    ...(flag("allow_private_addresses") && { allowPrivateAddresses: true }),
  };
  return {
    model,
    pipeline: {
      device,
      dtype: dtype === "auto" && !flag("fp16") ? "float32" : dtype,
      ...(batchSize !== undefined && { batchSize: parseWhole("--batch_size", batchSize, 1, MAX_BATCH) }),
      ...(threads > 0 && { threads }),
      ...(cacheDir !== undefined && { cacheDir }),
      ...(flag("offline") && { offline: true }),
    },
    // Settings have nothing that the algorithm lacks: chooseAlgorithm has seen to it.
    transcription: {
      ...common,
      ...(algorithm === "sequential" && sequentialDefaults(decoding.settings)),
      ...(wantsWords && task === "transcribe" && { wordTimestamps: true }),
      ...decoding.settings,
      ...(algorithm === "chunked" && windows),
      algorithm,
    } as TranscriptionSettings,
    destination,
    subtitles,
    notes: [modelNote, note].filter((one) => one !== null),
    warnings: [
      ...(isEnglishOnly ? [`model ${quote(model)} knows English only: --language ${language} is used`] : []),
      ...decoding.warnings,
      ...warnings,
    ],
    // With nothing else to do, text is printed in any case; `--verbose False` then takes only the times away.
    display: display || destination.kind === "display",
    displayTimes: display && returnTimestamps,
    quiet: flag("quiet"),
  };
}

/** The formats that a destination will be written in. */
export function formatsOf(destination: Destination): readonly OutputFormat[] {
  switch (destination.kind) {
    case "display":
      return [];
    case "folder":
      return destination.formats;
    case "stdout":
    case "file":
      return [destination.format];
  }
}

/**
 * The code of a language; undefined where it is to be detected.
 *
 * @throws {OptionError} with what was probably meant, and without the list of all hundred
 */
export async function readLanguage(word: string | undefined): Promise<string | undefined> {
  if (word === undefined || word === "None") return undefined; // openai/whisper's word for "detect it"
  const { languageCode, LANGUAGES, LANGUAGE_ALIASES } = await import("../tokenizer/index.ts");
  try {
    return languageCode(word);
  } catch (error) {
    const meant = nearest(word, [...LANGUAGES.values(), ...LANGUAGE_ALIASES.keys()]);
    const wanted = 'expected a code or an English name ("de", "pt-BR", "german")';
    const message = `Unknown language ${quote(word)}, ${meant === undefined ? wanted : `did you mean "${meant}"?`}`;
    throw new OptionError("language", message, { cause: error });
  }
}

function readWindows(
  chunk: string,
  stride: string | undefined,
): Pick<ChunkedTranscribeOptions, "chunkLength" | "strideLength"> {
  const chunkLength = parseSeconds("--chunk_length", chunk);
  if (chunkLength > MAX_CHUNK_SECONDS) {
    throw new OptionError(
      "chunk_length",
      `Cannot use ${quote(chunk)} as --chunk_length, expected at most ${MAX_CHUNK_SECONDS} seconds`,
    );
  }
  if (chunkLength > 0 && chunkLength < MIN_CHUNK_SECONDS) {
    throw new OptionError(
      "chunk_length",
      `Cannot use ${quote(chunk)} as --chunk_length, expected at least ${MIN_CHUNK_SECONDS} second, or 0`,
    );
  }
  if (chunkLength === 0 && stride !== undefined) conflict("--chunk_length 0", "--stride_length");
  if (stride === undefined) return { chunkLength };
  const sides = stride.split(",").map((side) => parseSeconds("--stride_length", side.trim()));
  if (sides.length > 2) {
    throw new OptionError(
      "stride_length",
      `Cannot use ${quote(stride)} as --stride_length, expected one or two lengths`,
    );
  }
  const [left, right = left] = sides;
  if (left + right >= chunkLength) {
    throw new OptionError(
      "stride_length",
      `Cannot use ${quote(stride)} as --stride_length: left and right are ${left + right} seconds together, ` +
        `expected less than --chunk_length, ${chunkLength}`,
    );
  }
  return { chunkLength, strideLength: sides.length === 1 ? left : [left, right] };
}

function readDestination(
  names: readonly string[] | undefined,
  folder: string | undefined,
  output: string | undefined,
): Destination {
  const formats = readFormats(names);
  if (output === undefined) {
    if (formats === undefined && folder === undefined) return { kind: "display" };
    return { kind: "folder", path: folder ?? ".", formats: formats ?? STANDARD_FORMATS };
  }
  if (folder !== undefined) conflict("--output", "--output_dir");
  if (formats !== undefined && formats.length > 1) {
    throw new OptionError("output", `Cannot write ${formats.join(", ")} to one --output, expected one format`, {
      hint: "--output_dir takes several",
    });
  }
  if (output === "-") return { kind: "stdout", format: formats?.[0] ?? "txt" };
  const format = formats?.[0] ?? formatOfName(output);
  if (format === undefined) {
    throw new OptionError("output", `Cannot tell the format of ${quote(output)}, expected --output_format`);
  }
  assertOneOf("output format", format, OUTPUT_FORMATS);
  return { kind: "file", path: output, format };
}

function readFormats(names: readonly string[] | undefined): readonly OutputFormat[] | undefined {
  if (names === undefined) return undefined;
  const trimmed = names.map((name) => name.trim());
  for (const name of trimmed) assertOneOf("output format", name, [...OUTPUT_FORMATS, "all"]);
  const isAsked = (format: OutputFormat): boolean =>
    trimmed.includes(format) || (trimmed.includes("all") && STANDARD_FORMATS.some((one) => one === format));
  return OUTPUT_FORMATS.filter(isAsked);
}

/** The format whose extension a name has, else the extension. */
function formatOfName(name: string): string | undefined {
  const lower = name.toLowerCase();
  // Two formats may end alike: "talk.full.json".
  const fitting = OUTPUT_FORMATS.filter((format) => lower.endsWith(`.${formatExtension(format)}`));
  fitting.sort((a, b) => formatExtension(b).length - formatExtension(a).length);
  return fitting[0] ?? /\.([^./\\]+)$/.exec(lower)?.[1];
}
