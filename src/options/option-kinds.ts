/**
 * What values an option takes, as data. A table of options says of each its kind and its range; that a value is refused, and in what
 * words, follows from the table (check-options.ts).
 */

/** A set of values, and the words for it. */
export interface OptionKind {
  /** Ends the sentence "..., expected": "true or false", "a whole number from 1 to 128". */
  readonly wanted: string;
  readonly accepts: (value: unknown) => boolean;
}

/** The kind of each option, by its name. */
export type OptionTable = Readonly<Record<string, OptionKind>>;

interface NumberRange {
  /** Least value. */
  readonly from?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  /** Greatest value. */
  readonly to?: number;
}

export const flag: OptionKind = {
  wanted: "true or false",
  accepts: (value) => typeof value === "boolean",
};

export const text: OptionKind = {
  wanted: "a string",
  accepts: (value) => typeof value === "string",
};

export const nonEmptyText: OptionKind = {
  wanted: "a string that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};

export const callback: OptionKind = {
  wanted: "a function",
  accepts: (value) => typeof value === "function",
};

/** By its tag and not its class, as a page of a test environment has another class of this name. */
export const abortSignal: OptionKind = {
  wanted: "an AbortSignal",
  accepts: (value) => Object.prototype.toString.call(value) === "[object AbortSignal]",
};

export const record: OptionKind = {
  wanted: "an object",
  accepts: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};

/** A finite number. */
export function number({ from, above, to }: NumberRange = {}): OptionKind {
  return {
    wanted: `a number${rangeOf({ from, above, to })}`,
    accepts: (value) => Number.isFinite(value) && isWithin(value as number, { from, above, to }),
  };
}

/** A whole number that is exact. */
export function whole(from: number, to?: number): OptionKind {
  return {
    wanted: `a whole number${rangeOf({ from, to })}`,
    accepts: (value) => Number.isSafeInteger(value) && isWithin(value as number, { from, to }),
  };
}

export function oneOf(values: readonly string[]): OptionKind {
  return {
    wanted: `one of ${values.join(", ")}`,
    accepts: (value) => typeof value === "string" && values.includes(value),
  };
}

/** @param items what the items are called in the plural */
export function listOf(
  item: OptionKind,
  items: string,
  { from = 0, to = Infinity }: { readonly from?: number; readonly to?: number } = {},
): OptionKind {
  const count =
    to === Infinity ? (from === 0 ? "" : `${from} or more `) : from === to ? `${from} ` : `${from} to ${to} `;
  return {
    wanted: `an array of ${count}${items}`,
    accepts: (value) =>
      Array.isArray(value) && value.length >= from && value.length <= to && value.every((one) => item.accepts(one)),
  };
}

export function anyOf(...kinds: readonly OptionKind[]): OptionKind {
  return {
    wanted: kinds.map(({ wanted }) => wanted).join(", or "),
    accepts: (value) => kinds.some((kind) => kind.accepts(value)),
  };
}

/** @param meaning what null says: "no limit" */
export function orNull(kind: OptionKind, meaning?: string): OptionKind {
  return {
    wanted: `${kind.wanted}, or null${meaning === undefined ? "" : ` for ${meaning}`}`,
    accepts: (value) => value === null || kind.accepts(value),
  };
}

function rangeOf({ from, above, to }: Undefinable<NumberRange>): string {
  if (above !== undefined) return to === undefined ? ` above ${above}` : ` above ${above} and at most ${to}`;
  if (from !== undefined)
    return to === undefined || to === Number.MAX_SAFE_INTEGER ? `, ${from} or more` : ` from ${from} to ${to}`;
  return to === undefined ? "" : ` of at most ${to}`;
}

function isWithin(
  value: number,
  { from = -Infinity, above = -Infinity, to = Infinity }: Undefinable<NumberRange>,
): boolean {
  return value >= from && (above === -Infinity || value > above) && value <= to;
}

type Undefinable<T> = { readonly [K in keyof T]?: T[K] | undefined };
