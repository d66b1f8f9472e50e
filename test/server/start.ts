/** Servers of the tests: on a free port of this machine, with the bundled model, and a log that is kept. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveConfig, type ServerOptions } from "../../src/server/config.ts";
import { startServer, type RunningServer } from "../../src/server/server.ts";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The bundled model's folder; its id is "nano". */
export const MODEL = join(ROOT, "models/nano");

/** Path of a recording of samples/. */
export const sample = (name: string): string => join(ROOT, "samples", name);

export interface TestServer extends RunningServer {
  /** The log, an object an entry. */
  readonly log: Record<string, unknown>[];
  readonly store: string;
  /** Files that uploads have left, and the jobs API's recordings. */
  readonly leftFiles: () => string[];
}

/** Starts a server; `close` also removes its folders. */
export async function startTestServer(options: ServerOptions = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "sotto-test-"));
  const log: Record<string, unknown>[] = [];
  const store = join(folder, "store");
  const config = resolveConfig({ port: 0, models: [MODEL], uploadDir: folder, store, shutdownGrace: 600, ...options });
  const server = await startServer(config, {
    log: { write: (line) => void log.push(JSON.parse(line) as Record<string, unknown>) },
  });
  return {
    ...server,
    log,
    store,
    leftFiles: () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith("jobs.db"))
        .map(({ name }) => name),
    close: async (options) => {
      await server.close(options);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until something is so; for what happens right after an answer. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A multipart form of a file and fields. */
export function formOf(
  file: { readonly bytes: Uint8Array; readonly name: string } | null,
  fields: Readonly<Record<string, string>> = {},
): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  if (file !== null) form.append("file", new Blob([Uint8Array.from(file.bytes)]), file.name);
  return form;
}

/** Seconds of a tone as a WAV file: audio that is long, and quickly made. Nobody speaks in it: only algorithm chunked hears all of it (`CHUNKED`). */
export function wavOf(seconds: number): Uint8Array {
  const samples = seconds * 16000;
  const bytes = Buffer.alloc(44 + 2 * samples);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(16000, 24);
  bytes.writeUInt32LE(32000, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples, 40);
  for (let i = 0; i < samples; i++) bytes.writeInt16LE(Math.round(3000 * Math.sin(i / 10)), 44 + 2 * i);
  return bytes;
}

/** Fields of a form whose recording is a tone and is to take its time. */
export const CHUNKED = { algorithm: "chunked" } as const;
