/**
 * How many bytes zlib makes of some bytes at level 6: the length alone, not the bytes.
 *
 * openai/whisper decides by this length whether a text repeats itself, and other compressors decide otherwise: Node's own
 * zlib is Chromium's, whose matches are found by another hash and whose results are 1 % off, enough to cross the 2.4 (facts
 * 8.17). So here is zlib's algorithm step by step: `deflate_slow` of deflate.c and the trees of trees.c (zlib 1.3, by
 * Jean-loup Gailly and Mark Adler, zlib licence), with the names they have there. It also runs where there is no Node.
 */

// Level 6 of deflate.c's configuration table.
const GOOD_MATCH = 8;
const MAX_LAZY = 16;
const NICE_MATCH = 128;
const MAX_CHAIN = 128;

const MIN_MATCH = 3;
const MAX_MATCH = 258;
const WINDOW_SIZE = 32768;
const WINDOW_MASK = WINDOW_SIZE - 1;
const MAX_DISTANCE = WINDOW_SIZE - (MAX_MATCH + MIN_MATCH + 1);
/** Matches of three bytes from further away cost more than they save. */
const TOO_FAR = 4096;
const HASH_MASK = 0x7fff;
const HASH_SHIFT = 5;
/** Literals and matches of a block: zlib's buffer at its default memory level, less one. */
const BLOCK_SYMBOLS = 16383;

/** Bytes of zlib's header and checksum. */
const WRAPPER_BYTES = 2 + 4;

/** @returns length of `zlib.compress(bytes)` in Python */
export function deflatedLength(bytes: Uint8Array): number {
  const size = bytes.length;
  // Matches are compared to their full length before they are cut at the end of the input.
  const window = new Uint8Array(size + MAX_MATCH + MIN_MATCH);
  window.set(bytes);
  const head = new Int32Array(HASH_MASK + 1);
  const previous = new Int32Array(WINDOW_SIZE);
  const blocks = new Blocks();

  const insert = (at: number): number => {
    const hash = ((window[at] << (2 * HASH_SHIFT)) ^ (window[at + 1] << HASH_SHIFT) ^ window[at + 2]) & HASH_MASK;
    const found = head[hash];
    previous[at & WINDOW_MASK] = found;
    head[hash] = at;
    return found; // 0 is both the first position and nothing, in zlib too
  };

  let matchLength = MIN_MATCH - 1;
  let matchStart = 0;
  let isMatchAvailable = false;
  let at = 0;
  while (at < size) {
    const lookahead = size - at;
    const hashHead = lookahead >= MIN_MATCH ? insert(at) : 0;
    const previousLength = matchLength;
    const previousMatch = matchStart;
    matchLength = MIN_MATCH - 1;
    if (hashHead !== 0 && previousLength < MAX_LAZY && at - hashHead <= MAX_DISTANCE) {
      let best = previousLength;
      let chain = previousLength >= GOOD_MATCH ? MAX_CHAIN >> 2 : MAX_CHAIN;
      const nice = Math.min(NICE_MATCH, lookahead);
      const limit = at > MAX_DISTANCE ? at - MAX_DISTANCE : 0;
      let candidate = hashHead;
      do {
        if (window[candidate + best] === window[at + best] && window[candidate + best - 1] === window[at + best - 1]) {
          let length = 0;
          while (length < MAX_MATCH && window[candidate + length] === window[at + length]) length++;
          if (length > best) {
            best = length;
            matchStart = candidate;
            if (length >= nice) break;
          }
        }
        candidate = previous[candidate & WINDOW_MASK];
      } while (candidate > limit && --chain !== 0);
      matchLength = Math.min(best, lookahead);
      if (matchLength === MIN_MATCH && at - matchStart > TOO_FAR) matchLength = MIN_MATCH - 1;
    }
    if (previousLength >= MIN_MATCH && matchLength <= previousLength) {
      const isFull = blocks.match(at - 1 - previousMatch, previousLength);
      const lastInsert = size - MIN_MATCH;
      const end = at + previousLength - 2;
      while (at < end) if (++at <= lastInsert) insert(at);
      isMatchAvailable = false;
      matchLength = MIN_MATCH - 1;
      at++;
      if (isFull) blocks.flush(at);
    } else {
      if (isMatchAvailable && blocks.literal(window[at - 1])) blocks.flush(at);
      isMatchAvailable = true;
      at++;
    }
  }
  if (isMatchAvailable) blocks.literal(window[size - 1]);
  blocks.flush(size);
  return WRAPPER_BYTES + Math.ceil(blocks.bits / 8);
}

