/** One map from errors to HTTP: what a client is told of each, and nothing that it should not know. */
import { InputError, isDiskFull, OptionError, UnsupportedAudioError } from "../errors.ts";
import { QueueFullError, ShuttingDownError } from "./service.ts";

/** A request that cannot be met, in HTTP's words. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code: string | null;
  readonly param: string | null;

  constructor(
    readonly status: number,
    message: string,
    options: ErrorOptions & { code?: string; param?: string } = {},
  ) {
    super(message, options);
    this.code = options.code ?? null;
    this.param = options.param ?? null;
  }
}

/** What a client is told. */
export interface ErrorAnswer {
  readonly status: number;
  readonly message: string;
  /** OpenAI's kinds: "invalid_request_error", "rate_limit_error", "server_error". */
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
  /** For the header Retry-After, where trying again makes sense. */
  readonly retryAfterSeconds: number | null;
}

/** Status that nginx gives, and nobody reads: the client has gone. */
const CLIENT_CLOSED = 499;

/** The answer to an error of any kind. What is not a client's fault, or not ours to explain, becomes a plain 500. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof RequestError) return answer(error.status, error.message, error);
  if (error instanceof QueueFullError) {
    return error.scope === "server"
      ? answer(503, error.message, { code: "queue_full" }, error.retryAfterSeconds)
      : answer(429, error.message, { code: "rate_limit_exceeded" }, error.retryAfterSeconds);
  }
  if (error instanceof ShuttingDownError) return answer(503, error.message, { code: "shutting_down" }, 5);
  // Whatever it was for: an upload, a download, the store of jobs.
  if (isDiskFull(error)) return answer(507, "The server's disk is full", { code: "no_space" }, 60);
  if (error instanceof UnsupportedAudioError) {
    return answer(400, error.messageFor("client"), { param: "file", code: "unsupported_audio" });
  }
  if (error instanceof InputError)
    return answer(400, error.messageFor("client"), { param: "file", code: "invalid_audio" });
  if (error instanceof OptionError) return answer(400, error.message, { param: error.option, code: "invalid_value" });
  if (!(error instanceof Error)) return answer(500, "Internal server error", { code: "internal_error" });
  if (error.name === "AbortError") return answer(CLIENT_CLOSED, "The request was cancelled", { code: "cancelled" });
  const { code, statusCode } = error as Error & { code?: unknown; statusCode?: unknown };
  // Fastify's own, and its plugins': malformed bodies, unknown media types, rate limits.
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return answer(statusCode, error.message, { code: typeof code === "string" ? code.toLowerCase() : null });
  }
  return answer(500, "Internal server error", { code: "internal_error" });
}

function answer(
  status: number,
  message: string,
  { param = null, code = null }: { param?: string | null; code?: string | null },
  retryAfterSeconds: number | null = null,
): ErrorAnswer {
  const type = status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error";
  return { status, message, type, param, code, retryAfterSeconds };
}

/** OpenAI's body of an error, which all of the server's protocols use but those that have their own. */
export function errorBody({ message, type, param, code }: ErrorAnswer): object {
  return { error: { message, type, param, code } };
}
