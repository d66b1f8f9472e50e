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

/** Who reads a message: a program's author, somebody at the command line, who runs the server, or who only uses it from afar. */
export type Reader = "library" | "commandLine" | "server" | "client";

/** A remedy: the same for all readers, or in the words of each, and none for those who cannot carry it out. */
export type Hint = string | Readonly<Partial<Record<Reader, string>>>;

/** The remedy that a reader can carry out. */
export function hintFor(hint: Hint | undefined, reader: Reader): string | undefined {
  return typeof hint === "object" ? hint[reader] : hint;
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
  /** What would help; the message has it in the words of the library's users. */
  readonly hint: Hint | undefined;

  constructor(
    readonly input: string,
    readonly reason: string,
    options?: ErrorOptions & { hint?: Hint | undefined },
  ) {
    super(withHint(`Cannot read "${input}": ${reason}`, hintFor(options?.hint, "library")), options);
    this.hint = options?.hint;
  }

  /** The message, with the remedy that this reader can carry out. */
  messageFor(reader: Reader): string {
    return withHint(`Cannot read "${this.input}": ${this.reason}`, hintFor(this.hint, reader));
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

/** A network gave NaN or infinities where numbers were wanted: nothing can be read from them. */
export class NotFiniteError extends Error {
  override readonly name = "NotFiniteError";
  constructor(
    readonly engine: string,
    readonly dtype: string,
    what: string,
  ) {
    const remedy =
      dtype === "float32"
        ? "the checkpoint may be damaged; get it again"
        : 'try dtype "float32", or get the checkpoint again';
    super(
      withHint(
        `Cannot decode on engine "${engine}" in ${dtype}: ${what} are NaN or infinite, expected numbers`,
        remedy,
      ),
    );
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

/**
 * What a mistyped word was probably meant to be: a word that begins with it, or differs in few letters (one in three; two that
 * changed places count as one).
 */
export function nearest(word: string, accepted: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  const letters = typed.replace(/[^\p{L}\p{N}]/gu, "").length;
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of accepted) {
    const isPrefix = letters >= 3 && candidate.toLowerCase().startsWith(typed);
    const distance = isPrefix ? 0 : editDistance(typed, candidate.toLowerCase());
    const allowed = Math.floor(Math.max(letters, candidate.length) / 3);
    if (distance <= allowed && (best === undefined || distance < best.distance)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** Insertions, deletions, replacements and swaps of neighbours that make one word of the other; words beyond 64 characters are far. */
function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Infinity;
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, replaced));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
      }
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
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
    const similar = nearest(key, names);
    throw new OptionError(key, `Unknown option "${key}" of ${where}, expected one of ${names.join(", ")}`, {
      ...(similar !== undefined && { hint: `did you mean ${similar}?` }),
    });
  }
}

/** What the system says when a disk, or the user's share of it, is full; SQLite has a word of its own. */
const DISK_FULL: readonly string[] = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];

/** Whether the disk, or the user's share of it, is full: by an error's code, or that of what caused it. */
export function isDiskFull(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth++) {
    if (DISK_FULL.includes(String((cause as Error & { code?: unknown }).code))) return true;
  }
  return false;
}

const DISK_REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  SQLITE_FULL: "the disk is full",
  EDQUOT: "the user's share of the disk is full",
  EROFS: "the disk is read-only",
  SQLITE_READONLY: "it cannot be written",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ENOENT: "there is no such folder",
  ENOTDIR: "a part of the path is not a folder",
  EEXIST: "it is not a folder",
  EISDIR: "it is a folder, expected a file",
  ELOOP: "its symbolic links run in a circle",
  ENAMETOOLONG: "the path is too long",
  EMFILE: "too many files are open",
  ENFILE: "too many files are open",
  EIO: "the disk does not answer",
  SQLITE_NOTADB: "it is not a SQLite file",
  SQLITE_CORRUPT: "it is damaged",
};

/** Why a file or folder cannot be made or written, in words; the error's own message where its code says nothing. */
export function diskReason(error: unknown): string {
  const { code, message } = error as Error & { code?: string };
  return DISK_REASONS[code ?? ""] ?? message;
}