const LITERAL_CODES = 286;
const DISTANCE_CODES = 30;
const LENGTH_CODES = 19;
const END_BLOCK = 256;
const EXTRA_LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const EXTRA_DISTANCE_BITS = Array.from({ length: DISTANCE_CODES }, (_, i) => (i < 2 ? 0 : (i >> 1) - 1));
const EXTRA_CODE_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
/** Order in which the lengths of the code lengths' own codes are sent. */
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const STATIC_LITERAL_LENGTHS = Array.from({ length: LITERAL_CODES }, (_, i) =>
  i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8,
);
const STATIC_DISTANCE_LENGTHS = new Array<number>(DISTANCE_CODES).fill(5);
const LENGTH_CODE = codeTable(EXTRA_LENGTH_BITS, MAX_MATCH - MIN_MATCH + 1);
LENGTH_CODE[MAX_MATCH - MIN_MATCH] = 28;
const DISTANCE_CODE = codeTable(EXTRA_DISTANCE_BITS, WINDOW_SIZE);

/** Code of each value, where code i stands for the next 2 ** extraBits[i] values. */
function codeTable(extraBits: readonly number[], size: number): Uint8Array {
  const table = new Uint8Array(size);
  let from = 0;
  for (const [code, bits] of extraBits.entries()) {
    table.fill(code, from, from + 2 ** bits);
    from += 2 ** bits;
  }
  return table;
}

/** Counts the symbols of a block and adds up what the blocks cost. */
class Blocks {
  bits = 0;
  readonly #literals = new Int32Array(LITERAL_CODES);
  readonly #distances = new Int32Array(DISTANCE_CODES);
  #symbols = 0;
  #start = 0;

  constructor() {
    this.#literals[END_BLOCK] = 1;
  }

  /** @returns whether the block is full */
  literal(byte: number): boolean {
    this.#literals[byte]++;
    return ++this.#symbols === BLOCK_SYMBOLS;
  }

  /** @returns whether the block is full */
  match(distance: number, length: number): boolean {
    this.#literals[END_BLOCK + 1 + LENGTH_CODE[length - MIN_MATCH]]++;
    this.#distances[DISTANCE_CODE[distance - 1]]++;
    return ++this.#symbols === BLOCK_SYMBOLS;
  }

