/**
 * All that the command line touches of the process around it, so that tests can put something else in its place. The
 * pipeline is imported when it is asked for: `--help` and usage errors need no engine.
 */

import type { Writable } from "node:stream";
import type {
  ChunkedTranscribeOptions,
  Device,
  DTypeOption,
  Segment,
  SequentialTranscribeOptions,
  VadTranscribeOptions,
  Task,
  Transcript,
} from "../index.ts";
import { InputError } from "../errors.ts";
import type { ModelSizes } from "../outputs/index.ts";
import { systemReason } from "./system-reason.ts";

/** What is asked of a pipeline when it is made. */
export interface PipelineSettings {
  readonly device: Device;
  readonly dtype: DTypeOption;
  readonly batchSize?: number;
  readonly threads?: number;
  readonly cacheDir?: string;
  readonly offline?: boolean;
  readonly signal?: AbortSignal;
  readonly onDownload?: (download: ModelDownload) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** Weights that are about to be downloaded; `bytes` is null if the server does not say. */
export interface ModelDownload {
  readonly repository: string;
  readonly bytes: number | null;
  readonly cacheDir: string;
}

/** Bytes of one file of a model; `total` is null if the server does not say. */
export interface DownloadProgress {
  readonly file: string;
  readonly loaded: number;
  readonly total: number | null;
}

/** Seconds of audio that have been transcribed. */
export interface TranscriptionProgress {
  readonly processedSeconds: number;
  readonly totalSeconds: number | null;
}

/** What is asked of one transcription. */
export type TranscriptionSettings = (VadSettings | ChunkedSettings | SequentialSettings) & TranscriptionEvents;

/** What is always said, and not left to the library. */
interface StatedSettings {
  readonly task: Task;
  readonly returnTimestamps: boolean;
}

interface VadSettings
  extends Omit<VadTranscribeOptions, "algorithm" | keyof StatedSettings | keyof TranscriptionEvents>, StatedSettings {
  readonly algorithm: "vad";
}

interface ChunkedSettings
  extends
    Omit<ChunkedTranscribeOptions, "algorithm" | keyof StatedSettings | keyof TranscriptionEvents>,
    StatedSettings {
  readonly algorithm: "chunked";
}

interface SequentialSettings
  extends
    Omit<SequentialTranscribeOptions, "algorithm" | keyof StatedSettings | keyof TranscriptionEvents>,
    StatedSettings {
  readonly algorithm: "sequential";
}

/** `index` says of which input, where there are several. */
interface TranscriptionEvents {
  readonly onProgress?: (progress: TranscriptionProgress, index?: number) => void;
  readonly onSegment?: (segment: Segment, index?: number) => void;
}

/** Path, URL, or encoded bytes as they come. */
export type CliInput = string | AsyncIterable<Uint8Array>;

/** What the command line needs of a pipeline; `WhisperPipeline` is one. */
export interface CliPipeline {
  readonly device?: string;
  readonly dtype?: string;
  /** Of the model; each transcript's begin with them. */
  readonly warnings?: readonly string[];
  readonly engine?: { readonly dimensions: ModelSizes };
  readonly tokenizer?: {
    decode(
      ids: Iterable<number>,
      options?: { readonly skipSpecialTokens?: boolean; readonly timestamps?: boolean },
    ): string;
  };
  transcribe(input: CliInput, options: TranscriptionSettings): Promise<Transcript>;
  /** Yields each input once, in order of completion. */
  transcribeMany(
    inputs: CliInput[],
    options: TranscriptionSettings,
  ): AsyncIterable<{
    readonly index: number;
    readonly transcript?: Transcript | undefined;
    readonly error?: Error | undefined;
  }>;
  dispose(): Promise<void>;
}

/** Standard output cannot be written: the disk it goes to is full, for one. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  constructor(cause: unknown) {
    super(`Cannot write standard output: ${systemReason(cause)}`, { cause });
  }
}

/** A place text is written to; a terminal has `isTTY` and `columns`. */
export type CliOutput = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Names of the signals that stop a run. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** The process, as the commands see it. */
export interface CliHost {
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Aborted when nobody reads stdout any more, or with an `OutputError` when it cannot be written. */
  readonly outputClosed: AbortSignal;
  createPipeline(model: string, settings: PipelineSettings): Promise<CliPipeline>;
  /** Calls the listener at the first Ctrl-C or polite request to end. Returns what takes the listener away. */
  onStop(listener: (signal: StopSignal) => void): () => void;
  /** Ends the process at once, as the signal would have without a listener. */
  die(signal: StopSignal): void;
  /** Milliseconds that work may take to end by itself once the run is to stop. */
  readonly graceMs: number;
  /** Milliseconds, monotone. */
  now(): number;
}

const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM"];

/** Exit code of a program that a signal ended: 128 + the signal's number. */
export function stopExitCode(signal: StopSignal): number {
  return signal === "SIGINT" ? 130 : 143;
}

/**
 * The signal itself ends the process, not `process.exit`: that takes down worker threads in the middle of native code, which
 * ends in an abort with a core dump. A shell sees the same exit code.
 */
function die(signal: StopSignal): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/**
 * Standard input as recordings come through it: nothing at all is an error, as an empty file is. `fd` is its descriptor.
 *
 * @throws {InputError} when it is read, if it is empty, or cannot be read
 */
export function standardInput(
  stream: AsyncIterable<Uint8Array> & { readonly fd?: number },
): AsyncIterable<Uint8Array> & { readonly fd: number | undefined } {
  return {
    fd: stream.fd,
    async *[Symbol.asyncIterator]() {
      let bytes = 0;
      try {
        for await (const piece of stream) {
          bytes += piece.length;
          yield piece;
        }
      } catch (error) {
        throw new InputError("standard input", systemReason(error), { cause: error });
      }
      if (bytes === 0) throw new InputError("standard input", "it is empty");
    },
  };
}

/** The real process. A second Ctrl-C, while the first is being handled, ends it at once. */
export function nodeHost(): CliHost {
  const closed = new AbortController();
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") closed.abort();
    else closed.abort(new OutputError(error));
  });
  process.stderr.on("error", () => undefined); // nobody reads what we have to say: that is no reason to stop
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    // Only touched if asked for: opening stdin of a terminal would keep the process alive.
    get stdin() {
      return standardInput(process.stdin);
    },
    outputClosed: closed.signal,
    async createPipeline(model, settings) {
      const { WhisperPipeline } = await import("../index.ts");
      return WhisperPipeline.fromPretrained(model, settings);
    },
    onStop(listener) {
      let stopping = false;
      const handlers = STOP_SIGNALS.map((signal) => {
        const handler = (): void => {
          if (stopping) die(signal);
          stopping = true;
          listener(signal);
        };
        process.on(signal, handler);
        return () => process.off(signal, handler);
      });
      return () => handlers.forEach((remove) => remove());
    },
    die,
    graceMs: 5000, // about a batch of a small model; longer than that, and a person has lost patience
    now: () => performance.now(),
  };
}
