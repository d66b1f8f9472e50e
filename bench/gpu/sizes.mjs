// Sizes of the models that are measured: the published ones, or toys that are like them.
import { SIZES } from "../../scripts/make-random-checkpoint.mjs";
import { isSmall } from "./report.mjs";

const TOY = {
  ...{ nAudioCtx: 150, nAudioState: 128, nAudioHead: 2, nAudioLayer: 2 },
  ...{ nTextCtx: 64, nTextState: 128, nTextHead: 2, nTextLayer: 2 },
};

export function dimensionsOf(model) {
  const dimensions = SIZES[model];
  if (dimensions === undefined)
    throw new Error(`No model "${model}", expected one of ${Object.keys(SIZES).join(", ")}`);
  return isSmall ? { ...dimensions, ...TOY } : dimensions;
}

/** The special tokens of a vocabulary, as facts 0.6 has them. */
export function specialsOf({ nVocab }) {
  const later = nVocab === 51866 ? 1 : 0;
  return {
    eot: 50257,
    sot: 50258,
    english: 50259,
    transcribe: 50359 + later,
    noSpeech: 50362 + later,
    noTimestamps: 50363 + later,
    timestampBegin: 50364 + later,
  };
}

/** Floating-point operations of a window's encoder, cross-attention keys and values included. */
export function encoderFlops({ nMels, nAudioCtx, nAudioState: d, nAudioLayer, nTextLayer }) {
  const convolutions = 2 * 2 * nAudioCtx * d * 3 * nMels + 2 * nAudioCtx * d * 3 * d;
  const layer = 2 * nAudioCtx * 12 * d * d + 4 * nAudioCtx * nAudioCtx * d;
  return convolutions + nAudioLayer * layer + nTextLayer * 2 * nAudioCtx * 2 * d * d;
}

/** Bytes that a decoder must read to generate: its weights once a step, each window's keys and values once a step of its row. */
export function decoderBytes({ nAudioCtx, nTextState: d, nTextLayer, nVocab }, counts, size = 2) {
  const weights = size * (nTextLayer * 14 * d * d + nVocab * d);
  const cross = size * nTextLayer * 2 * nAudioCtx * d;
  const self = size * nTextLayer * 2 * d;
  const steps = counts.reduce((a, b) => Math.max(a, b), 0);
  const rows = counts.reduce((sum, n) => sum + n * cross + (n * (n + 8) * self) / 2, 0);
  return steps * weights + rows;
}
