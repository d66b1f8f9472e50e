// What the drivers in JavaScript share: their arguments, and the way they answer (../peer-process.mjs).
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** Mel frames of a window. */
export const FRAMES = 3000;

/** float32 numbers of a file. */
export function floats(path) {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** The arguments `name=value` of this process, as every driver has them. */
export function readArguments() {
  const options = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split(/=(.*)/s).slice(0, 2)));
  const ids = (list) => list.split(",").filter(Boolean).map(Number);
  return {
    ...options,
    threads: Number(options.threads),
    batch: Number(options.batch),
    nMels: Number(options.mels),
    prompt: ids(options.prompt),
    suppress: ids(options.suppress),
    mel: floats(options.mel),
    samples: options.audio === undefined ? null : floats(options.audio),
  };
}

/** Highest resident memory; on Linux not resourceUsage, which counts the process that started this one, too. */
function peakBytes() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

/**
 * Answers commands until there are no more.
 *
 * @param loadMs what it took to get ready
 * @param handlers by command: take its numbers, and give what the answer has besides time and memory
 */
export async function answerCommands(loadMs, handlers) {
  console.log(JSON.stringify({ ready: true, loadMs }));
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, ...numbers] = line.split(" ");
    const [before, cpu] = [performance.now(), process.cpuUsage()];
    const answer = await handlers[command](...numbers.map(Number));
    const used = process.cpuUsage(cpu);
    const ms = performance.now() - before;
    console.log(JSON.stringify({ ms, ...answer, cpuMs: (used.user + used.system) / 1000, peakBytes: peakBytes() }));
  }
}
