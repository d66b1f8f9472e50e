/**
 * The door of this folder: any kind of audio in, mono 16 kHz samples out, as a stream. WAV is read here; other formats
 * go to node-av in a thread, and where that is missing or fails, to the ffmpeg program. Heavy modules are loaded when they are needed.
 */

import { fileURLToPath } from "node:url";

import { InputError, UnsupportedAudioError } from "../errors.ts";
import { abortSignal, assertOptions, flag, number, whole, type OptionKind } from "../options/index.ts";
import { abortable } from "./abortable.ts";
import type { AudioGap, AudioInput, AudioStream, LoadAudioOptions } from "./audio-input.ts";
import { ByteSource, describe, emptyError, iterateStream, oneChunk, openFile, toBytes } from "./byte-source.ts";
import type { SampleFormat } from "./channels.ts";
import {
  DEFAULT_MAX_BYTES,
  DEFAULT_MAX_LOAD_SECONDS,
  DEFAULT_MAX_STREAM_SECONDS,
  DEFAULT_MIN_BYTES_PER_SECOND,
  DEFAULT_TIMEOUT_MS,
  SAMPLE_RATE,
} from "./constants.ts";
import { DecodeFailure, DecoderUnavailable, type Decoder, type OpenDecoder } from "./decoder.ts";
import { regularPieces } from "./pieces.ts";
import { concatenate, Resampler } from "./resample.ts";
import { checkedSamples, checkSampled, looksSampled, sampledPieces } from "./samples.ts";
import { sniff, SNIFF_BYTES } from "./sniff.ts";
import { noSuchTrack } from "./tracks.ts";
import { parseWavHeader, readWav, type WavHeader } from "./wav.ts";
import { WarningList } from "./warnings.ts";

/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** All options, and the values that each takes. */
export const AUDIO_OPTIONS = {
  signal: abortSignal,
  allowPrivateAddresses: flag,
  proxyLookup: flag,
  maxBytes: number({ above: 0 }),
  timeoutMs: number({ above: 0, to: MAX_TIMER_MS }),
  downloadTimeoutMs: number({ above: 0 }),
  minBytesPerSecond: number({ from: 0 }),
  audioTrack: whole(1),
  maxSeconds: number({ above: 0 }),
} as const satisfies Readonly<Record<keyof LoadAudioOptions, OptionKind>>;

/** A WAV whose samples begin later than this is left to the other decoders: some recorders put pictures first. */
const MAX_WAV_HEADER_BYTES = 2 ** 20;

/** node-av, then ffmpeg. */
const DECODERS: readonly Decoder[] = [
  async (path, options) => (await import("./decoder-thread.ts")).openInThread(path, options),
  async (path, options) => (await import("./ffmpeg.ts")).openWithFfmpeg(path, options),
];

/** What an input becomes before it is cut into regular pieces. */
interface Opened {
  readonly name: string;
  readonly durationHint: number | null;
  readonly stride?: readonly [number, number] | null;
  /** Mono samples at 16 kHz. Leaving early closes. */
  readonly samples: AsyncGenerator<Float32Array>;
  /** Frees what is held if `samples` was never started. */
  close(): Promise<void>;
}

interface Context {
  readonly options: LoadAudioOptions;
  readonly signal: AbortSignal | undefined;
  readonly maxBytes: number;
  readonly warnings: WarningList;
  readonly gaps: AudioGap[];
  readonly decoders: readonly Decoder[];
}

/**
 * Opens audio of any kind. Its beginning is read already: what is no audio is refused here, not by the iteration.
 *
 * Downloads, and streams of anything but WAV, are copied to a temporary file first, which goes with the stream.
 *
 * @throws {InputError} if it cannot be read: no such file, a folder, a server's refusal, a private address
 * @throws {UnsupportedAudioError} if it is empty, or no decoder here makes audio of it
 * @throws {TypeError} if it is nothing that could be audio
 * @throws {OptionError} if an option, the rate or the stride cannot be
 */
export function openAudio(input: AudioInput, options: LoadAudioOptions = {}): Promise<AudioStream> {
  return openAudioWith(DECODERS, input, options);
}

