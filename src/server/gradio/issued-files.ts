/**
 * Files that clients have uploaded, under names that only this server can have given: a client's word is looked up in a table
 * and never becomes a path. Files go when nobody has used them for a while, and the oldest when there are too many.
 */
import { randomBytes } from "node:crypto";

/** How long an upload waits for a call, or for the next one, in ms. Clients upload and call at once; people take longer. */
const KEEP_MS = 30 * 60_000;
/** A file is no more than a table entry and a file on disk, of which a folder should not hold more. */
const MAX_FILES = 1000;

/** A file as it lies here. */
export interface IssuedFile {
  readonly path: string;
  /** The name that the user knows it by. */
  readonly name: string;
  readonly bytes: number;
}

interface Entry extends IssuedFile {
  /** Calls that read it now. */
  uses: number;
  usedAt: number;
}

export interface IssuedFilesOptions {
  /** Bytes of all files together; the oldest unused ones give way. */
  readonly maxBytes: number;
  readonly remove: (path: string) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
}

export class IssuedFiles {
  readonly #options: IssuedFilesOptions;
  /** By the name given to the client; oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: IssuedFilesOptions) {
    this.#options = options;
  }

  /**
   * Takes over a file.
   *
   * @returns what the client calls it: unguessable, and with its name at the end, as clients show that
   */
  async issue(file: IssuedFile): Promise<string> {
    const shown = file.name.replace(/[^\p{L}\p{N}._ -]/gu, "_").slice(-100) || "blob";
    const id = `/tmp/gradio/${randomBytes(24).toString("hex")}/${shown}`;
    this.#entries.set(id, { ...file, uses: 0, usedAt: this.#options.now() });
    await this.#makeRoom();
    return id;
  }

  /**
   * Gives a file to a call, which must say when it is done.
   *
   * @returns null for every name that was never issued, or whose file is gone
   */
  use(id: string): { readonly file: IssuedFile; readonly release: () => void } | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    entry.uses++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      entry.uses--;
      entry.usedAt = this.#options.now();
    };
    return { file: entry, release };
  }

  /** Removes files that nobody has used for long. */
  async expire(): Promise<void> {
    const { now } = this.#options;
    const old = [...this.#entries].filter(([, { uses, usedAt }]) => uses === 0 && now() - usedAt > KEEP_MS);
    await Promise.all(old.map(([id, entry]) => this.#remove(id, entry)));
  }

  /** Removes all. */
  async clear(): Promise<void> {
    await Promise.all([...this.#entries].map(([id, entry]) => this.#remove(id, entry)));
  }

  async #makeRoom(): Promise<void> {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    const newest = [...this.#entries.keys()].at(-1);
    for (const [id, entry] of [...this.#entries]) {
      if (bytes <= this.#options.maxBytes && this.#entries.size <= MAX_FILES) return;
      if (entry.uses > 0 || id === newest) continue;
      bytes -= entry.bytes;
      await this.#remove(id, entry);
    }
  }

  async #remove(id: string, { path }: Entry): Promise<void> {
    this.#entries.delete(id);
    await this.#options.remove(path);
  }
}
