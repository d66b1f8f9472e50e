/** Why a native library was not loaded, in a line. */

/**
 * @param error what loading it has thrown
 * @returns "there is no binary for linux-arm64", or what the system's loader says: a missing library, an older C library
 */
export function loadFault(error: unknown): string {
  const { code, message }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error));
  const [line] = message.split("\n");
  if (code === "MODULE_NOT_FOUND" || code === "ERR_MODULE_NOT_FOUND") {
    return /\.node['"]/.test(line) ? `there is no binary for ${process.platform}-${process.arch}` : line;
  }
  return line;
}
