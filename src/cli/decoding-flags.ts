/**
 * The flags of decoding: how a window is searched, what the model is told before it, when it is tried again. Names, values
 * and meaning are openai/whisper's (facts 2.1); what it lacks comes from faster-whisper (facts 3.2). A table, from which the
 * help, the reading and the choice of the algorithm follow.
 */

import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import type { Command } from "commander";
import { OptionError, quote } from "../errors.ts";
import { ALGORITHMS, type Algorithm } from "../pipeline/choices.ts";
import type { SequentialOptions, VadTranscriptionOptions } from "../transcription/index.ts";
import { conflict, missing, orNone, parseBoolean, parseNumber, parseWhole, type ValueReader } from "./arguments.ts";
import { systemReason } from "./system-reason.ts";

/** Where no flag says otherwise: openai/whisper's command line searches with beams and samples, its library does not (facts 2.1). */
const SEQUENTIAL_DEFAULTS = { beamSize: 5, bestOf: 5 };

/** Those of them that have an effect: beams are for temperature 0, and samples for others. */
export function sequentialDefaults({ temperature = [0, 1] }: DecodingSettings): DecodingSettings {
  const temperatures = typeof temperature === "number" ? [temperature] : temperature;
  const { beamSize, bestOf } = SEQUENTIAL_DEFAULTS;
  return {
    ...(temperatures.includes(0) && { beamSize }),
    ...(temperatures.some((one) => one > 0) && { bestOf }),
  };
}

/** The library's limits, so that what is beyond them is told before a model is loaded. */
const MAX_ROWS = 128;
const MAX_PATIENCE = 100;
/**
 * As OpenAI's API and this server have it. openai/whisper's command line has no limit; but its ladder of temperatures ends at 1, where
 * tokens are drawn as the model learned them, and above it what is drawn is more and more anything at all. The library takes more.
 */
const MAX_TEMPERATURE = 1;
const MAX_TEMPERATURES = 100;
const WINDOW_SECONDS = 30;
/** A week: longer than any recording that is read. */
const MAX_SECONDS = 7 * 86_400;
const MAX_TOKEN = 1_000_000;

const MAX_PHRASES = 10_000;

/** A hundred letters for each is more than a phrase. */
const MAX_PHRASES_BYTES = 100 * MAX_PHRASES;

/** The algorithm's options, as far as they have a flag in the table. */
type Options = Omit<
  SequentialOptions & VadTranscriptionOptions,
  "task" | "language" | "languagePerWindow" | "batchSize" | "signal" | "onProgress" | "onSegment"
>;
export type DecodingSettings = { -readonly [K in keyof Options]: Options[K] };

interface DecodingFlag {
  /** With `_`, without `--`. */
  readonly name: string;
  /** `<n>`; `[bool]` may stand alone. */
  readonly value: string;
  readonly help: string;
  /** As the help shows it. */
  readonly ifMissing?: string;
  /** Which algorithms have it. */
  readonly algorithms: readonly Algorithm[];
  /** Option of the library, and its value. */
  readonly read: (flag: string, word: string) => Promise<DecodingSettings> | DecodingSettings;
}

const BOOL = "[bool]";
const bool: ValueReader<boolean> = parseBoolean;
const text: ValueReader<string> = (_flag, word) => word;
const number =
  (least?: number, most?: number): ValueReader<number> =>
  (flag, word) =>
    parseNumber(flag, word, least, most);
const whole =
  (least: number, most?: number): ValueReader<number> =>
  (flag, word) =>
    parseWhole(flag, word, least, most);

function flag<K extends keyof Options>(
  name: string,
  option: K,
  value: string,
  help: string,
  read: ValueReader<Options[K] | Promise<Options[K]>>,
  ifMissing?: string,
): DecodingFlag {
  return {
    name,
    value,
    help,
    algorithms: ["sequential"],
    ...(ifMissing !== undefined && { ifMissing }),
    read: async (long, word) => ({ [option]: await read(long, word) }),
  };
}

const everywhere = (one: DecodingFlag): DecodingFlag => ({ ...one, algorithms: ALGORITHMS });
/** Of the algorithms that search. */
const searched = (one: DecodingFlag): DecodingFlag => ({ ...one, algorithms: ["vad", "sequential"] });
const ofVad = (one: DecodingFlag): DecodingFlag => ({ ...one, algorithms: ["vad"] });

/** Read together with `--temperature`: see `readTemperatures`. */
const TEMPERATURES: readonly DecodingFlag[] = [
  flag(
    "temperature",
    "temperature",
    "<t>",
    "sampling temperature to start with, 0 to 1",
    number(0, MAX_TEMPERATURE),
    "0",
  ),
  flag(
    "temperature_increment_on_fallback",
    "temperature",
    "<t>",
    "step to the next temperature, up to 1; None = no fallback",
    (long, word) => orNone(number(0))(long, word) ?? undefined,
    "0.2",
  ),
].map(searched);