/** `openAudio` with other decoders, tried in order: for tests. */
export async function openAudioWith(
  decoders: readonly Decoder[],
  input: AudioInput,
  options: LoadAudioOptions,
): Promise<AudioStream> {
  assertOptions("openAudio", options, AUDIO_OPTIONS);
  const { signal, maxBytes = DEFAULT_MAX_BYTES, maxSeconds = DEFAULT_MAX_STREAM_SECONDS } = options;
  signal?.throwIfAborted();
  const warnings = new WarningList();
  const gaps: AudioGap[] = [];
  const opened = await openInput(input, { options, signal, maxBytes, warnings, gaps, decoders });
  const samples = regularPieces(opened.samples, { name: opened.name, maxSeconds, signal, warnings });
  let read = false;
  return {
    name: opened.name,
    durationHint: opened.durationHint,
    warnings: warnings.texts,
    gaps,
    stride: opened.stride ?? null,
    [Symbol.asyncIterator]() {
      if (read) throw new Error(`Cannot read "${opened.name}" twice: open it again`);
      read = true;
      return samples;
    },
    async close() {
      await samples.return(undefined);
      await opened.samples.return(undefined);
      await opened.close();
    },
  };
}

/**
 * Reads the whole of it: for short audio and the model-level API.
 *
 * @returns mono samples at 16 kHz; the stride of `{ array, samplingRate, stride }` is not cut off
 * @throws as `openAudio` does
 */
export async function loadAudio(input: AudioInput, options: LoadAudioOptions = {}): Promise<Float32Array> {
  const stream = await openAudio(input, { maxSeconds: DEFAULT_MAX_LOAD_SECONDS, ...options });
  const pieces: Float32Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return concatenate(pieces);
}

function openInput(input: AudioInput, context: Context): Promise<Opened> {
  if (typeof input === "string") {
    if (/^https?:\/\//i.test(input)) return openUrl(parseUrl(input), context);
    if (/^file:\/\//i.test(input)) return openPath(urlToPath(parseUrl(input)), context);
    return openPath(input, context);
  }
  if (input instanceof URL) {
    if (input.protocol === "file:") return openPath(urlToPath(input), context);
    if (input.protocol === "http:" || input.protocol === "https:") return openUrl(input, context);
    throw new InputError(
      input.href.slice(0, 80),
      `its protocol is "${input.protocol}", expected http:, https: or file:`,
    );
  }
  if (input instanceof Float32Array) return openSamples(input, SAMPLE_RATE, null, context);
  if (input instanceof Uint8Array || input instanceof ArrayBuffer) return openBytes(toBytes(input), context);
  if (typeof input !== "object" || input === null || Array.isArray(input) || ArrayBuffer.isView(input)) {
    throw wrongType(input);
  }
  if (input instanceof Blob) return openBlob(input, context);
  if (Symbol.asyncIterator in input) return openIterable(input as AsyncIterable<unknown>, context);
  if (input instanceof ReadableStream) return openIterable(iterateStream<unknown>(input), context);
  if (looksSampled(input)) return openSamples(input.array, input.samplingRate, checkSampled(input), context);
  throw wrongType(input);
}

/** Of what has one track: samples, and WAV. */
function assertOnlyTrack(name: string, { audioTrack = 1 }: LoadAudioOptions): void {
  if (audioTrack > 1) throw new UnsupportedAudioError(name, noSuchTrack(audioTrack, 1));
}

function wrongType(input: unknown): TypeError {
  const hint = Array.isArray(input)
    ? "\nHint: Float32Array.from(samples) makes samples of an array"
    : input instanceof Int16Array
      ? "\nHint: Float32Array.from(samples, (s) => s / 32768) makes samples of 16-bit integers"
      : "";
  return new TypeError(
    `Cannot read audio from a value of type ${describe(input)}, expected a path, a URL, the bytes of a file, a Blob, ` +
      `a Float32Array of samples at 16 kHz, { array, samplingRate }, or a stream of bytes or samples${hint}`,
  );
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new InputError(text, "it is no valid URL", { cause });
  }
}

function urlToPath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new InputError(url.href, "it names no file of this machine", { cause });
  }
}

async function openPath(path: string, context: Context): Promise<Opened> {
  if (path === "") throw new InputError(path, "the path is empty");
  if (path.includes("\0")) throw new InputError(path.replaceAll("\0", "\\0"), "the path holds a zero byte");
  return openSource(await openFile(path, context.signal), context);
}

