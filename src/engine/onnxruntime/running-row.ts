/** A row of a batch under way: what a run of the decoder graph adds to it, when it ends, and what it gives. */
import type * as ort from "onnxruntime-node";

import type { Generated, GenerateRequest } from "../engine.ts";

/** A row of a batch that is being generated. */
export interface RunningRow {
  /** Index in the caller's list. */
  readonly index: number;
  readonly request: GenerateRequest;
  readonly tokens: number[];
  readonly logprobs: number[];
  noSpeechProb: number;
  /** Nobody waits for it any more. */
  isCancelled: boolean;
}

/** Ended by itself, at its limit, or given up. */
export function isFinished({ tokens, request, isCancelled }: RunningRow): boolean {
  return isCancelled || tokens.length >= request.maxNewTokens || tokens.at(-1) === request.rules.eot;
}

/** Adds what a run generated to its rows; turns after a row's end are dropped. */
export function collect(
  rows: readonly RunningRow[],
  outputs: Readonly<Record<string, ort.Tensor>>,
  begin: boolean,
): void {
  const generated = outputs["generated"].data as BigInt64Array;
  const logprobs = outputs["logprobs"].data as Float32Array;
  const turns = generated.length / rows.length;
  rows.forEach((row, i) => {
    if (begin) row.noSpeechProb = (outputs["noSpeechProb"].data as Float32Array)[i];
    for (let turn = 0; turn < turns && !isFinished(row); turn++) {
      row.tokens.push(Number(generated[turn * rows.length + i]));
      row.logprobs.push(logprobs[turn * rows.length + i]);
    }
  });
}

/** Its result, when nothing is added any more. */
export function finish({ request, tokens, logprobs, noSpeechProb }: RunningRow): Generated {
  const ended = tokens.at(-1) === request.rules.eot;
  return {
    tokens: Int32Array.from(ended ? tokens.slice(0, -1) : tokens),
    tokenLogprobs: Float32Array.from(logprobs),
    noSpeechProb,
    stop: ended ? "eot" : "length",
  };
}