/** Flags of all algorithms, shown with those of a transcription. */
const GENERAL: readonly DecodingFlag[] = [
  everywhere(
    flag(
      "suppress_tokens",
      "suppressTokens",
      "<ids>",
      "token ids to suppress; -1 = non-speech symbols",
      readTokens,
      "-1",
    ),
  ),
  everywhere(
    flag(
      "max_initial_timestamp",
      "maxInitialTimestamp",
      "<s>",
      "latest start of a window's first segment in seconds, or None",
      orNone(number(0, WINDOW_SECONDS)),
      "1",
    ),
  ),
  everywhere(flag("suppress_numerals", "suppressNumerals", BOOL, "spell out numbers", bool, "False")),
];

const GROUPS: readonly (readonly [heading: string, flags: readonly DecodingFlag[]])[] = [
  [
    "Words:",
    [
      everywhere(flag("word_timestamps", "wordTimestamps", BOOL, "determine when each word is spoken", bool, "False")),
      everywhere(
        flag("prepend_punctuations", "prependPunctuations", "<marks>", "punctuation to attach to the next word", text),
      ),
      everywhere(
        flag(
          "append_punctuations",
          "appendPunctuations",
          "<marks>",
          "punctuation to attach to the previous word",
          text,
        ),
      ),
    ],
  ],
  [
    "Search (algorithms vad and sequential):",
    [
      searched(
        flag("beam_size", "beamSize", "<n>", "beams at temperature 0; None = greedy", orNone(whole(1, MAX_ROWS)), "5"),
      ),
      searched(
        flag(
          "patience",
          "patience",
          "<x>",
          "stop beam search after beam_size * patience hypotheses",
          orNone(number(0, MAX_PATIENCE)),
        ),
      ),
      searched(
        flag(
          "length_penalty",
          "lengthPenalty",
          "<alpha>",
          "0 to 1, in favour of longer hypotheses; default: normalise by length",
          orNone(number(0, 1)),
        ),
      ),
      searched(
        flag("best_of", "bestOf", "<n>", "random samples at temperatures above 0", orNone(whole(1, MAX_ROWS)), "5"),
      ),
      searched(flag("seed", "seed", "<n>", "seed of the random samples", whole(0), "0")),
      searched(
        flag(
          "allowed_phrases",
          "allowedPhrases",
          "<file>",
          "file with one phrase per line; only these can be transcribed",
          readPhrases,
        ),
      ),
      flag(
        "without_timestamps",
        "withoutTimestamps",
        BOOL,
        "sequential: decode windows of 30 s without timestamps",
        bool,
        "False",
      ),
    ],
  ],
  [
    "Voice activity (algorithm vad):",
    [
      ofVad(flag("vad_threshold", "vadThreshold", "<p>", "probability at which speech begins", number(0, 1), "0.5")),
      ofVad(
        flag(
          "vad_neg_threshold",
          "vadNegThreshold",
          "<p>",
          "probability below which it ends (default: vad_threshold - 0.15)",
          orNone(number(0, 1)),
        ),
      ),
      ofVad(
        flag(
          "vad_min_speech_duration_ms",
          "vadMinSpeechDurationMs",
          "<ms>",
          "shorter speech is ignored",
          number(0, MAX_SECONDS * 1000),
          "0",
        ),
      ),
      ofVad(
        flag(
          "vad_min_silence_duration_ms",
          "vadMinSilenceDurationMs",
          "<ms>",
          "silence that ends speech",
          number(0, MAX_SECONDS * 1000),
          "160",
        ),
      ),
      ofVad(
        flag(
          "vad_speech_pad_ms",
          "vadSpeechPadMs",
          "<ms>",
          "silence kept before and after the speech of a window",
          number(0, (WINDOW_SECONDS / 4) * 1000),
          "400",
        ),
      ),
    ],
  ],
  [
    "Context (algorithm sequential; initial_prompt and hotwords also vad):",
    [
      searched(
        flag(
          "initial_prompt",
          "initialPrompt",
          "<text>",
          "text to give the model as if it preceded the recording",
          text,
        ),
      ),
      flag(
        "carry_initial_prompt",
        "carryInitialPrompt",
        BOOL,
        "give the initial prompt to every window",
        bool,
        "False",
      ),
      flag(
        "condition_on_previous_text",
        "conditionOnPreviousText",
        BOOL,
        "give each window the text before it",
        bool,
        "True",
      ),
      searched(flag("hotwords", "hotwords", "<text>", "words that are likely to occur", text)),
      flag("prefix", "prefix", "<text>", "text that each window starts with", text),
    ],
  ],
  [
    "Quality (algorithms vad and sequential):",
    [
      ...TEMPERATURES,
      searched(
        flag(
          "compression_ratio_threshold",
          "compressionRatioThreshold",
          "<x>",
          "above this, text repeats itself: try the next temperature",
          orNone(number(0)),
          "2.4",
        ),
      ),
      searched(
        flag(
          "entropy_thold",
          "entropyThreshold",
          "<x>",
          "below it the last tokens repeat themselves: next temperature (whisper.cpp: 2.4)",
          orNone(number()),
          "None",
        ),
      ),
      searched(
        flag(
          "logprob_threshold",
          "logprobThreshold",
          "<x>",
          "below this, text is unreliable: try the next temperature",
          orNone(number(-Infinity, 0)),
          "-1.0",
        ),
      ),
      searched(
        flag(
          "no_speech_threshold",
          "noSpeechThreshold",
          "<p>",
          "above this, unreliable text counts as silence",
          orNone(number(0, 1)),
          "0.6",
        ),
      ),
      flag(
        "hallucination_silence_threshold",
        "hallucinationSilenceThreshold",
        "<s>",
        "sequential: skip silence longer than this around invented text, in seconds",
        orNone(number(0, MAX_SECONDS)),
      ),
      flag(
        "clip_timestamps",
        "clipTimestamps",
        "<list>",
        "sequential: parts to transcribe, in seconds: start,end,start,end,...",
        readClips,
        "0",
      ),
    ],
  ],
];

