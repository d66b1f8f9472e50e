/**
 * What a call of the pipeline may ask. One table says of every option its kind, its range, and which algorithms have it; names, values
 * and the choice of the algorithm are checked by it, before any audio is read.
 */
import { AUDIO_OPTIONS, type LoadAudioOptions } from "../audio/index.ts";
import { OptionError } from "../errors.ts";
import {
  anyOf,
  assertOption,
  assertOptionNames,
  flag,
  oneOf,
  withoutAliases,
  type Aliased,
  type OptionKind,
} from "../options/index.ts";
import {
  CHUNKED_OPTIONS,
  SEQUENTIAL_OPTIONS,
  VAD_TRANSCRIPTION_OPTIONS,
  type ChunkedOptions,
  type ManyChunkedOptions,
  type ManySequentialOptions,
  type ManyVadTranscriptionOptions,
  type Progress,
  type Segment,
  type SequentialOptions,
  type VadTranscriptionOptions,
} from "../transcription/index.ts";
import { ALGORITHMS, type Algorithm } from "./choices.ts";

/**
 * Options under the names that they have elsewhere: in Hugging Face's pipeline and `generate`, openai/whisper and faster-whisper, in the
 * spelling of JavaScript. `returnTimestamps: "word"` is Hugging Face's too.
 */
export const ALIASES = {
  maxNewTokens: "sampleLength",
  sampleLen: "sampleLength",
  numBeams: "beamSize",
  chunkLengthS: "chunkLength",
  strideLengthS: "strideLength",
  logProbThreshold: "logprobThreshold",
  conditionOnPrevTokens: "conditionOnPreviousText",
  multilingual: "languagePerWindow",
} as const;

/** What a call may ask of the audio. */
type AudioOptions = Omit<LoadAudioOptions, "signal">;

interface TimestampOptions {
  /**
   * Default true: the model is asked when each segment begins and ends, and the transcript has `chunks`. False: the chunked algorithm
   * gives one segment that holds the whole text, the others give segments with times but no `chunks`. "word" is true
   * with `wordTimestamps`.
   */
  readonly returnTimestamps?: boolean | "word" | undefined;
}

/** Options that only other algorithms have, so that the compiler refuses them. */
type No<Own, Others> = { readonly [K in Exclude<keyof Named<Others>, keyof Named<Own>>]?: undefined };
type Chunked = Omit<ChunkedOptions, "returnTimestamps">;
type Vad = VadTranscriptionOptions;
type Named<T> = T & Aliased<T, typeof ALIASES>;

/** What a call may ask of the vad algorithm, which is the default. */
export interface VadTranscribeOptions
  extends Vad, Aliased<Vad, typeof ALIASES>, AudioOptions, TimestampOptions, No<Vad, Chunked & SequentialOptions> {
  readonly algorithm?: "vad" | undefined;
}

/** What a call may ask of the chunked algorithm. */
export interface ChunkedTranscribeOptions
  extends
    Chunked,
    Aliased<Chunked, typeof ALIASES>,
    AudioOptions,
    TimestampOptions,
    No<Chunked, Vad & SequentialOptions> {
  /** May be left out beside an option that only this algorithm has: `{ strideLength: 2 }`. */
  readonly algorithm?: "chunked" | undefined;
}

/** What a call may ask of the sequential algorithm: names, defaults and meaning are openai/whisper's. */
export interface SequentialTranscribeOptions
  extends
    SequentialOptions,
    Aliased<SequentialOptions, typeof ALIASES>,
    AudioOptions,
    TimestampOptions,
    No<SequentialOptions, Vad & Chunked> {
  /** May be left out beside an option that only this algorithm has: `{ conditionOnPreviousText: true }`. */
  readonly algorithm?: "sequential" | undefined;
}

/**
 * What a call may ask. Which algorithm runs is `algorithm`, else vad if it has all options that are given, else the first that has them of
 * chunked and sequential.
 */
export type TranscribeOptions = VadTranscribeOptions | ChunkedTranscribeOptions | SequentialTranscribeOptions;

interface ManyEvents {
  readonly onProgress?: ((progress: Progress, index: number) => void) | undefined;
  readonly onSegment?: ((segment: Segment, index: number) => void) | undefined;
}

/** The same for several recordings: what is reported says of which one, by its index. */
export type TranscribeManyOptions =
  ManyVadTranscribeOptions | ManyChunkedTranscribeOptions | ManySequentialTranscribeOptions;

export interface ManyVadTranscribeOptions extends Omit<VadTranscribeOptions, keyof ManyEvents>, ManyEvents {}
export interface ManyChunkedTranscribeOptions extends Omit<ChunkedTranscribeOptions, keyof ManyEvents>, ManyEvents {}
export interface ManySequentialTranscribeOptions
  extends Omit<SequentialTranscribeOptions, keyof ManyEvents>, ManyEvents {}

/** An option of the table. */
interface TranscribeOption {
  readonly kind: OptionKind;
  readonly algorithms: readonly Algorithm[];
}

/** Each algorithm's own options. */
const OPTIONS_OF: Readonly<Record<Algorithm, Readonly<Record<string, OptionKind>>>> = {
  vad: VAD_TRANSCRIPTION_OPTIONS,
  chunked: CHUNKED_OPTIONS,
  sequential: SEQUENTIAL_OPTIONS,
};

/** What every algorithm takes. */
const OPTIONS_OF_ALL = {
  ...AUDIO_OPTIONS,
  returnTimestamps: anyOf(flag, oneOf(["word"])),
  algorithm: oneOf(ALGORITHMS),
};

