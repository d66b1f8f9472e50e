/** Where the samples of `sotto live` come from: an external recorder, as Node has no microphone, or standard input. */
import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { looksLikeWav, openAudio } from "../../audio/index.ts";
import { InputError } from "../../errors.ts";
import { PcmDecoder } from "../../live/index.ts";

export interface LiveSource {
  /** For people. */
  readonly name: string;
  /** Mono at 16 kHz, as it comes. */
  readonly samples: AsyncIterable<Float32Array>;
}

/** Bytes that tell WAV from bare samples. */
const HEAD_BYTES = 12;
/** Kept of what a recorder complains about, in characters. */
const MAX_COMPLAINT = 2000;

const RATE = "16000";
/** Programs that record, in the order in which they are looked for, with what makes them write 16 bits at 16 kHz to stdout. */
const RECORDERS: readonly (readonly [program: string, ...args: string[]])[] = [
  ["arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", RATE, "-c", "1"],
  ["rec", "-q", "-t", "raw", "-r", RATE, "-c", "1", "-b", "16", "-e", "signed-integer", "-L", "-"],
  ["sox", "-q", "-d", "-t", "raw", "-r", RATE, "-c", "1", "-b", "16", "-e", "signed-integer", "-L", "-"],
  ["ffmpeg", "-nostdin", "-loglevel", "error", ...ffmpegInput(), "-ac", "1", "-ar", RATE, "-f", "s16le", "pipe:1"],
];

/** The microphone by ffmpeg's name for it; on Windows its devices have names of their own, which only the user knows. */
function ffmpegInput(): string[] {
  if (process.platform === "darwin") return ["-f", "avfoundation", "-i", ":default"];
  return process.platform === "linux" ? ["-f", "pulse", "-i", "default"] : ["-f", "dshow", "-i", "audio=default"];
}

/**
 * Starts the first recorder that is on PATH.
 *
 * @param signal ends the recording
 * @throws {InputError} if there is none
 */
export async function openMicrophone(signal: AbortSignal): Promise<LiveSource> {
  for (const [program, ...args] of RECORDERS) {
    const path = await findProgram(program);
    if (path !== null) return { name: program, samples: record(program, path, args, signal) };
  }
  const names = RECORDERS.map(([program]) => program).join(", ");
  throw new InputError("microphone", `no program that records is on PATH, expected one of ${names}`, {
    hint: "install alsa-utils, sox or ffmpeg, or send samples: sotto live - < talk.wav",
  });
}

async function* record(
  name: string,
  path: string,
  args: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Float32Array> {
  if (signal.aborted) return;
  const child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"], windowsHide: true });
  const stop = (): void => void child.kill("SIGTERM");
  signal.addEventListener("abort", stop, { once: true });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (complaint.length < MAX_COMPLAINT) complaint += text;
  });
  const ended = new Promise<number | Error | null>((resolve) => {
    child.on("error", resolve);
    child.on("close", resolve);
  });
  const decoder = new PcmDecoder("pcm16", 16000);
  let heard = false;
  try {
    for await (const bytes of child.stdout as AsyncIterable<Uint8Array>) {
      heard = true;
      yield decoder.push(bytes);
    }
    const end = await ended;
    if (signal.aborted || (end === 0 && heard)) return;
    const said = complaint.trim().split("\n").at(-1);
    throw new InputError("microphone", `${name} ended${said ? `: "${said}"` : " without a sound"}`);
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** WAV of any kind, or bare 16-bit little-endian mono samples. */
export function readPipe(stdin: AsyncIterable<Uint8Array>, sampleRate: number): LiveSource {
  return { name: "standard input", samples: pipeSamples(stdin, sampleRate) };
}

/** What comes until the signal is aborted, and what has come by then, even if a pipe would be silent for ever. */
export async function* until<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]();
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  }).then(async () => {
    await setImmediate(); // what is in buffers comes without waiting
    return null;
  });
  for (;;) {
    const next = iterator.next();
    next.catch(() => undefined); // after an abort nobody waits for it
    const result = await Promise.race([next, aborted]);
    if (result === null || result.done === true) return;
    yield result.value;
  }
}

async function* pipeSamples(stdin: AsyncIterable<Uint8Array>, sampleRate: number): AsyncGenerator<Float32Array> {
  const pieces = stdin[Symbol.asyncIterator]();
  let head = new Uint8Array(0);
  while (head.length < HEAD_BYTES) {
    const next = await pieces.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = (async function* (): AsyncGenerator<Uint8Array> {
    yield head;
    yield* { [Symbol.asyncIterator]: () => pieces };
  })();
  if (looksLikeWav(head)) {
    yield* await openAudio(whole);
    return;
  }
  const decoder = new PcmDecoder("pcm16", sampleRate);
  for await (const bytes of whole) yield decoder.push(bytes);
  yield decoder.flush();
}

async function findProgram(name: string): Promise<string | null> {
  const endings = process.platform === "win32" ? [".exe", ".cmd"] : [""];
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    for (const ending of endings) {
      const path = join(folder, `${name}${ending}`);
      const isThere =
        folder !== "" &&
        (await access(path, constants.X_OK).then(
          () => true,
          () => false,
        ));
      if (isThere) return path;
    }
  }
  return null;
}
