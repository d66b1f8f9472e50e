/**
 * What counts as audio at the public border, and what comes out of opening it.
 */

/**
 * Anything that can be transcribed.
 *
 * - a path, a `file:` URL, an `http(s)` URL (as a string or a URL object)
 * - the bytes of a file in any common format: Uint8Array, Buffer, ArrayBuffer, Blob, File
 * - mono samples at 16 kHz: a Float32Array
 * - mono samples at another rate: `{ array, samplingRate, stride? }`
 * - a stream or async iterable of encoded bytes, or of samples at 16 kHz (pieces of any size)
 */
export type AudioInput =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | Blob
  | Float32Array
  | SampledAudio
  | ReadableStream<Uint8Array>
  | ReadableStream<Float32Array>
  | AsyncIterable<Uint8Array>
  | AsyncIterable<Float32Array>;

/** Samples with their rate, as Hugging Face pipelines take them. */
export interface SampledAudio {
  /** Mono, in [-1, 1]; not modified. */
  readonly array: Float32Array | Float64Array;
  /** Hz, a whole number from 1000 to 768000 */
  readonly samplingRate: number;
  /** Samples at `samplingRate` at both ends that are context, not content: their text is dropped. */
  readonly stride?: readonly [left: number, right: number];
}

export interface LoadAudioOptions {
  /** Ends the reading with the signal's reason, an AbortError by default. */
  signal?: AbortSignal;
  /** URLs: also read from this machine and from private networks. Default false. */
  allowPrivateAddresses?: boolean;
  /** Ceiling of a download, and of a stream that has to be kept on disk, in bytes. Default 1 GiB. */
  maxBytes?: number;
  /**
   * URLs, where HTTP_PROXY or HTTPS_PROXY names a proxy: let it look up names that this machine cannot. Default false: a host is
   * looked up and checked here, and the proxy is asked for its address. With `allowPrivateAddresses` the proxy gets the name.
   */
  proxyLookup?: boolean;
  /** URLs: longest time without a byte from the server, in ms. Default 30000. */
  timeoutMs?: number;
  /** URLs: longest time that the server is waited for in all, in ms. Default: as long as it takes. */
  downloadTimeoutMs?: number;
  /** URLs: least bytes a second from the server, over each `timeoutMs`; time that decoding takes does not count. Default 1000. */
  minBytesPerSecond?: number;
  /**
   * Which of a file's audio tracks is read, from 1. Default the one that FFmpeg takes for the best: marked as the default, then with the most
   * channels, then the first; where there are others, a warning says so.
   */
  audioTrack?: number;
  /** Ceiling of the decoded audio, in seconds. Default a week; for `loadAudio`, which keeps it in memory, 12 hours. */
  maxSeconds?: number;
}

/** A time without audio, in seconds from the start. */
export interface AudioGap {
  readonly start: number;
  readonly end: number;
}

/**
 * Mono 16 kHz samples in order, in bounded memory: pieces of 1 to 30 s, the last one shorter. Read it once, or close it.
 * Errors that show only on the way are thrown by the iteration.
 */
export interface AudioStream extends AsyncIterable<Float32Array> {
  /** For messages and output names: the path, the URL without its password, a File's name, or "audio". */
  readonly name: string;
  /** Seconds, where the container says so: for progress, not to be trusted; else `null`. */
  readonly durationHint: number | null;
  /** Filled while decoding: damaged parts, samples replaced, a header that lies. */
  readonly warnings: readonly string[];
  /**
   * Filled while decoding, in order: where the file holds no audio, by its time stamps, or it is damaged. Silence stands there.
   */
  readonly gaps?: readonly AudioGap[];
  /** For `{ array, samplingRate, stride }`: the stride in samples at 16 kHz; else `null`. */
  readonly stride: readonly [left: number, right: number] | null;
  /** Frees what the stream holds. Reading to the end or leaving the loop does it too; may be called twice. */
  close(): Promise<void>;
}
