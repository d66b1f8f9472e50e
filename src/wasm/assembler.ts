/**
 * A small assembler for WebAssembly: the few instructions that SIMD loops over a linear memory need, and a module around them.
 * Kernels are generated here at load instead of being shipped as binaries, so that their text is the source. Opcodes:
 * https://webassembly.github.io/spec/core/binary/instructions.html.
 */

/** Encoded instructions. */
export type Code = readonly number[];

export type ValueType = keyof typeof VALUE_TYPES;

const VALUE_TYPES = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;

/** Bytes of a page, the unit in which a memory grows. */
export const PAGE_BYTES = 65536;

export const localGet = (local: number): Code => [0x20, ...unsigned(local)];
export const localSet = (local: number): Code => [0x21, ...unsigned(local)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: [0x6a] as Code,
  multiply: [0x6c] as Code,
  lessUnsigned: [0x49] as Code,
};

export const f32 = {
  add: [0x92] as Code,
};

/** Loads and stores assume no more than the alignment of one float; `offset` is in bytes. */
export const v128 = {
  load: (offset: number): Code => [0xfd, 0x00, 2, ...unsigned(offset)],
  load32Splat: (offset: number): Code => [0xfd, 0x09, 2, ...unsigned(offset)],
  store: (offset: number): Code => [0xfd, 0x0b, 2, ...unsigned(offset)],
};

export const f32x4 = {
  splat: [0xfd, 0x13] as Code,
  extractLane: (lane: number): Code => [0xfd, 0x1f, lane],
  add: [0xfd, 0xe4, 0x01] as Code,
  multiply: [0xfd, 0xe6, 0x01] as Code,
  max: [0xfd, 0xe9, 0x01] as Code,
};

/** Adds the i32 that `amount` leaves on the stack to a local. */
export const increase = (local: number, amount: Code): Code => [
  ...localGet(local),
  ...amount,
  ...i32.add,
  ...localSet(local),
];

/** Repeats `body` for as long as it leaves a number other than 0 on the stack; it runs at least once. */
export const doWhile = (body: Code): Code => [0x03, 0x40, ...body, 0x0d, 0, 0x0b]; // loop, br_if 0, end

export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  /** Locals beyond the parameters; they are numbered on from those and begin as 0. */
  readonly locals: readonly ValueType[];
  readonly result?: ValueType;
  readonly body: Code;
}

/** Bytes of a module that exports these functions, and as "memory" one memory of `pages` pages that may grow. */
export function assembleModule(functions: readonly WasmFunction[], pages = 1): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters, result }) => [
    ...[0x60, ...vector(parameters.map((type) => [VALUE_TYPES[type]]))],
    ...vector(result === undefined ? [] : [[VALUE_TYPES[result]]]),
  ]);
  const codes = functions.map(({ locals, body }) => {
    const code = [...vector(locals.map((type) => [1, VALUE_TYPES[type]])), ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  const exports = [
    [...name("memory"), 2, 0],
    ...functions.map((one, index) => [...name(one.name), 0, ...unsigned(index)]),
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, vector(types)),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    ...section(5, [1, 0, ...unsigned(pages)]),
    ...section(7, vector(exports)),
    ...section(10, vector(codes)),
  ]);
}

/** Signed LEB128 of an integer of 32 bits. */
function signed(value: number): Code {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 0x7f;
    if (rest >= -64 && rest < 64) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

/** Unsigned LEB128. */
function unsigned(value: number): Code {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function name(text: string): Code {
  return vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
}

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}
