/** Reads the header of a safetensors file from disk; ../safetensors parses it. */
import { open } from "node:fs/promises";
import { CheckpointSyntaxError } from "../errors.ts";
import { parseHeaderLength, parseSafetensorsHeader, type SafetensorsHeader } from "../safetensors/index.ts";

/**
 * Reads and parses the header of a file.
 *
 * @returns the header, and its bytes, which tell one checkpoint from another
 * @throws {CheckpointSyntaxError} if the file breaks the format
 */
export async function readSafetensorsHeader(path: string): Promise<{ header: SafetensorsHeader; json: Uint8Array }> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const prefix = new Uint8Array(8);
    const { bytesRead } = await file.read(prefix, 0, 8, 0);
    const length = parseHeaderLength(prefix.subarray(0, bytesRead), size, path);
    const json = new Uint8Array(length);
    for (let read = 0; read < length;) {
      const piece = await file.read(json, read, length - read, 8 + read);
      if (piece.bytesRead === 0) throw new CheckpointSyntaxError(path, "file ends within its header", 8 + read);
      read += piece.bytesRead;
    }
    return { header: parseSafetensorsHeader(json, size, path), json };
  } finally {
    await file.close();
  }
}
