/** Samples in, log-Mel spectrograms out. */
export { CHUNK_LENGTH, HOP_LENGTH, N_FFT, N_FRAMES, N_SAMPLES } from "./constants.ts";
export { LogMel, LogMelBuilder } from "./log-mel-builder.ts";
export { logMelSpectrogram, logMelWindow, sliceFrames } from "./log-mel-spectrogram.ts";
export { melFilters } from "./mel-filters.ts";
