/**
 * A folder in the system's folder of temporary files that belongs to one user. Everybody may make folders there, so the name alone says
 * nothing: what is in it is believed only if the folder is this user's and nobody else can write to it.
 */
import { chmod, lstat, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Path of the user's folder; Windows has a folder of temporary files for each user already. */
export function privateFolderPath(): string {
  const uid = process.getuid?.();
  return join(tmpdir(), uid === undefined ? "sotto" : `sotto-${uid}`);
}

/**
 * Makes the user's folder if it is missing, with mode 0700.
 *
 * @returns its path
 * @throws {Error} if it is another user's, a link, or others can write to it; the file system's error if it cannot be made
 */
export async function privateFolder(): Promise<string> {
  const path = privateFolderPath();
  await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  });
  const found = await lstat(path);
  if (found.isSymbolicLink()) throw new Error("it is a symbolic link, expected a folder");
  if (!found.isDirectory()) throw new Error("it is not a folder");
  const uid = process.getuid?.();
  if (uid === undefined) return path;
  if (found.uid !== uid) throw new Error("it belongs to another user");
  if ((found.mode & 0o022) !== 0) throw new Error("other users can write to it");
  if ((found.mode & 0o077) !== 0) await chmod(path, 0o700);
  return path;
}
