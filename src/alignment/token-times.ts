/**
 * When each text token of a window is spoken. The model is run over the known text; in some heads of its cross-attention, the
 * alignment heads, each token looks at the sound it stands for, and dynamic time warping makes one monotone path of that.
 *
 * After openai/whisper's timing.py `find_alignment` (v20250625; facts 2.5.1 to 2.5.3).
 */
import type { AttendRequest, Attention, AudioState, Engine } from "../engine/engine.ts";
import type { ModelDimensions } from "../model/index.ts";
import { assertShape, type Tensor } from "../tensor/index.ts";
import { dtw } from "./dtw.ts";
import { createRowFilter } from "./median-filter.ts";

/** A text token and when it is spoken, in seconds from the start of its window, or from where the request said. */
export interface TokenTiming {
  readonly token: number;
  readonly start: number;
  /** Where the next token starts. */
  readonly end: number;
  /** Among the text tokens, where the model had to predict it. */
  readonly probability: number;
}

/** Text tokens of one window. */
export interface AlignRequest {
  /** Index of the window in the audio state. */
  readonly window: number;
  /** startoftranscript and, for a multilingual model, language and task. */
  readonly startSequence: readonly number[];
  /** Text tokens alone: no special token, no timestamp. */
  readonly textTokens: readonly number[];
  /** Mel frames of the window that are sound, not padding: at most 2 * nAudioCtx. */
  readonly frames: number;
  /** Seconds to add to all times, for windows whose tokens are to be joined: the window's start. Default 0. */
  readonly timeOffset?: number | undefined;
}

/** Special tokens that stand around the text. */
export interface AlignTokens {
  readonly eot: number;
  readonly noTimestamps: number;
}

/** What of an engine alignment needs. */
export type AligningEngine = Pick<Engine, "attend" | "dimensions" | "parallelism">;

/** Heads that are averaged: `alignmentHeads()` of model/ knows them. */
export type Heads = readonly (readonly [layer: number, head: number])[];

/** Encoder positions a second (facts 0.1). */
const POSITIONS_PER_SECOND = 50;
/** Positions the median is taken over: 0.14 s. */
const MEDIAN_WIDTH = 7;

/**
 * Aligns the texts of several windows.
 *
 * Text that does not fit the decoder (nTextCtx less the tokens around it) is aligned as far as it fits; tokens beyond lie at
 * the end of the window, with probability 0.
 *
 * @returns for each request, in order, one timing a token
 */
export async function alignTokens(
  engine: AligningEngine,
  audio: AudioState,
  requests: readonly AlignRequest[],
  heads: Heads,
  special: AlignTokens,
): Promise<TokenTiming[][]> {
  const results: TokenTiming[][] = requests.map(() => []);
  const texts = requests.map((request) => textThatFits(request, engine.dimensions));
  const open = requests.map((_, i) => i).filter((i) => texts[i].length > 0);
  // Scores are large (30 MB for a long text and 23 heads), so no more are held than the engine makes side by side.
  const lanes = Math.max(1, engine.parallelism);
  for (let at = 0; at < open.length; at += lanes) {
    const batch = open.slice(at, at + lanes);
    const asked = batch.map((i): AttendRequest => {
      const { window, startSequence } = requests[i];
      const tokens = [...startSequence, special.noTimestamps, ...texts[i], special.eot];
      return { window, tokens, from: startSequence.length, eot: special.eot };
    });
    const given = await engine.attend(audio, asked, heads);
    for (const [k, i] of batch.entries()) {
      const { textTokens, frames, timeOffset = 0 } = requests[i];
      const timings = tokenTimes(given[k], texts[i], asked[k].from, frames);
      const { end } = timings[timings.length - 1];
      for (const token of textTokens.slice(texts[i].length)) timings.push({ token, start: end, end, probability: 0 });
      results[i] = timings.map((timing) => ({
        ...timing,
        start: timeOffset + timing.start,
        end: timeOffset + timing.end,
      }));
    }
  }
  return results;
}

function textThatFits({ startSequence, textTokens }: AlignRequest, { nTextCtx }: ModelDimensions): readonly number[] {
  return textTokens.slice(0, Math.max(0, nTextCtx - startSequence.length - 2));
}

/**
 * Times of the text tokens, from what the engine gives for them.
 *
 * @param attention scores [heads, tokens, nAudioCtx] of start sequence, notimestamps, text and endoftext
 * @param textTokens the text, at least one token
 * @param from index of notimestamps among the tokens
 * @param frames mel frames that are sound
 * @throws {ShapeError} if the scores are of another number of tokens
 */
