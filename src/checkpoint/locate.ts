/** From the path that a caller gives to the folder that a checkpoint's files lie in. */
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import { otherFormat } from "./weight-files.ts";

/**
 * @param path a folder, or a safetensors file in it
 * @returns `file`: name of the safetensors file, where one was given
 * @throws {CheckpointError} if there is no such folder, or the file is of another kind
 */
export async function locateCheckpoint(path: string): Promise<{ folder: string; file?: string }> {
  const absolute = resolve(path);
  let info;
  try {
    info = await stat(absolute);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new CheckpointError(path, [missing ? "no such folder" : (error as Error).message], { cause: error });
  }
  if (info.isDirectory()) return { folder: absolute };
  if (absolute.endsWith(".safetensors")) return { folder: dirname(absolute), file: basename(absolute) };
  throw otherFormat(path) ?? new CheckpointError(path, ["expected a folder or a safetensors file"]);
}
