// A system under comparison: a process of its own that has loaded one model and does what it is told.
//
// Protocol, one line each way. The process prints {"ready": true, "loadMs"} once it has loaded; then for each command
//   run W N     encodes windows 0 to W - 1 of the log-Mel file and generates exactly N tokens for each, greedily
//   steps N     generates N tokens for window 0, encoded once and kept; `ms` is the generation alone
//   long W N    as run, but from the recording, with the system's own log-Mel where it has one
// it prints {ms, encodeMs, decodeMs, cpuMs, peakBytes, count, tokens}: `count` tokens of all windows, `tokens` of the first.
// It ends when its stdin does.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class PeerProcess {
  #child;
  #ended;
  #lines;
  #errors = "";

  /** @param {{ command: string, args: string[], env?: Record<string, string> }} launch */
  static async start({ command, args, env = {} }) {
    const peer = new PeerProcess();
    peer.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
    peer.#child.stderr.on("data", (text) => (peer.#errors = (peer.#errors + text).slice(-2000)));
    peer.#child.stdin.on("error", () => {}); // a process that has ended is seen to have on its stdout
    const failed = new Promise((_, reject) => peer.#child.once("error", reject));
    peer.#ended = new Promise((resolve) =>
      peer.#child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`)),
    );
    peer.#lines = createInterface({ input: peer.#child.stdout })[Symbol.asyncIterator]();
    peer.ready = await Promise.race([peer.#answer(), failed]);
    return peer;
  }

  async #answer() {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`it ended by itself (${await this.#ended}) ${this.#errors.trim()}`.trim());
      // Libraries may print what they like before they are asked.
      if (value.startsWith("{")) return JSON.parse(value);
    }
  }

  /** @returns {Promise<{ ms: number, encodeMs: number, decodeMs: number, cpuMs: number, peakBytes: number, count: number, tokens: number[] }>} */
  ask(...words) {
    this.#child.stdin.write(`${words.join(" ")}\n`);
    return this.#answer();
  }

  async end() {
    this.#child.stdin.end();
    await this.#ended;
  }
}
