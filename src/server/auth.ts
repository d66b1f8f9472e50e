/** Who asks: API keys, where the server has any, and the names that limits count by. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { RequestError } from "./errors.ts";

/** How browsers, which cannot set headers of WebSockets, give OpenAI's realtime API its key. */
const KEY_PROTOCOL = "openai-insecure-api-key.";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * The key that a request comes with: `Authorization: Bearer KEY`, `X-API-Key: KEY`, for what a browser cannot give headers to,
 * EventSource and WebSocket, the query's `api_key` or the subprotocol `openai-insecure-api-key.KEY`.
 */
export function keyOf(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  const header = request.headers["x-api-key"];
  if (typeof header === "string" && header !== "") return header;
  const protocols = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((protocol) => protocol.trim());
  const protocol = protocols.find((name) => name.startsWith(KEY_PROTOCOL));
  if (protocol !== undefined) return protocol.slice(KEY_PROTOCOL.length);
  const query = request.query as Record<string, unknown> | undefined;
  const value = request.method === "GET" ? query?.["api_key"] : undefined;
  return typeof value === "string" && value !== "" ? value : undefined;
}

/**
 * Makes a check of keys that takes the same time for right and wrong ones.
 *
 * @throws {RequestError} 401, from the check
 */
export function keyCheck(keys: readonly string[]): (request: FastifyRequest) => void {
  const known = keys.map(digest);
  return (request) => {
    if (known.length === 0) return;
    const key = keyOf(request);
    if (key === undefined) {
      throw new RequestError(401, "No API key was given: send it as Authorization: Bearer KEY", {
        code: "missing_api_key",
      });
    }
    const given = digest(key);
    let isKnown = false;
    for (const one of known) isKnown = timingSafeEqual(one, given) || isKnown;
    if (!isKnown) throw new RequestError(401, "Incorrect API key provided", { code: "invalid_api_key" });
    names.set(request, `key ${given.toString("hex").slice(0, 16)}`);
  };
}

const names = new WeakMap<FastifyRequest, string>();

/** Name of who asks, for limits: that of the API key, else the address. */
export function clientOf(request: FastifyRequest): string {
  return names.get(request) ?? request.ip;
}

/**
 * Whom what a request makes belongs to: the API key's name. Where the server has no keys, all who reach it are one: "".
 */
export function ownerOf(request: FastifyRequest): string {
  return names.get(request) ?? "";
}
