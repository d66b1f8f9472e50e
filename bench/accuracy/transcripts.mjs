// Runs systems over recordings: one process at a time, results of peers kept on disk.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PeerProcess } from "../compare/peer-process.mjs";

/**
 * @typedef {object} Result what a system made of a recording
 * @property {string} text
 * @property {string | null} language
 * @property {{ start: number, end: number, text: string, words?: { start: number, end: number, word: string }[] }[]} segments
 * @property {number} seconds wall time
 * @property {number} cpuSeconds of all threads
 */

export class Transcripts {
  #cache;
  #running = null;
  #name = "";

  /** @param {string} cache folder of the kept results */
  constructor(cache) {
    this.#cache = cache;
  }

  /**
   * @param {import("./systems.mjs").System} system
   * @param {{ path: string, digest: string }} audio
   * @returns {Promise<Result>}
   * @throws {Error} if the system cannot be started, or fails on the recording
   */
  async transcribe(system, audio) {
    const path = join(this.#cache, "results", `${this.#keyOf(system, audio)}.json`);
    if (system.cached && existsSync(path)) return JSON.parse(readFileSync(path, "utf8"));
    const process = await this.#processOf(system);
    const result = await process.ask(JSON.stringify({ samples: audio.path, options: system.options }));
    if (result.error !== undefined) throw new Error(result.error);
    if (system.cached) {
      const kept = { system: system.name, version: process.ready.version, ...result };
      mkdirSync(join(this.#cache, "results"), { recursive: true });
      writeFileSync(`${path}.part`, JSON.stringify(kept));
      renameSync(`${path}.part`, path);
    }
    return result;
  }

  /** Program, options, weights, threads and samples: what text and time depend on, but for the program's version. */
  #keyOf({ process, options, launch }, { digest }) {
    const [, , weights, threads] = launch.args;
    const { size, mtimeMs } = statSync(weights);
    const parts = [process, options, threads, weights, size, mtimeMs, digest];
    return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  }

  async #processOf({ process, launch }) {
    if (this.#name === process) return this.#running;
    await this.end();
    const started = await PeerProcess.start(launch);
    if (started.ready.error !== undefined) throw new Error(started.ready.error);
    this.#running = started;
    this.#name = process;
    return started;
  }

  /** Ends the process that runs, if one does. */
  async end() {
    const running = this.#running;
    this.#running = null;
    this.#name = "";
    await running?.end();
  }
}
