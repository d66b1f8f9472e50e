/**
 * A GPU for tests: a real one where there is one, else the stand-in of kernels/host, built with the machine's C++ compiler. The build is kept in
 * node_modules/.cache under a hash of its sources.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CudaDevice } from "../../src/engine/cuda/device.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const script = join(root, "scripts", "build-kernels.mjs");
const cache = join(root, "node_modules", ".cache", "sotto");

/** A build that takes longer than this has died with its process. */
const STALE_LOCK_MS = 10 * 60_000;

function sourceHash(): string {
  const hash = createHash("sha256").update(readFileSync(script));
  for (const folder of ["kernels", "kernels/host"]) {
    for (const file of readdirSync(join(root, folder)).sort()) {
      const path = join(root, folder, file);
      if (statSync(path).isFile()) hash.update(`${file}\0`).update(readFileSync(path));
    }
  }
  return hash.digest("hex").slice(0, 16);
}

function build(file: string): Promise<{ path: string } | { reason: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, "--host", file], { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (text) => (output += String(text)));
    child.stderr.on("data", (text) => (output += String(text)));
    child.on("close", (code) => {
      if (code === 0) resolve({ path: file });
      else if (code === 2) resolve({ reason: output.trim() });
      else throw new Error(`Cannot build the stand-in:\n${output}`);
    });
  });
}

/** The stand-in's library, or why it cannot be built here. One process builds, the others wait for it. */
export async function buildStandIn(): Promise<{ path: string } | { reason: string }> {
  const path = join(cache, `cuda-stand-in-${sourceHash()}.so`);
  const lock = `${path}.lock`;
  mkdirSync(cache, { recursive: true });
  for (;;) {
    if (existsSync(path)) return { path };
    try {
      mkdirSync(lock);
    } catch {
      const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
      if (Date.now() - since > STALE_LOCK_MS) rmdirSync(lock);
      await new Promise((resolve) => setTimeout(resolve, 200));
      continue;
    }
    try {
      const built = await build(`${path}.${process.pid}`);
      if ("path" in built) renameSync(built.path, path);
      return "path" in built ? { path } : built;
    } finally {
      rmdirSync(lock);
    }
  }
}

/** Makes the driver of this process a GPU's, or the stand-in's: call it before anything loads the driver. */
export async function useTestDriver(): Promise<{ reason: string } | null> {
  if (existsSync("/dev/nvidiactl") || process.env["SOTTO_LIBCUDA"] !== undefined) return null;
  const built = await buildStandIn();
  if ("reason" in built) return built;
  process.env["SOTTO_LIBCUDA"] = built.path;
  // Threads run in no order that a kernel could rely on.
  process.env["SOTTO_STANDIN_ORDER"] ??= "shuffle:1";
  return null;
}

/** Whether what computes is the stand-in. */
export const isStandIn = (): boolean => process.env["SOTTO_LIBCUDA"]?.includes("stand-in") ?? false;

/** A device, or why there is none. */
export async function openTestDevice(): Promise<{ device: CudaDevice } | { reason: string }> {
  return (await useTestDriver()) ?? { device: CudaDevice.open() };
}