async function openUrl(url: URL, context: Context): Promise<Opened> {
  const {
    allowPrivateAddresses = false,
    proxyLookup = false,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    downloadTimeoutMs: totalTimeoutMs = Infinity,
    minBytesPerSecond = DEFAULT_MIN_BYTES_PER_SECOND,
  } = context.options;
  const { signal, maxBytes } = context;
  const patience = { timeoutMs, totalTimeoutMs, minBytesPerSecond };
  const { download } = await import("./download.ts");
  const source = await download(url, { signal, maxBytes, allowPrivateAddresses, proxyLookup, ...patience });
  // Kept on disk at once: a server does not wait while an hour is transcribed.
  return openSpooled(source, context);
}

async function openBytes(bytes: Uint8Array, context: Context, name = "audio"): Promise<Opened> {
  if (bytes.length === 0) throw emptyError(name);
  const source = new ByteSource(name, oneChunk(bytes), { size: bytes.length });
  return openSource(source, { ...context, maxBytes: Math.max(context.maxBytes, bytes.length) });
}

async function openBlob(blob: Blob, context: Context): Promise<Opened> {
  const name = "name" in blob && typeof blob.name === "string" && blob.name !== "" ? blob.name : "audio";
  if (blob.size === 0) throw emptyError(name);
  return openSource(
    new ByteSource(name, iterateStream<Uint8Array>(blob.stream()), { size: blob.size, signal: context.signal }),
    context,
  );
}

/** The first piece tells samples from bytes. */
async function openIterable(iterable: AsyncIterable<unknown>, context: Context): Promise<Opened> {
  const iterator = iterable[Symbol.asyncIterator]();
  let first: IteratorResult<unknown>;
  do first = await abortable(iterator.next(), context.signal);
  while (first.done !== true && (first.value as { length?: number }).length === 0);
  const whole = prepend(first, iterator, context.signal);
  if (first.done === true || first.value instanceof Float32Array) {
    assertOnlyTrack("audio", context.options);
    const samples = checkedSamples(whole);
    return { name: "audio", durationHint: null, samples, close: () => whole.close() };
  }
  const bytes = (async function* () {
    try {
      for await (const chunk of whole) yield toBytes(chunk);
    } finally {
      await whole.close();
    }
  })();
  return openSource(new ByteSource("audio", bytes), context);
}

/** The first result, then the rest; waits of a silent stream end with the signal. */
function prepend<T>(first: IteratorResult<T>, rest: AsyncIterator<T>, signal: AbortSignal | undefined) {
  let next: IteratorResult<T> | undefined = first;
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    // Not awaited: a generator that waits for its own source would not answer before that does.
    void Promise.resolve(rest.return?.()).catch(() => undefined);
  };
  const whole: AsyncIterableIterator<T> & { close(): Promise<void> } = {
    [Symbol.asyncIterator]: () => whole,
    async next() {
      if (closed) return { done: true, value: undefined };
      const result = next ?? (await abortable(rest.next(), signal));
      next = undefined;
      if (result.done === true) closed = true;
      return result;
    },
    async return() {
      await close();
      return { done: true, value: undefined };
    },
    close,
  };
  return whole;
}

async function openSamples(
  array: Float32Array | Float64Array,
  rate: number,
  stride: readonly [number, number] | null,
  { options, warnings }: Context,
): Promise<Opened> {
  assertOnlyTrack("audio", options);
  const samples = sampledPieces(array, rate, warnings);
  return { name: "audio", durationHint: array.length / rate, stride, samples, close: async () => {} };
}

