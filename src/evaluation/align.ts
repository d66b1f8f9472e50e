/**
 * The shortest way from one sequence to another by insertions, deletions and substitutions (Levenshtein), with the way itself.
 * Memory is bounded: tables beyond a limit are halved as Hirschberg does, which costs time twice.
 */

import { withHint } from "../errors.ts";
import { DistanceColumns } from "./bit-vectors.ts";

export type EditKind = "hit" | "substitution" | "deletion" | "insertion";

/** A run of one kind of edit. Ranges are [from, to) of each sequence; that of a sequence which has no part in it is empty. */
export interface Edit {
  readonly kind: EditKind;
  readonly reference: readonly [from: number, to: number];
  readonly hypothesis: readonly [from: number, to: number];
}

/** How many elements were heard right, heard as others, left out, and put in. */
export interface EditCounts {
  readonly hits: number;
  readonly substitutions: number;
  readonly deletions: number;
  readonly insertions: number;
}

export interface Alignment extends EditCounts {
  /** Runs in order; neighbours differ in kind. */
  readonly edits: readonly Edit[];
}

/** What bounds an alignment's memory and time, in cells of its table. */
export interface AlignLimits {
  /** A table kept whole has at most these: 2 bits each, 32 MiB. */
  readonly tableCells: number;
  /** More are refused: 2^36 are five hours of speech, letter by letter, and a minute or two of work. */
  readonly cells: number;
}

const LIMITS: AlignLimits = { tableCells: 2 ** 27, cells: 2 ** 36 };

/**
 * Aligns two sequences with the fewest edits.
 *
 * Of several shortest ways it takes, from the end backwards, a deletion where one is on a shortest way, else an insertion where
 * it leads to a cheaper cell than a substitution would, else a hit or substitution. Same input, same result.
 *
 * @param reference what should be there; elements are compared as keys of a Map are
 * @param hypothesis what is there
 * @throws {RangeError} if the product of the lengths, without what both begin and end with, is beyond 2^36
 * @see Rapidfuzz (behind jiwer) has the same order of preference where it keeps the table whole
 * @example
 * align(["a", "b"], ["a", "c"]).substitutions; // 1
 */
export function align<T>(reference: readonly T[], hypothesis: readonly T[], limits: AlignLimits = LIMITS): Alignment {
  const numbers = new Map<T, number>();
  const numbered = (items: readonly T[]): Int32Array =>
    Int32Array.from(items, (item) => {
      const number = numbers.get(item) ?? numbers.size;
      numbers.set(item, number);
      return number;
    });
  const path = new Path();
  alignSymbols(numbered(reference), numbered(hypothesis), path, limits);
  return path.finish();
}

/** Appends the way from one to the other. */
function alignSymbols(reference: Int32Array, hypothesis: Int32Array, path: Path, limits: AlignLimits): void {
  let start = 0;
  const shorter = Math.min(reference.length, hypothesis.length);
  while (start < shorter && reference[start] === hypothesis[start]) start++;
  let tail = 0;
  while (tail < shorter - start && reference.at(-1 - tail) === hypothesis.at(-1 - tail)) tail++;
  const from = reference.subarray(start, reference.length - tail);
  const to = hypothesis.subarray(start, hypothesis.length - tail);

  path.add("hit", start);
  const cells = from.length * to.length;
  if (cells > limits.cells) {
    throw new RangeError(
      withHint(
        `Cannot align ${from.length} with ${to.length} elements, expected a product of at most ${limits.cells}`,
        "align the parts of a long text one by one",
      ),
    );
  }
  if (from.length === 0) path.add("insertion", to.length);
  else if (to.length === 0) path.add("deletion", from.length);
  else if (cells <= limits.tableCells || to.length === 1) traceBack(from, to, path);
  else {
    const [row, column] = middle(from, to);
    alignSymbols(from.subarray(0, row), to.subarray(0, column), path, limits);
    alignSymbols(from.subarray(row), to.subarray(column), path, limits);
  }
  path.add("hit", tail);
}

/** Keeps the whole table, and reads the way out of it from its end. */
function traceBack(from: Int32Array, to: Int32Array, path: Path): void {
  const columns = new DistanceColumns(from);
  const { blocks } = columns;
  const plus = new Int32Array(blocks * to.length);
  const minus = new Int32Array(blocks * to.length);
  for (let column = 0; column < to.length; column++) {
    columns.step(to[column]);
    plus.set(columns.column.plus, column * blocks);
    minus.set(columns.column.minus, column * blocks);
  }
  // 1 if the cost rises (or falls) from row - 1 to row in the column after `column` symbols of the text.
  const bit = (bits: Int32Array, row: number, column: number): number =>
    (bits[(column - 1) * blocks + ((row - 1) >> 5)] >>> ((row - 1) & 31)) & 1;

  const backwards: EditKind[] = [];
  let row = from.length;
  let column = to.length;
  while (row > 0 && column > 0) {
    if (bit(plus, row, column) === 1) {
      backwards.push("deletion");
      row--;
    } else if (column > 1 && bit(minus, row, column - 1) === 1) {
      backwards.push("insertion");
      column--;
    } else {
      row--;
      column--;
      backwards.push(from[row] === to[column] ? "hit" : "substitution");
    }
  }
  path.add("deletion", row);
  path.add("insertion", column);
  for (let i = backwards.length - 1; i >= 0; i--) path.add(backwards[i], 1);
}

/** A cell in the middle column that a shortest way goes through: the first of them. */
function middle(from: Int32Array, to: Int32Array): [row: number, column: number] {
  const column = to.length >> 1;
  const before = lastColumn(from, to.subarray(0, column));
  const after = lastColumn(from.toReversed(), to.subarray(column).toReversed());
  let best = 0;
  for (let row = 1; row <= from.length; row++) {
    if (before[row] + after[from.length - row] < before[best] + after[from.length - best]) best = row;
  }
  return [best, column];
}

/** Distance of each beginning of `from` to the whole of `to`. */
function lastColumn(from: Int32Array, to: Int32Array): Int32Array {
  const columns = new DistanceColumns(from);
  for (const symbol of to) columns.step(symbol);
  const { plus, minus } = columns.column;
  const costs = new Int32Array(from.length + 1);
  costs[0] = to.length;
  for (let row = 0; row < from.length; row++) {
    const shift = row & 31;
    costs[row + 1] = costs[row] + ((plus[row >> 5] >>> shift) & 1) - ((minus[row >> 5] >>> shift) & 1);
  }
  return costs;
}

/** Edits as they are added, joined into runs and counted. */
class Path {
  readonly #edits: Edit[] = [];
  readonly #counts = { hit: 0, substitution: 0, deletion: 0, insertion: 0 };
  #reference = 0;
  #hypothesis = 0;

  add(kind: EditKind, length: number): void {
    if (length === 0) return;
    this.#counts[kind] += length;
    const last = this.#edits.at(-1);
    const joins = last?.kind === kind;
    const begin = joins ? [last.reference[0], last.hypothesis[0]] : [this.#reference, this.#hypothesis];
    if (joins) this.#edits.pop();
    if (kind !== "insertion") this.#reference += length;
    if (kind !== "deletion") this.#hypothesis += length;
    this.#edits.push({ kind, reference: [begin[0], this.#reference], hypothesis: [begin[1], this.#hypothesis] });
  }

  finish(): Alignment {
    const { hit: hits, substitution: substitutions, deletion: deletions, insertion: insertions } = this.#counts;
    return { hits, substitutions, deletions, insertions, edits: this.#edits };
  }
}
