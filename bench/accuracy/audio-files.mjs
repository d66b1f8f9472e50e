// Samples as files that every program reads alike: decoded once, by sotto's loader, to raw little-endian float32 at 16 kHz.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * @param {string} folder where they are kept, named after their content
 * @param {Float32Array} samples
 * @returns {{ path: string, digest: string }} digest: SHA-256 of the samples, hexadecimal
 */
export function writeSamples(folder, samples) {
  const bytes = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
  const digest = createHash("sha256").update(bytes).digest("hex");
  const path = join(folder, `${digest}.f32`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${path}.${process.pid}.part`, bytes);
    renameSync(`${path}.${process.pid}.part`, path);
  }
  return { path, digest };
}

/** @returns {Promise<Float32Array>} */
export async function readSamples(path) {
  const bytes = await readFile(path);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