const FLAGS: readonly DecodingFlag[] = [...GENERAL, ...GROUPS.flatMap(([, flags]) => flags)];

/** Flags of decoding that take True or False. */
export const DECODING_BOOLEANS: readonly string[] = FLAGS.filter(({ value }) => value === BOOL).map(
  ({ name }) => `--${name}`,
);

/** Declares those that every algorithm has, in the group that is open. */
export function addGeneralFlags(command: Command): void {
  for (const one of GENERAL) declare(command, one);
}

/** Declares the others, in groups of their own. */
export function addDecodingFlags(command: Command): void {
  for (const [heading, flags] of GROUPS) {
    command.optionsGroup(heading);
    for (const one of flags) declare(command, one);
  }
}

function declare(command: Command, { name, value, help, ifMissing }: DecodingFlag): void {
  command.option(`--${name} ${value}`, help, ifMissing);
}

/** A flag that was given, and which algorithms have it. */
export interface GivenFlag {
  /** With `--`. */
  readonly flag: string;
  readonly algorithms: readonly Algorithm[];
}

/** What the flags of decoding say. */
export interface ReadDecoding {
  /** Only what was given. */
  readonly settings: DecodingSettings;
  /** Flags given that not every algorithm has. */
  readonly narrow: readonly GivenFlag[];
  readonly warnings: readonly string[];
}

/**
 * Reads the flags of a parsed command that were given.
 *
 * @throws {OptionError} if a value does not exist, or flags exclude one another
 */
export async function readDecodingFlags(command: Command): Promise<ReadDecoding> {
  const settings: DecodingSettings = {};
  const narrow: GivenFlag[] = [];
  for (const one of FLAGS) {
    if (command.getOptionValueSource(one.name) !== "cli") continue;
    const word = command.getOptionValue(one.name) as string;
    const read = await one.read(`--${one.name}`, word);
    if (!TEMPERATURES.includes(one)) Object.assign(settings, read);
    if (one.algorithms.length < ALGORITHMS.length) {
      narrow.push({ flag: `--${one.name}`, algorithms: one.algorithms });
    }
  }
  const temperature = readTemperatures(command);
  if (temperature !== undefined) settings.temperature = temperature;
  assertConsistent(settings);
  const warnings: string[] = [];
  if (settings.hotwords !== undefined && settings.prefix !== undefined) {
    warnings.push("--hotwords has no effect with --prefix");
    delete settings.hotwords;
  }
  return { settings, narrow, warnings };
}

/**
 * The algorithm to use: `auto` is the first that has all flags, and so vad where none asks for another.
 *
 * @param narrow flags given that not every algorithm has
 * @returns with it what the user should be told, or null
 * @throws {OptionError} for a flag that the algorithm lacks
 */
