/** Sees which hosts a process and its children look up: a shim before the C library writes their names to a file. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export class Lookups {
  readonly #file: string;
  readonly #shim: string;

  private constructor(folder: string, shim: string) {
    this.#file = join(folder, "lookups");
    this.#shim = shim;
  }

  /**
   * @param folder for the shim and its file
   * @returns null where the shim does not work: it needs Linux and a C compiler
   */
  static watch(folder: string): Lookups | null {
    const shim = join(folder, "lookups.so");
    const source = fileURLToPath(new URL("lookups.c", import.meta.url));
    const args = ["-shared", "-fPIC", "-O1", source, "-o", shim, "-ldl"];
    const works = process.platform === "linux" && spawnSync("cc", args, { stdio: "ignore" }).status === 0;
    return works ? new Lookups(folder, shim) : null;
  }

  static readonly MISSING = "look-ups are seen through a shim that needs Linux and a C compiler";

  /** Variables for the process that is watched. */
  get environment(): Record<string, string> {
    return { LD_PRELOAD: this.#shim, LOOKUPS: this.#file };
  }

  /** Host names looked up until now. */
  get names(): string[] {
    if (!existsSync(this.#file)) return [];
    return [...new Set(readFileSync(this.#file, "utf8").trim().split("\n"))];
  }
}
