/** The fixed sizes of Whisper's input (facts 0.1). */
import { SAMPLE_RATE } from "../audio/constants.ts";

/** Samples under one frame's window: 25 ms. */
export const N_FFT = 400;

/** Samples between the centres of two frames: 10 ms. */
export const HOP_LENGTH = 160;

/** Seconds in one window of the encoder. */
export const CHUNK_LENGTH = 30;

/** Samples in one window of the encoder. */
export const N_SAMPLES = CHUNK_LENGTH * SAMPLE_RATE;

/** Mel frames in one window of the encoder. */
export const N_FRAMES = N_SAMPLES / HOP_LENGTH;
