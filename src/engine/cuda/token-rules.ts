/** Token rules as the kernels read them: kernels/rules.cuh's struct Rules, with a bit for every suppressed id. */
import type { TokenRules } from "../token-rules.ts";
import type { Buffers } from "./buffers.ts";

/** Bytes of kernels/rules.cuh's Rules. */
export const RULES_BYTES = 40;

/** The suppressed ids of some sets of rules on the device, each once however many sequences go by it. */
export class DeviceRules {
  readonly #masks: number;
  readonly #words: number;
  readonly #indices: ReadonlyMap<TokenRules, number>;

  /** @param buffers what the ids lie in */
  constructor(buffers: Buffers, all: Iterable<TokenRules>, nVocab: number) {
    const { sets, indices } = distinct(all);
    this.#indices = indices;
    this.#words = Math.ceil(nVocab / 32);
    const masks = new Uint32Array(sets.length * 2 * this.#words);
    sets.forEach(({ suppress, suppressAtBegin }, i) => {
      for (const [part, ids] of [suppress, suppressAtBegin].entries()) {
        const begin = (2 * i + part) * this.#words;
        for (const id of ids) if (id >= 0 && id < nVocab) masks[begin + (id >> 5)] |= 1 << (id & 31);
      }
    });
    this.#masks = buffers.upload(masks);
  }

  /** The record of one of the sets. */
  record(rules: TokenRules): Uint8Array {
    const { eot, timestampBegin, timestamps } = rules;
    const bytes = new Uint8Array(RULES_BYTES);
    const view = new DataView(bytes.buffer);
    const suppress = this.#masks + 8 * this.#words * (this.#indices.get(rules) ?? 0);
    view.setBigInt64(0, BigInt(suppress), true);
    view.setBigInt64(8, BigInt(suppress + 4 * this.#words), true);
    [
      eot,
      timestampBegin,
      timestamps === null ? 0 : 1,
      timestamps?.noTimestamps ?? -1,
      timestamps?.maxInitialTimestampIndex ?? -1,
    ].forEach((value, i) => view.setInt32(16 + 4 * i, value, true));
    return bytes;
  }
}

/** Rules that say the same are one set: callers make a record for each request. */
function distinct(all: Iterable<TokenRules>): { sets: TokenRules[]; indices: Map<TokenRules, number> } {
  const sets: TokenRules[] = [];
  const indices = new Map<TokenRules, number>();
  const known = new Map<string, number>();
  for (const rules of all) {
    if (indices.has(rules)) continue;
    const key = JSON.stringify([rules.suppress, rules.suppressAtBegin]);
    const index = known.get(key) ?? sets.push(rules) - 1;
    known.set(key, index);
    indices.set(rules, index);
  }
  return { sets, indices };
}
