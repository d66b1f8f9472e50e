/** The sizes of a Whisper network, under openai/whisper's names (facts 0.4, 0.5). */

export interface ModelDimensions {
  /** Mel bins: 80, or 128 for large-v3 and its descendants. */
  readonly nMels: number;
  /** Encoder positions of one window: 1500, which is half of its 3000 mel frames. */
  readonly nAudioCtx: number;
  readonly nAudioState: number;
  readonly nAudioHead: number;
  readonly nAudioLayer: number;
  /** Rows of the token embedding: 51864 English, 51865 multilingual, 51866 large-v3. */
  readonly nVocab: number;
  /** Longest token sequence, prompt included: 448. */
  readonly nTextCtx: number;
  readonly nTextState: number;
  readonly nTextHead: number;
  readonly nTextLayer: number;
}

/** Mel frames of one window: the second convolution halves them. */
export function windowFrames(dimensions: ModelDimensions): number {
  return 2 * dimensions.nAudioCtx;
}

/** Whether the vocabulary has language and task tokens (facts 0.5). */
export function isMultilingual(dimensions: ModelDimensions): boolean {
  return dimensions.nVocab >= 51865;
}

/** Number of languages the vocabulary has tokens for: 99, or 100 with Cantonese (facts 0.5). */
export function numLanguages(dimensions: ModelDimensions): number {
  return dimensions.nVocab - 51765 - (isMultilingual(dimensions) ? 1 : 0);
}

/** Number of parameters, the tied output head counted once. */
export function parameterCount(dimensions: ModelDimensions): number {
  const { nMels, nAudioCtx, nAudioState: a, nAudioLayer, nVocab, nTextCtx, nTextState: t, nTextLayer } = dimensions;
  const attention = (d: number): number => 4 * d * d + 3 * d;
  const mlp = (d: number): number => 8 * d * d + 5 * d;
  const norm = (d: number): number => 2 * d;
  const encoder =
    3 * nMels * a + a + 3 * a * a + a + nAudioCtx * a + nAudioLayer * (attention(a) + mlp(a) + 2 * norm(a)) + norm(a);
  const decoder = (nVocab + nTextCtx) * t + nTextLayer * (2 * attention(t) + mlp(t) + 3 * norm(t)) + norm(t);
  return encoder + decoder;
}
