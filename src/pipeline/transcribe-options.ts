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
  type ChunkedOptions,
  type ManyChunkedOptions,
  type ManySequentialOptions,
  type Progress,
  type Segment,
  type SequentialOptions,
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
   * gives one segment that holds the whole text, the sequential one gives segments with times but no `chunks`. "word" is true
   * with `wordTimestamps`.
   */
  readonly returnTimestamps?: boolean | "word" | undefined;
}

/** Options that only the other algorithm has, so that the compiler refuses them. */
type No<Keys extends PropertyKey> = { readonly [K in Keys]?: undefined };
type Chunked = Omit<ChunkedOptions, "returnTimestamps">;
type OnlySequential = Exclude<keyof Named<SequentialOptions>, keyof Named<ChunkedOptions>>;
type OnlyChunked = Exclude<keyof Named<Chunked>, keyof Named<SequentialOptions>>;
type Named<T> = T & Aliased<T, typeof ALIASES>;

/** What a call may ask of the chunked algorithm, which is the default. */
export interface ChunkedTranscribeOptions
  extends Chunked, Aliased<Chunked, typeof ALIASES>, AudioOptions, TimestampOptions, No<OnlySequential> {
  readonly algorithm?: "chunked" | undefined;
}

/** What a call may ask of the sequential algorithm: names, defaults and meaning are openai/whisper's. */
export interface SequentialTranscribeOptions
  extends
    SequentialOptions,
    Aliased<SequentialOptions, typeof ALIASES>,
    AudioOptions,
    TimestampOptions,
    No<OnlyChunked> {
  /** May be left out beside an option that only this algorithm has: `{ beamSize: 5 }`. */
  readonly algorithm?: "sequential" | undefined;
}

/**
 * What a call may ask. Which algorithm runs is `algorithm`, else the one that alone has an option that is given, else chunked.
 */
export type TranscribeOptions = ChunkedTranscribeOptions | SequentialTranscribeOptions;

interface ManyEvents {
  readonly onProgress?: ((progress: Progress, index: number) => void) | undefined;
  readonly onSegment?: ((segment: Segment, index: number) => void) | undefined;
}

/** The same for several recordings: what is reported says of which one, by its index. */
export type TranscribeManyOptions = ManyChunkedTranscribeOptions | ManySequentialTranscribeOptions;

export interface ManyChunkedTranscribeOptions extends Omit<ChunkedTranscribeOptions, keyof ManyEvents>, ManyEvents {}
export interface ManySequentialTranscribeOptions
  extends Omit<SequentialTranscribeOptions, keyof ManyEvents>, ManyEvents {}

/** An option of the table. */
interface TranscribeOption {
  readonly kind: OptionKind;
  readonly algorithms: readonly Algorithm[];
}

/** All options, by their own names. */
export const TRANSCRIBE_OPTIONS: Readonly<Record<string, TranscribeOption>> = {
  ...table(SEQUENTIAL_OPTIONS, ["sequential"]),
  ...table(CHUNKED_OPTIONS, ["chunked"]),
  ...table(namesOfBoth(), ALGORITHMS),
  ...table(AUDIO_OPTIONS, ALGORITHMS),
  ...table({ returnTimestamps: anyOf(flag, oneOf(["word"])), algorithm: oneOf(ALGORITHMS) }, ALGORITHMS),
};

const NAMES: readonly string[] = [...Object.keys(TRANSCRIBE_OPTIONS), ...Object.keys(ALIASES)];

function table(
  kinds: Readonly<Record<string, OptionKind>>,
  algorithms: readonly Algorithm[],
): Record<string, TranscribeOption> {
  return Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, { kind, algorithms }]));
}

function namesOfBoth(): Readonly<Record<string, OptionKind>> {
  return Object.fromEntries(
    Object.entries(CHUNKED_OPTIONS).filter(([name]) => Object.hasOwn(SEQUENTIAL_OPTIONS, name)),
  );
}

/** Options after the check: the audio's, and the algorithm's own. */
export type ResolvedTranscribe = { readonly audio: AudioOptions; readonly returnTimestamps: boolean } & (
  | { readonly algorithm: "chunked"; readonly options: ManyChunkedOptions }
  | { readonly algorithm: "sequential"; readonly options: ManySequentialOptions }
);

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

/** The algorithm that is named, else that of the options. @throws {OptionError} if it lacks one of them */
function chooseAlgorithm(asked: Readonly<Record<string, unknown>>): Algorithm {
  const named = asked["algorithm"] as Algorithm | undefined;
  const given = Object.keys(asked).filter((name) => asked[name] !== undefined);
  const onlyOf = (algorithm: Algorithm): string | undefined =>
    given.find((name) => optionOf(name).algorithms.every((one) => one === algorithm));
  if (named === undefined) {
    const [chunked, sequential] = [onlyOf("chunked"), onlyOf("sequential")];
    if (chunked !== undefined && sequential !== undefined) {
      throw new OptionError(sequential, `Cannot use ${sequential} together with ${chunked}: no algorithm has both`, {
        hint: `${sequential} is of algorithm "sequential", ${chunked} of "chunked"; leave out one of them`,
      });
    }
    return sequential === undefined ? "chunked" : "sequential";
  }
  const [other] = ALGORITHMS.filter((algorithm) => algorithm !== named);
  const foreign = onlyOf(other);
  if (foreign !== undefined) {
    throw new OptionError(foreign, `Option "${foreign}" does not exist in algorithm "${named}"`, {
      hint: `algorithm "${other}" has it`,
    });
  }
  return named;
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
