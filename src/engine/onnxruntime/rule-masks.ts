/** Turns token rules into the masks that the decoder graph adds to the logits; what depends on earlier tokens is in the graph. */
import type { TokenRules } from "../token-rules.ts";
import { MASKED } from "./decoder-graph.ts";

export interface RuleMasks {
  /** 1 where all rows have the same rules, else one a row. */
  readonly rows: number;
  /** [rows, nVocab] for the first generated token. */
  readonly first: Float32Array;
  /** [rows, nVocab] for the others. */
  readonly later: Float32Array;
}

export function ruleMasks(rules: readonly TokenRules[], nVocab: number): RuleMasks {
  const distinct = new Set(rules.map((rule) => JSON.stringify(rule)));
  const rows = distinct.size === 1 ? rules.slice(0, 1) : rules;
  const first = new Float32Array(rows.length * nVocab);
  const later = new Float32Array(rows.length * nVocab);
  rows.forEach((rule, row) => {
    fillLater(later.subarray(row * nVocab, (row + 1) * nVocab), rule);
    fillFirst(first.subarray(row * nVocab, (row + 1) * nVocab), rule);
  });
  return { rows: rows.length, first, later };
}

function fillLater(mask: Float32Array, { suppress, timestamps }: TokenRules): void {
  for (const id of suppress) mask[id] = MASKED;
  if (timestamps !== null) mask[timestamps.noTimestamps] = MASKED;
}

function fillFirst(mask: Float32Array, rule: TokenRules): void {
  fillLater(mask, rule);
  for (const id of rule.suppressAtBegin) mask[id] = MASKED;
  if (rule.timestamps === null) return;
  const { maxInitialTimestampIndex } = rule.timestamps;
  mask.fill(MASKED, 0, rule.timestampBegin);
  if (maxInitialTimestampIndex !== null) mask.fill(MASKED, rule.timestampBegin + maxInitialTimestampIndex + 1);
}
