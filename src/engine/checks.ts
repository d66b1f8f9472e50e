/**
 * What a caller may ask of an engine, and what an engine may answer: broken requests are refused in words before any work is done, and
 * numbers that are none are an error, not a text.
 */
import { NotFiniteError } from "../errors.ts";
import type { ModelDimensions } from "../model/index.ts";
import { allFinite } from "../tensor/index.ts";
import type {
  Attention,
  AttendRequest,
  AudioWindowRef,
  DecoderRow,
  Engine,
  Generated,
  GenerateRequest,
  RankedTokens,
  RankRequest,
} from "./engine.ts";
import { IDLE } from "./token-scores.ts";

function checkWindow(window: number, batch: number): void {
  if (!Number.isInteger(window) || window < 0 || window >= batch) {
    throw new RangeError(`Cannot decode window ${window}: the audio state has ${batch} windows, counted from 0`);
  }
}

/** @throws {RangeError} if there is nothing to combine, or a state has no such window */
export function checkCombine(windows: readonly AudioWindowRef[]): void {
  if (windows.length === 0) throw new RangeError("Cannot combine no windows");
  for (const { audio, window } of windows) checkWindow(window, audio.batch);
}

/** @param taken positions of one row that these tokens, and those that may follow, take up */
function checkTokens(tokens: ArrayLike<number>, { nVocab, nTextCtx }: ModelDimensions, taken: number): void {
  for (let i = 0; i < tokens.length; i++) {
    if (!Number.isInteger(tokens[i]) || tokens[i] < 0 || tokens[i] >= nVocab) {
      throw new RangeError(`Token ${tokens[i]} is not in the vocabulary, expected an id from 0 to ${nVocab - 1}`);
    }
  }
  if (taken > nTextCtx) {
    throw new RangeError(`Cannot decode ${taken} tokens in one row: the model has room for ${nTextCtx}`);
  }
}

/** @throws {RangeError} if a request names no window or token of this model, or asks for more tokens than fit */
export function checkRequests(requests: readonly GenerateRequest[], batch: number, dimensions: ModelDimensions): void {
  for (const { window, prompt, sotIndex, noSpeech, maxNewTokens } of requests) {
    checkWindow(window, batch);
    if (!Number.isInteger(maxNewTokens) || maxNewTokens < 0) {
      throw new RangeError(`Cannot generate ${maxNewTokens} tokens, expected a whole number`);
    }
    checkTokens([...prompt, noSpeech], dimensions, prompt.length + maxNewTokens);
    if (prompt[sotIndex] === undefined) {
      throw new RangeError(`Index ${sotIndex} of startoftranscript is outside a prompt of ${prompt.length} tokens`);
    }
  }
}

/**
 * @returns the windows listened to, in the order of their rows
 * @throws {RangeError} unless prompts have one length, and the rows of a window lie together, the same number for each
 */
export function checkRows(
  rows: readonly DecoderRow[],
  at: readonly number[] | undefined,
  batch: number,
  dimensions: ModelDimensions,
): number[] {
  if (rows.length === 0) throw new RangeError("Cannot start a decoder of no rows");
  const windows: number[] = [];
  for (const { window, prompt } of rows) {
    checkWindow(window, batch);
    checkTokens(prompt, dimensions, prompt.length);
    if (prompt.length === 0 || prompt.length !== rows[0].prompt.length) {
      const lengths = rows.map((row) => row.prompt.length).join(", ");
      throw new RangeError(`Prompts have ${lengths} tokens, expected one length of at least 1 for all rows`);
    }
    if (windows.at(-1) !== window) windows.push(window);
  }
  const each = rows.length / windows.length;
  const together = Number.isInteger(each) && rows.every(({ window }, i) => window === windows[Math.floor(i / each)]);
  if (!together || new Set(windows).size !== windows.length) {
    const found = rows.map(({ window }) => window).join(", ");
    throw new RangeError(`Rows listen to windows ${found}, expected the same number of rows a window, lying together`);
  }
  for (const position of at ?? []) {
    if (rows[0].prompt[position] === undefined) {
      throw new RangeError(`Position ${position} is outside a prompt of ${rows[0].prompt.length} tokens`);
    }
  }
  return windows;
}