export function chooseAlgorithm(
  asked: "auto" | Algorithm,
  narrow: readonly GivenFlag[],
): { readonly algorithm: Algorithm; readonly note: string | null } {
  if (asked !== "auto") {
    const foreign = narrow.find(({ algorithms }) => !algorithms.includes(asked));
    if (foreign !== undefined) conflict(foreign.flag, `--algorithm ${asked}`, needs(foreign));
    return { algorithm: asked, note: null };
  }
  const algorithm = ALGORITHMS.find((one) => narrow.every(({ algorithms }) => algorithms.includes(one)));
  if (algorithm === undefined) {
    const other = narrow.find(({ algorithms }, i) =>
      narrow.slice(0, i).some((one) => !one.algorithms.some((each) => algorithms.includes(each))),
    ) as GivenFlag;
    const one = narrow.find(
      ({ algorithms }) => !algorithms.some((each) => other.algorithms.includes(each)),
    ) as GivenFlag;
    conflict(other.flag, one.flag, `${needs(other)}, ${needs(one)}`);
  }
  if (algorithm === ALGORITHMS[0]) return { algorithm, note: null };
  const flags = narrow.filter(({ algorithms }) => !algorithms.includes(ALGORITHMS[0])).map(({ flag }) => flag);
  return { algorithm, note: `using --algorithm ${algorithm} for ${flags.join(", ")}` };
}

function needs({ flag, algorithms }: GivenFlag): string {
  return `${flag} needs --algorithm ${algorithms.join(" or ")}`;
}

/** Temperatures from the first to 1, as openai/whisper counts them (facts 2.1.1); undefined where no flag was given. */
function readTemperatures(command: Command): Options["temperature"] {
  const [first, step] = TEMPERATURES.map(({ name }) => command.getOptionValue(name) as string);
  if (!TEMPERATURES.some(({ name }) => command.getOptionValueSource(name) === "cli")) return undefined;
  const start = parseNumber("--temperature", first, 0, MAX_TEMPERATURE);
  const option = "--temperature_increment_on_fallback";
  const increment = orNone(number(0))(option, step);
  if (increment === null || start > 1) return [start];
  const count = Math.floor((1 - start + 1e-6) / increment) + 1;
  if (count > MAX_TEMPERATURES) {
    throw new OptionError(
      option,
      `Cannot use ${quote(step)} as ${option}: it makes more than ${MAX_TEMPERATURES} tries`,
    );
  }
  // 0.2 + 0.4 is 0.6000000000000001, and reads so in JSON.
  return Array.from({ length: count }, (_, i) => Number((start + i * increment).toFixed(9)));
}

/** Rules between flags (facts 2.4.2), but for those that the ladder of temperatures settles. */
function assertConsistent(settings: DecodingSettings): void {
  const { beamSize = SEQUENTIAL_DEFAULTS.beamSize, patience } = settings;
  if (patience !== undefined && patience !== null) {
    if (beamSize === null) conflict("--patience", "--beam_size None");
    if (beamSize * patience <= 0.5) {
      throw new OptionError("patience", `Cannot use --patience ${patience}: ${beamSize} beams would wait for no text`);
    }
  }
  const { hallucinationSilenceThreshold: silence, wordTimestamps = false } = settings;
  if (silence !== undefined && silence !== null && !wordTimestamps) {
    missing("--hallucination_silence_threshold", "--word_timestamps True");
  }
}

function readTokens(option: string, word: string): string {
  if (word.trim() !== "" && !word.split(",").every((id) => /^\s*(-1|\d+)\s*$/.test(id) && Number(id) < MAX_TOKEN)) {
    throw new OptionError(option, `Cannot use ${quote(word)} as ${option}, expected token ids or -1, comma-separated`);
  }
  return word;
}

function readClips(option: string, word: string): readonly number[] {
  const times =
    word.trim() === "" ? [] : word.split(",").map((time) => parseNumber(option, time.trim(), 0, MAX_SECONDS));
  for (let i = 1; i < times.length; i += 2) {
    if (times[i] < times[i - 1]) {
      throw new OptionError(option, `Cannot use ${quote(word)} as ${option}: a clip ends before it starts`);
    }
  }
  return times;
}

async function readPhrases(option: string, path: string): Promise<readonly string[]> {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new OptionError(option, `Cannot read ${option} ${quote(path)}: ${reason}`, { cause });
  };
  // Not the size that is told: a pipe has none.
  const bytes = await buffer(createReadStream(path, { end: MAX_PHRASES_BYTES })).catch((error: unknown) =>
    refuse(systemReason(error), error),
  );
  if (bytes.length > MAX_PHRASES_BYTES) refuse(`it has more than ${MAX_PHRASES_BYTES} bytes`);
  const phrases = bytes
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (phrases.length === 0) refuse("it holds no phrases");
  if (phrases.length > MAX_PHRASES) refuse(`it holds ${phrases.length} phrases, expected at most ${MAX_PHRASES}`);
  return phrases;
}
