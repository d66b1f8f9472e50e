/**
 * The error classes that a caller may want to catch; everything else is a TypeError, RangeError or SyntaxError.
 *
 * Wording: the action that failed, the object in double quotes, what was found, what was wanted; no full stop. A remedy,
 * when one is known, goes on its own line after `Hint: `; `withHint` puts it there.
 */

/** Appends a remedy to a message, on a line of its own. */
export function withHint(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message}\nHint: ${hint}`;
}

/** A tensor has other dims than the code reading it was told. */
export class ShapeError extends RangeError {
  override readonly name = "ShapeError";
  constructor(
    readonly parameter: string,
    readonly expected: string,
    readonly actual: string,
  ) {
    super(`"${parameter}" has dims ${actual}, expected ${expected}`);
  }
}

/** An audio file, URL or buffer cannot be opened: missing, a folder, not readable, refused by the server. */
export class InputError extends Error {
  override readonly name: string = "InputError";
  constructor(
    readonly input: string,
    reason: string,
    options?: ErrorOptions & { hint?: string },
  ) {
    super(withHint(`Cannot read "${input}": ${reason}`, options?.hint), options);
  }
}

/** Bytes were read, and no decoder makes audio of them. */
export class UnsupportedAudioError extends InputError {
  override readonly name = "UnsupportedAudioError";
}

/** A checkpoint is damaged, incomplete, or not a Whisper checkpoint. `problems` lists every fault found. */
export class CheckpointError extends Error {
  override readonly name: string = "CheckpointError";
  constructor(
    readonly path: string,
    readonly problems: readonly string[],
    options?: ErrorOptions & { hint?: string },
  ) {
    const list = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  - ${problem}`).join("");
    super(withHint(`Cannot load checkpoint "${path}":${list}`, options?.hint), options);
  }
}

/** A safetensors file breaks its format. `byteOffset` says where. */
export class CheckpointSyntaxError extends CheckpointError {
  override readonly name = "CheckpointSyntaxError";
  constructor(
    path: string,
    problem: string,
    readonly byteOffset: number,
    options?: ErrorOptions & { hint?: string },
  ) {
    super(path, [problem], options);
  }
}

/** A model or one of its files cannot be had: unknown name, not on the hub, no network, not cached, wrong checksum. */
export class HubError extends Error {
  override readonly name = "HubError";
  constructor(
    readonly repository: string,
    reason: string,
    options?: ErrorOptions & { hint?: string; status?: number },
  ) {
    super(withHint(`Cannot get model "${repository}": ${reason}`, options?.hint), options);
    this.status = options?.status;
  }
  /** HTTP status, where a server answered. */
  readonly status: number | undefined;
}

/** The device asked for cannot be used on this machine. */
export class EngineUnavailableError extends Error {
  override readonly name = "EngineUnavailableError";
  constructor(
    readonly engine: string,
    readonly reason: string,
    options?: ErrorOptions & { hint?: string },
  ) {
    super(withHint(`Cannot use engine "${engine}": ${reason}`, options?.hint), options);
  }
}

/** An option has a name or a value that does not exist; the message lists what does. */
export class OptionError extends RangeError {
  override readonly name = "OptionError";
  constructor(
    readonly option: string,
    message: string,
    options?: ErrorOptions & { hint?: string },
  ) {
    super(withHint(message, options?.hint), options);
  }
}

/** Quotes a value of any kind for a message, cut to a readable length. */
export function quote(value: unknown): string {
  return `"${cut(describeValue(value))}"`;
}

/** A value as a program would write it: only strings are in quotes, so that "8" is not taken for 8. */
export function literal(value: unknown): string {
  return typeof value === "string" ? quote(value) : cut(describeValue(value));
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function describeValue(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "function") return value.name === "" ? "a function" : `function ${value.name}`;
  if (typeof value !== "object" || value === null) return String(value); // JSON has no NaN, no Infinity and no bigint
  // A recording's samples, or an object with a cycle, would not end.
  if (!isPlain(value)) return className(value);
  try {
    return JSON.stringify(value, (_key, inner: unknown) => {
      if (typeof inner === "number" && !Number.isFinite(inner)) return String(inner);
      return ArrayBuffer.isView(inner) ? className(inner) : inner;
    });
  } catch {
    return Array.isArray(value) ? "an array" : "an object";
  }
}

function className(value: object): string {
  const { constructor } = value as { constructor?: { name?: unknown } };
  return `a value of class ${String(constructor?.name)}`;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

/** Throws an OptionError that lists the accepted values, unless `value` is one of them. */
export function assertOneOf<T extends string>(
  option: string,
  value: unknown,
  accepted: readonly T[],
): asserts value is T {
  if (!accepted.includes(value as T)) {
    throw new OptionError(option, `Unknown ${option} ${quote(value)}, expected one of ${accepted.join(", ")}`);
  }
}

/** Throws an OptionError that lists the accepted names, if `options` has a key that is not among them. */
export function assertKnownOptions(where: string, options: object, accepted: readonly string[]): void {
  const names = [...new Set(accepted)];
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    const similar = similarName(key, names);
    throw new OptionError(key, `Unknown option "${key}" of ${where}, expected one of ${names.join(", ")}`, {
      ...(similar !== undefined && { hint: `did you mean ${similar}?` }),
    });
  }
}

/** The name that was probably meant: alike but for case and `_`, or for a third of its letters. */
function similarName(name: string, names: readonly string[]): string | undefined {
  const plain = (one: string): string => one.replaceAll(/[-_]/g, "").toLowerCase();
  const wanted = plain(name);
  if (wanted.length > 64) return undefined; // no typing error, and the distance would take long
  let [best, least] = [undefined as string | undefined, Math.ceil(wanted.length / 3)];
  for (const one of names) {
    const distance = editDistance(wanted, plain(one));
    if (distance < least) [best, least] = [one, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
