/** The folder of what sotto keeps for itself; engine/packed-file.ts has its weights there. */
import { homedir } from "node:os";
import { join } from "node:path";

/** $SOTTO_CACHE, else sotto/ in the user's cache folder. */
export function defaultCacheDir(): string {
  const { SOTTO_CACHE, XDG_CACHE_HOME } = process.env;
  // Empty is as good as not set.
  return SOTTO_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "sotto");
}
