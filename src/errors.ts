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
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return `"${text.length > 80 ? `${text.slice(0, 77)}...` : text}"`;
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
  for (const key of Object.keys(options)) {
    if (!accepted.includes(key)) {
      throw new OptionError(key, `Unknown option "${key}" of ${where}, expected one of ${accepted.join(", ")}`);
    }
  }
}
