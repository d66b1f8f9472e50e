/**
 * Edit distances of two sequences of symbols, 32 cells at a time: each column of the table of distances is kept as the
 * differences between neighbours, one bit for +1 and one for -1 (Myers 1999, in blocks as in Hyyrö 2003).
 */

/** Differences down a column: bit i of `plus` says that row i + 1 costs one more than row i, `minus` that it costs one less. */
export interface Column {
  readonly plus: Int32Array;
  readonly minus: Int32Array;
}

/**
 * Where each symbol stands in the pattern. A symbol in many places has a mask, the others a list: so memory grows with the
 * pattern's length, and a column never costs more than its blocks, however many symbols there are.
 */
interface Places {
  readonly masks: ReadonlyMap<number, Int32Array>;
  readonly lists: ReadonlyMap<number, readonly number[]>;
}

/** Walks over the table column by column, a column a symbol of the text. */
export class DistanceColumns {
  readonly blocks: number;
  readonly #places: Places;
  readonly #none: Int32Array;
  readonly #scratch: Int32Array;
  readonly #plus: Int32Array;
  readonly #minus: Int32Array;

  /** @param pattern symbols, the table's rows: a row before the first of them is implied */
  constructor(pattern: Int32Array) {
    this.blocks = Math.ceil(pattern.length / 32);
    this.#places = placesOf(pattern, this.blocks);
    this.#none = new Int32Array(this.blocks);
    this.#scratch = new Int32Array(this.blocks);
    this.#plus = new Int32Array(this.blocks).fill(-1); // before any text, row i costs i
    this.#minus = new Int32Array(this.blocks);
  }

  /** The column now; changed by the next step. Bits past the pattern's end mean nothing. */
  get column(): Column {
    return { plus: this.#plus, minus: this.#minus };
  }

  /** Goes on by one symbol of the text. */
  step(symbol: number): void {
    const list = this.#places.lists.get(symbol);
    const equal = list === undefined ? (this.#places.masks.get(symbol) ?? this.#none) : this.#scratch;
    if (list !== undefined) for (const row of list) equal[row >> 5] |= 1 << (row & 31);
    const plus = this.#plus;
    const minus = this.#minus;
    let carryPlus = 1; // along the row before the first: each symbol of the text costs one
    let carryMinus = 0;
    for (let block = 0; block < plus.length; block++) {
      const down = plus[block];
      const up = minus[block];
      const same = equal[block] | carryMinus;
      const vertical = equal[block] | up;
      const horizontal = ((((same & down) + down) | 0) ^ down) | same;
      let acrossPlus = up | ~(horizontal | down);
      let acrossMinus = down & horizontal;
      const nextPlus = acrossPlus >>> 31;
      const nextMinus = acrossMinus >>> 31;
      acrossPlus = (acrossPlus << 1) | carryPlus;
      acrossMinus = (acrossMinus << 1) | carryMinus;
      plus[block] = acrossMinus | ~(vertical | acrossPlus);
      minus[block] = acrossPlus & vertical;
      carryPlus = nextPlus;
      carryMinus = nextMinus;
    }
    if (list !== undefined) for (const row of list) equal[row >> 5] = 0;
  }
}

function placesOf(pattern: Int32Array, blocks: number): Places {
  const lists = new Map<number, number[]>();
  for (const [row, symbol] of pattern.entries()) {
    const list = lists.get(symbol);
    if (list === undefined) lists.set(symbol, [row]);
    else list.push(row);
  }
  const masks = new Map<number, Int32Array>();
  for (const [symbol, list] of lists) {
    if (list.length <= blocks) continue;
    const mask = new Int32Array(blocks);
    for (const row of list) mask[row >> 5] |= 1 << (row & 31);
    masks.set(symbol, mask);
    lists.delete(symbol);
  }
  return { masks, lists };
}
