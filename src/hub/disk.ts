/** Failures of the disk that the cache lies on, as errors that say what to do. */
import { HubError, isDiskFull } from "../errors.ts";

/** A failed call of the file system as HubError; any other error as it is. */
export function asHubError(repository: string, error: unknown): unknown {
  if (error instanceof HubError) return error;
  const { syscall, path, message } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  if (isDiskFull(error)) {
    return new HubError(repository, `no space left on the disk of ${path === undefined ? "the cache" : `"${path}"`}`, {
      cause: error,
      hint: "free some space (the file that did not fit has been removed), or put the cache elsewhere with HF_HOME",
    });
  }
  return new HubError(repository, `cannot write its files: ${message}`, {
    cause: error,
    hint: "put the cache where it can be written with HF_HOME",
  });
}