  /** Ends the block in whichever of the three forms is the shortest. */
  flush(end: number): void {
    const literals = buildTree(this.#literals, 15, EXTRA_LENGTH_BITS, END_BLOCK + 1, STATIC_LITERAL_LENGTHS);
    const distances = buildTree(this.#distances, 15, EXTRA_DISTANCE_BITS, 0, STATIC_DISTANCE_LENGTHS);
    const codes = new Int32Array(LENGTH_CODES);
    countCodeLengths(literals, codes);
    countCodeLengths(distances, codes);
    const codeTree = buildTree(codes, 7, EXTRA_CODE_BITS, 0);
    let last = LENGTH_CODES - 1;
    while (last >= 3 && codeTree.lengths[CODE_ORDER[last]] === 0) last--;
    const dynamicBits = literals.bits + distances.bits + codeTree.bits + 3 * (last + 1) + 5 + 5 + 4;
    const staticBits = literals.staticBits + distances.staticBits;
    const bytesOf = (bits: number): number => (bits + 3 + 7) >> 3;
    const shortest = Math.min(bytesOf(dynamicBits), bytesOf(staticBits));
    const stored = end - this.#start;
    if (stored + 4 <= shortest) this.bits = 8 * (Math.ceil((this.bits + 3) / 8) + 4 + stored);
    else this.bits += 3 + (bytesOf(staticBits) === shortest ? staticBits : dynamicBits);

    this.#literals.fill(0);
    this.#literals[END_BLOCK] = 1;
    this.#distances.fill(0);
    this.#symbols = 0;
    this.#start = end;
  }
}

interface Tree {
  /** Of each code, 0 for those not in use. */
  readonly lengths: Int32Array;
  readonly maxCode: number;
  /** What the counted symbols cost with these codes, extra bits included. */
  readonly bits: number;
  /** What they cost with the fixed codes. */
  readonly staticBits: number;
}

/** Huffman code lengths as zlib's `build_tree` finds them: its heap decides which of several best trees it is. */
function buildTree(
  counts: Int32Array,
  maxLength: number,
  extraBits: readonly number[],
  extraBase: number,
  staticLengths?: readonly number[],
): Tree {
  const codes = counts.length;
  const frequency = new Int32Array(2 * codes + 1);
  frequency.set(counts);
  const depth = new Uint8Array(2 * codes + 1);
  const parent = new Int32Array(2 * codes + 1);
  const length = new Int32Array(2 * codes + 1);
  const heap = new Int32Array(2 * codes + 1);
  let heapLength = 0;
  let heapMax = heap.length;
  let maxCode = -1;
  let bits = 0;
  let staticBits = 0;

  for (let n = 0; n < codes; n++) if (frequency[n] !== 0) heap[++heapLength] = maxCode = n;
  // The format wants two codes at least; those added cost nothing, as they are never sent.
  while (heapLength < 2) {
    const node = maxCode < 2 ? ++maxCode : 0;
    heap[++heapLength] = node;
    frequency[node] = 1;
    bits--;
    staticBits -= staticLengths?.[node] ?? 0;
  }

  const isSmaller = (n: number, m: number): boolean =>
    frequency[n] < frequency[m] || (frequency[n] === frequency[m] && depth[n] <= depth[m]);
  const siftDown = (from: number): void => {
    let k = from;
    const node = heap[k];
    for (let j = k << 1; j <= heapLength; j <<= 1) {
      if (j < heapLength && isSmaller(heap[j + 1], heap[j])) j++;
      if (isSmaller(node, heap[j])) break;
      heap[k] = heap[j];
      k = j;
    }
    heap[k] = node;
  };
  for (let n = heapLength >> 1; n >= 1; n--) siftDown(n);
  let next = codes;
  do {
    const n = heap[1];
    heap[1] = heap[heapLength--];
    siftDown(1);
    const m = heap[1];
    heap[--heapMax] = n;
    heap[--heapMax] = m;
    frequency[next] = frequency[n] + frequency[m];
    depth[next] = Math.max(depth[n], depth[m]) + 1;
    parent[n] = parent[m] = next;
    heap[1] = next++;
    siftDown(1);
  } while (heapLength >= 2);
  heap[--heapMax] = heap[1];

  const lengthCounts = new Int32Array(maxLength + 1);
  let overflow = 0;
  length[heap[heapMax]] = 0;
  for (let h = heapMax + 1; h < heap.length; h++) {
    const n = heap[h];
    length[n] = length[parent[n]] + 1;
    if (length[n] > maxLength) {
      length[n] = maxLength;
      overflow++;
    }
    if (n > maxCode) continue;
    lengthCounts[length[n]]++;
    const extra = n >= extraBase ? extraBits[n - extraBase] : 0;
    bits += frequency[n] * (length[n] + extra);
    if (staticLengths !== undefined) staticBits += frequency[n] * (staticLengths[n] + extra);
  }
  const hasOverflow = overflow > 0;
  for (; overflow > 0; overflow -= 2) {
    let from = maxLength - 1;
    while (lengthCounts[from] === 0) from--;
    lengthCounts[from]--;
    lengthCounts[from + 1] += 2;
    lengthCounts[maxLength]--;
  }
  // Codes that were too long have made others longer: hand the lengths out anew, shortest to the most frequent.
  for (let h = heap.length, want = hasOverflow ? maxLength : 0; want !== 0; want--) {
    for (let n = lengthCounts[want]; n !== 0;) {
      const m = heap[--h];
      if (m > maxCode) continue;
      bits += (want - length[m]) * frequency[m];
      length[m] = want;
      n--;
    }
  }
  return { lengths: length.slice(0, codes), maxCode, bits, staticBits };
}

/** Counts the codes that a tree's own lengths are sent with: 16 repeats the last one, 17 and 18 repeat 0. */
function countCodeLengths({ lengths, maxCode }: Tree, counts: Int32Array): void {
  let previous = -1;
  let next = lengths[0];
  let count = 0;
  let [most, least] = next === 0 ? [138, 3] : [7, 4];
  for (let n = 0; n <= maxCode; n++) {
    const current = next;
    next = n < maxCode ? lengths[n + 1] : -1;
    if (++count < most && current === next) continue;
    if (count < least) counts[current] += count;
    else if (current !== 0) {
      if (current !== previous) counts[current]++;
      counts[16]++;
    } else counts[count <= 10 ? 17 : 18]++;
    count = 0;
    previous = current;
    if (next === 0) [most, least] = [138, 3];
    else [most, least] = current === next ? [6, 3] : [7, 4];
  }
}