/** Bytes of a file: WAV is read here, what is surely no audio is refused, the rest goes to a decoder. */
async function openSource(source: ByteSource, context: Context): Promise<Opened> {
  const { warnings } = context;
  try {
    const head = await source.peek(SNIFF_BYTES);
    if (head.length === 0) throw emptyError(source.name);
    const kind = sniff(head);
    if (kind.kind === "other") throw new UnsupportedAudioError(source.name, kind.reason);
    const header = kind.kind === "wav" ? await readWavHeader(source) : null;
    if (header === null) {
      if (source.path === null) return await openSpooled(source, context);
      await source.close();
      return await openEncoded(source.path, source.name, context);
    }
    assertOnlyTrack(source.name, context.options);
    const bytes = Math.min(header.dataBytes || Infinity, (source.size ?? Infinity) - header.dataOffset);
    const seconds = bytes / header.frameBytes / header.sampleRate;
    return {
      name: source.name,
      durationHint: Number.isFinite(seconds) ? seconds : null,
      samples: wavSamples(header, source, warnings),
      close: () => source.close(),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** `null` if our reader does not know the codec, or finds no samples within reach. */
async function readWavHeader(source: ByteSource): Promise<(WavHeader & { readonly format: SampleFormat }) | null> {
  for (let bytes = SNIFF_BYTES; bytes <= MAX_WAV_HEADER_BYTES; bytes *= 4) {
    const head = await source.peek(bytes);
    const header = parseWavHeader(head, source.name);
    if (header !== null) return header.format === null ? null : { ...header, format: header.format };
    if (head.length < bytes) throw new UnsupportedAudioError(source.name, "it ends within its WAV header");
  }
  return null;
}

async function* wavSamples(
  header: WavHeader & { readonly format: SampleFormat },
  source: ByteSource,
  warnings: WarningList,
): AsyncGenerator<Float32Array> {
  const resampler = header.sampleRate === SAMPLE_RATE ? null : new Resampler(header.sampleRate);
  for await (const piece of readWav(header, source.chunks(), warnings, source.size)) {
    yield resampler === null ? piece : resampler.push(piece);
  }
  if (resampler !== null) yield resampler.flush();
}

/** Copies the source to a temporary file and opens that. */
async function openSpooled(source: ByteSource, context: Context): Promise<Opened> {
  const { spool } = await import("./spool.ts");
  const file = await spool(source, context.maxBytes, context.signal);
  try {
    const opened = await openSource(await openFile(file.path, context.signal, source.name), context);
    const { samples } = opened;
    return {
      ...opened,
      samples: (async function* () {
        try {
          yield* samples;
        } finally {
          await file.remove();
        }
      })(),
      async close() {
        await samples.return(undefined);
        await opened.close();
        await file.remove();
      },
    };
  } catch (error) {
    await file.remove();
    throw error;
  }
}

/** A regular file that is no WAV of ours: tries the decoders in order, reports what each said. */
async function openEncoded(path: string, name: string, context: Context): Promise<Opened> {
  const { signal, warnings, gaps, options } = context;
  const reasons: string[] = [];
  const unavailable: string[] = [];
  for (const decoder of context.decoders) {
    signal?.throwIfAborted();
    try {
      const open = await decoder(path, { name, signal, warnings, gaps, audioTrack: options.audioTrack });
      return {
        name,
        durationHint: open.durationSeconds,
        samples: decodedSamples(open, name),
        close: () => open.close(),
      };
    } catch (error) {
      if (error instanceof DecoderUnavailable) unavailable.push(error.message);
      else if (error instanceof DecodeFailure) reasons.push(error.message);
      else throw error;
    }
  }
  if (unavailable.length === context.decoders.length) {
    const install = "npm install node-av (a decoder for this platform), or put ffmpeg on PATH";
    const both = `${install}, or convert the file to WAV`;
    const broken = unavailable.map(brokenReason).find((reason) => reason !== null);
    const what = broken === undefined ? "is installed" : `works here: ${broken}`;
    throw new UnsupportedAudioError(name, `it is not plain WAV, and no decoder for other formats ${what}`, {
      hint: { library: both, commandLine: both, server: install, client: "convert the file to WAV" },
    });
  }
  throw new UnsupportedAudioError(name, reasons[0], { hint: "check that it plays, or convert it to WAV or FLAC" });
}

/** What keeps node-av's library from loading; null where it is not installed. */
function brokenReason(unavailable: string): string | null {
  const reason = /loading failed: (?:Error: )?(.+)/.exec(unavailable)?.[1];
  return reason === undefined || reason.startsWith("Cannot find module") ? null : `node-av: ${reason}`;
}

async function* decodedSamples(open: OpenDecoder, name: string): AsyncGenerator<Float32Array> {
  try {
    yield* open.pieces();
  } catch (error) {
    throw error instanceof DecodeFailure ? new UnsupportedAudioError(name, error.message, { cause: error }) : error;
  } finally {
    await open.close();
  }
}