/** All options, by their own names. */
export const TRANSCRIBE_OPTIONS: Readonly<Record<string, TranscribeOption>> = Object.fromEntries([
  ...ALGORITHMS.flatMap((algorithm) => Object.entries(OPTIONS_OF[algorithm])).map(([name, kind]) => [
    name,
    { kind, algorithms: ALGORITHMS.filter((one) => Object.hasOwn(OPTIONS_OF[one], name)) },
  ]),
  ...Object.entries(OPTIONS_OF_ALL).map(([name, kind]) => [name, { kind, algorithms: ALGORITHMS }]),
]) as Record<string, TranscribeOption>;

const NAMES: readonly string[] = [...Object.keys(TRANSCRIBE_OPTIONS), ...Object.keys(ALIASES)];

/** An algorithm and its own options. */
export type AlgorithmOptions =
  | { readonly algorithm: "vad"; readonly options: ManyVadTranscriptionOptions }
  | { readonly algorithm: "chunked"; readonly options: ManyChunkedOptions }
  | { readonly algorithm: "sequential"; readonly options: ManySequentialOptions };

/** Options after the check: the audio's, and the algorithm's own. */
export type ResolvedTranscribe = {
  readonly audio: AudioOptions;
  readonly returnTimestamps: boolean;
} & AlgorithmOptions;

/**
 * Checks options, gives them their own names, and chooses the algorithm.
 *
 * @param where what is called, for messages
 * @throws {OptionError} for a name or value that does not exist, an option under two names, and options that no algorithm has together
 */
export function resolveTranscribe(where: string, asked: unknown): ResolvedTranscribe {
  assertOptionNames(where, asked, NAMES);
  const { algorithm: _, ...given } = withoutAliases(asked, ALIASES);
  // In the words of the caller, who may have said numBeams.
  for (const [name, value] of Object.entries(asked)) {
    assertOption(name, value, optionOf(name).kind);
  }
  const algorithm = chooseAlgorithm(asked);
  const audio: Record<string, unknown> = {};
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const isAudio = Object.hasOwn(AUDIO_OPTIONS, name) && name !== "signal";
    (isAudio ? audio : options)[name] = value;
  }
  const returnTimestamps = resolveTimestamps(options);
  if (algorithm === "chunked") options["returnTimestamps"] = returnTimestamps;
  return { audio, returnTimestamps, algorithm, options } as ResolvedTranscribe;
}

/** The algorithm that is named, else the first that has all options. @throws {OptionError} if it lacks one of them */
function chooseAlgorithm(asked: Readonly<Record<string, unknown>>): Algorithm {
  const named = asked["algorithm"] as Algorithm | undefined;
  const given = Object.keys(asked).filter((name) => asked[name] !== undefined);
  const lacking = (algorithm: Algorithm): string | undefined =>
    given.find((name) => !optionOf(name).algorithms.includes(algorithm));
  if (named !== undefined) {
    const foreign = lacking(named);
    if (foreign === undefined) return named;
    throw new OptionError(foreign, `Option "${foreign}" does not exist in algorithm "${named}"`, {
      hint: `algorithm ${quoted(optionOf(foreign).algorithms)} has it`,
    });
  }
  const fitting = ALGORITHMS.find((algorithm) => lacking(algorithm) === undefined);
  if (fitting !== undefined) return fitting;
  const narrow = given.filter((name) => optionOf(name).algorithms.length < ALGORITHMS.length);
  const [one, other] = conflicting(narrow);
  throw new OptionError(other, `Cannot use ${other} together with ${one}: no algorithm has both`, {
    hint:
      `${other} is of algorithm ${quoted(optionOf(other).algorithms)}, ` +
      `${one} of ${quoted(optionOf(one).algorithms)}; leave out one of them`,
  });
}

/** Two options that no algorithm has together; the first and the last where only more of them exclude each other. */
function conflicting(names: readonly string[]): [one: string, other: string] {
  for (const [i, other] of names.entries()) {
    const one = names
      .slice(0, i)
      .find((name) => !optionOf(name).algorithms.some((each) => optionOf(other).algorithms.includes(each)));
    if (one !== undefined) return [one, other];
  }
  return [names[0], names[names.length - 1]];
}

function quoted(algorithms: readonly Algorithm[]): string {
  return algorithms.map((algorithm) => `"${algorithm}"`).join(" or ");
}

/** By its own name or another. */
function optionOf(name: string): TranscribeOption {
  return TRANSCRIBE_OPTIONS[name in ALIASES ? ALIASES[name as keyof typeof ALIASES] : name];
}

/** Takes `returnTimestamps` out of the options, and turns on what "word" stands for. */
function resolveTimestamps(options: Record<string, unknown>): boolean {
  const { returnTimestamps: asked } = options;
  delete options["returnTimestamps"];
  const isOff = options["withoutTimestamps"] === true;
  if (isOff && asked !== undefined && asked !== false) {
    throw new OptionError("withoutTimestamps", "Cannot use withoutTimestamps together with returnTimestamps", {
      hint: "leave out one of them",
    });
  }
  if (asked === "word") {
    if (options["wordTimestamps"] === false) {
      throw new OptionError("returnTimestamps", 'Cannot use "word" as returnTimestamps: wordTimestamps is false', {
        hint: "leave out one of them",
      });
    }
    options["wordTimestamps"] = true;
  }
  return asked === undefined ? !isOff : asked !== false;
}
