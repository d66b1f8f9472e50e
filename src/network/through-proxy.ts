/**
 * Requests through a proxy, by undici: a tunnel (CONNECT) for http and https alike, with the proxy's user and password. Its fetch is
 * used along with its agent: the built-in fetch of each Node takes agents of one version of undici only. Loaded where a proxy is used.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { ProxyAgent as Agent } from "undici";

/** The proxy cannot be reached, or refuses. `status` is its answer, where it gave one. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  constructor(
    proxy: URL,
    readonly status: number | undefined,
    options: ErrorOptions,
  ) {
    const cause = options.cause as NodeJS.ErrnoException | undefined;
    const reason = status === undefined ? (cause?.code ?? cause?.message) : `it answered ${status}`;
    super(`proxy ${proxy.host} gives no connection: ${reason}`, options);
  }
}

/** As `fetch`, through a proxy. @throws {ProxyError} if the proxy gives no connection */
export async function fetchThrough(proxy: URL, url: URL, init: RequestInit): Promise<Response> {
  const { fetch } = await import("undici");
  const dispatcher = await agentOf(proxy);
  try {
    const answer = await fetch(url, { ...(init as object), dispatcher });
    return answer as unknown as Response; // the same interface, of another copy of undici
  } catch (error) {
    throw asProxyError(proxy, error);
  }
}

/** What a request is answered, before its body; destroying it ends the connection. */
export interface ProxyAnswer extends Readable {
  readonly statusCode?: number | undefined;
  readonly statusMessage?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Sends a GET through a proxy, and follows no redirect.
 *
 * @param options.address connects to this address of the host, instead of leaving it to the proxy to look the host up
 * @throws {ProxyError} if the proxy gives no connection
 */
export async function getThrough(
  proxy: URL,
  url: URL,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
    readonly address?: string | undefined;
  },
): Promise<ProxyAnswer> {
  const { request, ProxyAgent } = await import("undici");
  const { address, signal } = options;
  const target = new URL(url);
  target.username = target.password = "";
  if (address !== undefined) target.hostname = address.includes(":") ? `[${address}]` : address;
  const authorization: Record<string, string> =
    url.username === "" && url.password === "" ? {} : { authorization: basic(url) };
  const agent = new ProxyAgent({
    ...agentOptions(proxy),
    ...(address !== undefined && { requestTls: { servername: url.hostname } }),
  });
  try {
    const { statusCode, headers, body } = await request(target, {
      dispatcher: agent,
      headers: { host: url.host, ...options.headers, ...authorization },
      ...(signal !== undefined && { signal }),
    });
    body.on("error", () => undefined); // destroying it is no failure; who reads it is told of others
    body.once("close", () => void agent.destroy());
    return Object.assign(body as Readable, { statusCode, headers });
  } catch (error) {
    void agent.destroy();
    throw asProxyError(proxy, error);
  }
}

/** One agent a proxy, which keeps connections for the next request. */
const agents = new Map<string, Promise<Agent>>();

function agentOf(proxy: URL): Promise<Agent> {
  let agent = agents.get(proxy.href);
  if (agent === undefined) {
    agent = import("undici").then(({ ProxyAgent }) => new ProxyAgent(agentOptions(proxy)));
    agents.set(proxy.href, agent);
  }
  return agent;
}

function agentOptions(proxy: URL): { uri: string; token?: string } {
  const bare = new URL(proxy);
  bare.username = bare.password = "";
  return { uri: bare.href, ...((proxy.username !== "" || proxy.password !== "") && { token: basic(proxy) }) };
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64")}`;
}

/** The failure as one of the proxy's, if what it comes from is. */
function asProxyError(proxy: URL, error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const status = /^Proxy response \((\d+)\)/.exec(cause.message)?.[1];
    if (status !== undefined) return new ProxyError(proxy, Number(status), { cause });
    const { syscall, code } = cause as NodeJS.ErrnoException;
    // Until there is a tunnel, all that is connected to and looked up is the proxy.
    if (syscall === "connect" || syscall === "getaddrinfo" || code === "UND_ERR_CONNECT_TIMEOUT") {
      return new ProxyError(proxy, undefined, { cause });
    }
  }
  return error;
}
