/**
 * The one rate that Whisper hears, and the ceilings set on audio that comes from outside.
 */

/** Samples per second of everything past this folder (facts 0.1). */
export const SAMPLE_RATE = 16000;

/** Samples in the 30 s window that the encoder reads. */
export const N_SAMPLES = 30 * SAMPLE_RATE;

/** Slowest and fastest sample rates believed, in Hz: telephony halves 8 kHz at worst, DXD doubles 384 kHz; others are damage. */
export const MIN_SAMPLE_RATE = 1000;
export const MAX_SAMPLE_RATE = 768_000;

/** Most channels believed. 22.2 sound has 24, concert recorders 128; a damaged header says 65535. */
export const MAX_CHANNELS = 255;

/** Bytes of a download, or of a stream that has to be kept on disk: 1 GiB is 18 h of speech at 128 kbit/s. */
export const DEFAULT_MAX_BYTES = 2 ** 30;

/** Time without a byte after which a server counts as silent, in ms. */
export const DEFAULT_TIMEOUT_MS = 30_000;

/** Bytes a second below which a server counts as silent: speech codecs of 8 kbit/s send as many in real time. */
export const DEFAULT_MIN_BYTES_PER_SECOND = 1000;

/** Longest stream by default, in seconds: a week. A few MB of compressed silence decode to years, no recording does. */
export const DEFAULT_MAX_STREAM_SECONDS = 7 * 24 * 3600;

/** Longest recording that `loadAudio` keeps in memory by default, in seconds: 12 h are 2.8 GB of samples. */
export const DEFAULT_MAX_LOAD_SECONDS = 12 * 3600;