export function tokenTimes(
  { scores, tokenProbs }: Attention,
  textTokens: readonly number[],
  from: number,
  frames: number,
): TokenTiming[] {
  assertShape("scores", scores, ["heads", from + textTokens.length + 2, "nAudioCtx"]);
  const { data, dims } = alignmentMatrix(scores, from, frames);
  const [nRows, nColumns] = dims;
  for (let i = 0; i < data.length; i++) data[i] = -data[i];
  const path = dtw(data, nRows, nColumns);
  // A token is predicted at the row of the token before it, and is spoken where the path comes to that row.
  const starts: number[] = [];
  for (const [k, row] of path.rows.entries()) {
    if (row === starts.length) starts.push(path.columns[k] / POSITIONS_PER_SECOND);
  }
  return textTokens.map((token, i) => ({
    token,
    start: starts[i],
    end: starts[i + 1],
    probability: tokenProbs[i],
  }));
}

/**
 * How much each token looks at each moment, more than other tokens do.
 *
 * Scores become weights by a softmax over the sound; weights are standardised over the tokens (standard deviation of the
 * population), so that moments that all tokens look at do not count; a median over time and the mean over the heads
 * follow. Where a moment has the same weight for all tokens it says nothing: 0 (openai/whisper divides 0 by 0 there).
 *
 * @param scores [heads, tokens, nAudioCtx]
 * @param from rows before it, the start sequence, are left out of the result; so is the last one, endoftext
 * @param frames mel frames that are sound, two for each position
 * @returns [tokens - from - 1, positions]
 */
export function alignmentMatrix(scores: Tensor, from: number, frames: number): Tensor {
  const [nHeads, nTokens, nAudioCtx] = scores.dims;
  const nPositions = Math.min(nAudioCtx, Math.max(1, Math.floor(frames / 2)));
  const nRows = nTokens - from - 1;
  const sums = new Float64Array(nRows * nPositions);
  const weights = new Float32Array(nTokens * nPositions);
  const mean = new Float64Array(nPositions);
  const scale = new Float64Array(nPositions);
  const row = new Float32Array(nPositions);
  const filtered = new Float32Array(nPositions);
  const filterRow = createRowFilter(nPositions, MEDIAN_WIDTH);
  for (let head = 0; head < nHeads; head++) {
    for (let token = 0; token < nTokens; token++) {
      const at = (head * nTokens + token) * nAudioCtx;
      softmax(scores.data, at, nPositions, weights, token * nPositions);
    }
    measureColumns(weights, mean, scale);
    for (let i = 0; i < nRows; i++) {
      const at = (from + i) * nPositions;
      for (let p = 0; p < nPositions; p++) row[p] = (weights[at + p] - mean[p]) * scale[p];
      filterRow(row, filtered);
      const into = i * nPositions;
      for (let p = 0; p < nPositions; p++) sums[into + p] += filtered[p];
    }
  }
  const data = new Float32Array(sums.length);
  for (let i = 0; i < sums.length; i++) data[i] = sums[i] / nHeads;
  return { data, dims: [nRows, nPositions] };
}

/** Of `length` scores at `from`, written to `into` at `to`. */
function softmax(scores: Float32Array, from: number, length: number, into: Float32Array, to: number): void {
  let max = -Infinity;
  for (let i = 0; i < length; i++) if (scores[from + i] > max) max = scores[from + i];
  let sum = 0;
  for (let i = 0; i < length; i++) {
    const power = Math.exp(scores[from + i] - max);
    into[to + i] = power;
    sum += power;
  }
  const scale = 1 / sum;
  for (let i = 0; i < length; i++) into[to + i] *= scale;
}

/** Mean of each column, and 1 / its standard deviation, or 0 where it does not vary. */
function measureColumns(values: Float32Array, mean: Float64Array, scale: Float64Array): void {
  const nColumns = mean.length;
  const nRows = values.length / nColumns;
  mean.fill(0);
  scale.fill(0);
  for (let at = 0; at < values.length; at += nColumns) {
    for (let c = 0; c < nColumns; c++) mean[c] += values[at + c];
  }
  for (let c = 0; c < nColumns; c++) mean[c] /= nRows;
  for (let at = 0; at < values.length; at += nColumns) {
    for (let c = 0; c < nColumns; c++) {
      const difference = values[at + c] - mean[c];
      scale[c] += difference * difference;
    }
  }
  for (let c = 0; c < nColumns; c++) scale[c] = scale[c] > 0 ? 1 / Math.sqrt(scale[c] / nRows) : 0;
}
