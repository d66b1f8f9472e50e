/** Sizes of Silero's network at 16 kHz. */

/** Samples of a frame, the unit that gets one probability: 32 ms. */
export const FRAME_SAMPLES = 512;

/** Samples before a frame that the network sees with it. */
export const CONTEXT_SAMPLES = 64;

/** Samples that are mirrored at the end of a frame before its spectra are computed. */
export const MIRRORED_SAMPLES = 64;

/** Columns of a frame's spectrogram: one every 128 samples. */
export const COLUMNS = 4;
export const HOP_SAMPLES = 128;

/** Samples of one column, and the bins of its spectrum. */
export const N_FFT = 256;
export const N_BINS = N_FFT / 2 + 1;

/** Size of the recurrent state and of the cell. */
export const N_HIDDEN = 128;

/** The sample rate, in Hz, and per millisecond. */
export const SAMPLES_PER_SECOND = 16000;
export const SAMPLES_PER_MS = 16;
