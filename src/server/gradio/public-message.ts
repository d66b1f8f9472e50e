/** What a client may read of an error that has no status of its own: our words about its input, nothing of the server's inside. */
import { errorAnswer } from "../errors.ts";
import { ArgumentError } from "./endpoints.ts";

export function publicMessage(error: unknown): string {
  return error instanceof ArgumentError ? error.message : errorAnswer(error).message;
}