/** @throws {RangeError} unless there is one token of the vocabulary for each row, and room for it */
export function checkStep(tokens: Int32Array, rows: number, length: number, dimensions: ModelDimensions): void {
  if (tokens.length !== rows)
    throw new RangeError(`Got ${tokens.length} tokens, expected one for each of ${rows} rows`);
  checkTokens(tokens, dimensions, length + 1);
}

/** @throws {RangeError} unless there is a token and a text for each row, and something is wanted */
export function checkRank(request: RankRequest, rows: number, length: number, dimensions: ModelDimensions): void {
  const { tokens, generated, k } = request;
  checkStep(
    tokens.map((token) => (token === IDLE ? 0 : token)),
    rows,
    length,
    dimensions,
  );
  if (generated.length !== rows)
    throw new RangeError(`Got ${generated.length} texts, expected one for each of ${rows} rows`);
  if (!Number.isInteger(k) || k < 1) throw new RangeError(`Cannot rank ${k} tokens, expected a whole number from 1`);
}

/** @throws {RangeError} unless every row is followed by a row of its own window */
export function checkReorder(from: Int32Array, rows: number, windows: number): void {
  if (from.length !== rows) throw new RangeError(`Got ${from.length} rows, expected one for each of ${rows}`);
  const each = rows / windows;
  from.forEach((row, i) => {
    if (row < 0 || row >= rows || Math.floor(row / each) !== Math.floor(i / each)) {
      throw new RangeError(`Row ${i} cannot go on from row ${row}: expected a row of the same window`);
    }
  });
}

/** @throws {RangeError} if a request names no window or token of this model, has no text, or a head does not exist */
export function checkAttend(
  requests: readonly AttendRequest[],
  heads: readonly (readonly [layer: number, head: number])[],
  batch: number,
  dimensions: ModelDimensions,
): void {
  for (const { window, tokens, from } of requests) {
    checkWindow(window, batch);
    checkTokens(tokens, dimensions, tokens.length);
    if (!Number.isInteger(from) || from < 0 || from > tokens.length - 2) {
      throw new RangeError(`Index ${from} is outside a sequence of ${tokens.length} tokens with an end`);
    }
  }
  const { nTextLayer, nTextHead } = dimensions;
  const exists = (index: number, count: number): boolean => Number.isInteger(index) && index >= 0 && index < count;
  for (const [layer, head] of heads) {
    if (!exists(layer, nTextLayer) || !exists(head, nTextHead)) {
      throw new RangeError(
        `There is no head ${head} in layer ${layer}: the decoder has ${nTextLayer} layers of ${nTextHead}`,
      );
    }
  }
}

type Where = Pick<Engine, "device" | "dtype">;

/**
 * @returns the logits, which no rules have been applied to
 * @throws {NotFiniteError} if one of them is no number
 */
export function finiteLogits({ device, dtype }: Where, logits: Float32Array): Float32Array {
  if (!allFinite(logits)) throw new NotFiniteError(device, dtype, "logits");
  return logits;
}

/**
 * A NaN or an infinity among the logits of a row makes its log-probability NaN.
 *
 * @throws {NotFiniteError} if a probability is no number
 */
export function finiteGenerated({ device, dtype }: Where, generated: Generated[]): Generated[] {
  for (const { noSpeechProb, tokenLogprobs } of generated) {
    if (!Number.isFinite(noSpeechProb) || !allFinite(tokenLogprobs)) throw new NotFiniteError(device, dtype, "logits");
  }
  return generated;
}

/** @throws {NotFiniteError} if a log-probability is no number; -Infinity stands where the rules leave no token */
export function finiteRanked({ device, dtype }: Where, ranked: RankedTokens): RankedTokens {
  if (ranked.logprobs.some((logprob) => Number.isNaN(logprob))) throw new NotFiniteError(device, dtype, "logits");
  return ranked;
}

/** @throws {NotFiniteError} if a score or a probability is no number */
export function finiteAttention({ device, dtype }: Where, attention: Attention[]): Attention[] {
  for (const { scores, tokenProbs } of attention) {
    if (!allFinite(scores.data) || !allFinite(tokenProbs)) throw new NotFiniteError(device, dtype, "attention scores");
  }
  return attention;
}
