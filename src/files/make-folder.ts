/**
 * Making folders. Not by `mkdir` with `recursive`, which never ends where a file system says of an existing folder that there is
 * no such thing, as /proc does, and cannot be interrupted.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it that are missing. One that is there is left as it is.
 *
 * @param mode of those that are made
 * @throws the file system's error about the highest folder that cannot be made; EEXIST if there is something else
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const above = dirname(path);
    if (code === "ENOENT" && above !== path) {
      await makeFolder(above, mode);
      // Now it can only fail for reasons of its own, or because somebody else has made it.
      await mkdir(path, { mode }).catch((second: unknown) => ignoreFolder(path, second));
    } else {
      await ignoreFolder(path, error);
    }
  }
}

/** @throws the error, unless there is a folder; a disk that is read-only says so before it says that there is one */
async function ignoreFolder(path: string, error: unknown): Promise<void> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw error;
}
