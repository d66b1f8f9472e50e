/**
 * Requests to the hub: redirects, the token, silence on the line, and which failures are worth another try.
 *
 * Redirects are followed by hand: the first answer of the hub carries what must be known of a file (its commit and
 * checksum) before another server sends the bytes, and that server must not see the token.
 */
import { HubError, OptionError } from "../errors.ts";
import { fetchThrough, proxyFor, ProxyError } from "../network/index.ts";
import type { HubSettings } from "./settings.ts";

const MAX_REDIRECTS = 8;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 30_000;

/** The server cannot be reached, is overloaded or broke off: the next attempt may succeed. */
export class TransientError extends Error {
  override readonly name = "TransientError";
  constructor(
    message: string,
    readonly options: ErrorOptions & { status?: number; retryAfterMs?: number } = {},
  ) {
    super(message, options);
  }
}

/** Every attempt failed for reasons that have nothing to do with the model: no network, a server in trouble. */
export class UnreachableError extends HubError {
  constructor(
    repository: string,
    readonly reason: string,
    readonly details: ErrorOptions & { hint: string; status?: number },
  ) {
    super(repository, reason, details);
  }
}

/**
 * Runs attempts until one succeeds, waiting longer after each failure; failures other than TransientError pass through.
 *
 * @param progress after a failure: a number that has grown if the attempt brought something, which makes it count afresh
 * @throws {UnreachableError} after `settings.maxFailures` attempts in a row without progress
 */
export async function withRetries<T>(
  settings: HubSettings,
  repository: string,
  attempt: () => Promise<T>,
  progress: () => Promise<number> = () => Promise.resolve(0),
): Promise<T> {
  let furthest = await progress();
  for (let failures = 1; ; failures++) {
    try {
      settings.signal?.throwIfAborted();
      return await attempt();
    } catch (error) {
      settings.signal?.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      const reached = await progress();
      if (reached > furthest) failures = 1;
      furthest = Math.max(furthest, reached);
      if (failures >= settings.maxFailures) {
        const { status } = error.options;
        throw new UnreachableError(repository, error.message + (failures > 1 ? ` (${failures} attempts)` : ""), {
          cause: error,
          hint: `check the network, HTTPS_PROXY, or HF_ENDPOINT (${settings.endpoint})`,
          ...(status === undefined ? {} : { status }),
        });
      }
      const wait = error.options.retryAfterMs ?? FIRST_WAIT_MS * 2 ** (failures - 1);
      await settings.system.sleep(Math.min(wait, MAX_WAIT_MS), settings.signal);
    }
  }
}

export interface Answer {
  readonly response: Response;
  /** Headers of the redirects before it, first one first, then its own. */
  readonly headers: readonly Headers[];
  /** Breaks the connection; the timer of the silence stops. Safe to call twice. */
  close(): void;
  /** Call after every byte received: the time without one begins anew. */
  alive(): void;
}

/**
 * Sends one request, following redirects.
 *
 * @param url of the endpoint; the token goes only to its origin
 * @param follow whether to follow a redirect; where it says no, the redirect itself is the answer
 * @throws {TransientError} if there is no answer, or one that says to come back later
 * @throws {HubError} if the redirects lead nowhere, or out of encryption
 */
export async function request(
  settings: HubSettings,
  repository: string,
  method: "GET" | "HEAD",
  url: string,
  headers: Readonly<Record<string, string>>,
  follow: (headers: Headers, next: URL) => boolean,
): Promise<Answer> {
  const control = new AbortController();
  const timeout = new TransientError(`no byte from ${new URL(url).host} for ${settings.timeoutMs / 1000} s`);
  let timer: NodeJS.Timeout | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => control.abort(timeout), settings.timeoutMs);
  };
  const close = (): void => {
    clearTimeout(timer);
    control.abort();
  };
  const signal = settings.signal === undefined ? control.signal : AbortSignal.any([control.signal, settings.signal]);

  const seen: Headers[] = [];
  let current = new URL(url);
  const home = new URL(settings.endpoint).origin;
  alive();
  try {
    for (let redirects = 0; ; redirects++) {
      const authorization: Record<string, string> =
        settings.token !== undefined && current.origin === home ? { authorization: `Bearer ${settings.token}` } : {};
      const init: RequestInit = {
        method,
        redirect: "manual",
        signal,
        // Compressed bodies would make sizes, ranges and checksums those of something else.
        headers: { "accept-encoding": "identity", "user-agent": "sotto", ...headers, ...authorization },
      };
      const proxy = proxyFor(current, settings.system.env);
      const response = await (proxy === null ? fetch(current, init) : fetchThrough(proxy, current, init));
      alive();
      seen.push(response.headers);
      const next = redirectTarget(response, current);
      if (next === undefined || !follow(response.headers, next)) {
        checkBusy(response, current);
        return { response, headers: seen, close, alive };
      }
      if (redirects >= MAX_REDIRECTS) throw new HubError(repository, `${current.host} redirects in circles`);
      if (current.protocol === "https:" && next.protocol !== "https:") {
        throw new HubError(repository, `${current.host} redirects to an address without encryption`);
      }
      await response.body?.cancel();
      current = next;
    }
  } catch (error) {
    close();
    if (error instanceof ProxyError && error.status !== undefined && error.status < 500) {
      const hint = "check HTTPS_PROXY, with the user and password of the proxy, and NO_PROXY";
      throw new HubError(repository, error.message, { cause: error, hint, status: error.status });
    }
    throw describe(settings, error, current);
  }
}

function redirectTarget(response: Response, from: URL): URL | undefined {
  if (response.status < 300 || response.status >= 400) return undefined;
  const location = response.headers.get("location");
  if (location === null) return undefined;
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  return target?.protocol === "http:" || target?.protocol === "https:" ? target : undefined;
}

function checkBusy({ status, headers }: Response, url: URL): void {
  if (status < 500 && status !== 429 && status !== 408) return;
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  throw new TransientError(`${url.host} answered ${status}`, {
    status,
    ...(seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {}),
  });
}

/** What `fetch` and its bodies throw, as TransientError, except when the caller gave up. */
export function describe(settings: HubSettings, error: unknown, url: URL): unknown {
  if (settings.signal?.aborted === true) return settings.signal.reason;
  if (error instanceof TransientError || error instanceof HubError || error instanceof OptionError) return error;
  if (error instanceof ProxyError) return new TransientError(error.message, { cause: error });
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  const reason = cause?.code ?? cause?.message ?? (error as Error).message;
  return new TransientError(`connection to ${url.host} failed: ${reason}`, { cause: error });
}
