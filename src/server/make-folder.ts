/** Making folders, with the reason where that fails. */
import { lstat, mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it, for this user alone. One that is there is left as it is.
 *
 * @throws the file system's error
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    // Node has this for a read-only disk too; the highest of the folders, made alone, tells the two apart.
    let missing = path;
    while ((await lstat(dirname(missing)).catch(() => null)) === null) missing = dirname(missing);
    await mkdir(missing, { mode: 0o700 });
    throw error;
  }
}
