/**
 * Which names the server answers to, and whose pages may ask it. A page of any site can send requests to a server on the visitor's
 * machine or network: by its address (the browser names the page's origin then), or by a name of its own that it lets point there
 * (DNS rebinding: the browser takes the server for the page's own, and names it as host). Programs send no Origin and are not held up.
 */
import { isIP } from "node:net";
import type { FastifyRequest } from "fastify";
import { quote, withHint } from "../errors.ts";
import type { ServerConfig } from "./config.ts";
import { RequestError } from "./errors.ts";

type Names = Pick<ServerConfig, "allowedHosts" | "apiKeys" | "corsOrigins" | "host" | "trustProxy">;

/**
 * Makes a check of the headers Host and Origin; with `trustProxy` of X-Forwarded-Host too.
 *
 * Allowed hosts are IP addresses and names of the loopback interface, which nobody can let point elsewhere, the name that the server listens on,
 * and `allowedHosts`. Allowed origins are those of the host that is asked, of the loopback interface and of `allowedHosts`, and
 * `corsOrigins`. Where keys are needed, which no foreign page knows, nothing is checked unless `allowedHosts` is given.
 *
 * @throws {RequestError} 403, from the check
 */
export function hostCheck(config: Names): (request: FastifyRequest) => void {
  const { allowedHosts, apiKeys, corsOrigins, trustProxy } = config;
  const names = [...allowedHosts, config.host].map((name) => name.toLowerCase());
  if (apiKeys.length > 0 && allowedHosts.length === 0) return () => undefined;

  const isNamed = (name: string): boolean =>
    names.some((allowed) => name === allowed || (allowed.startsWith(".") && `.${name}`.endsWith(allowed)));
  const isOwnHost = (name: string): boolean =>
    names.includes("*") || isIP(name) !== 0 || isLoopback(name) || isNamed(name);
  const isOwnOrigin = (origin: string, hosts: readonly (string | null)[]): boolean => {
    if (corsOrigins.includes("*") || corsOrigins.includes(origin)) return true;
    const name = originName(origin);
    return name !== null && (isLoopback(name) || isNamed(name) || hosts.includes(name));
  };

  return (request) => {
    // The header itself too: a page whose name points here may send any X-Forwarded-Host.
    const given = [request.headers.host, trustProxy ? request.host : undefined].filter((host) => host !== undefined);
    const hosts = given.map(hostName);
    const foreign = hosts.findIndex((name) => name === null || !isOwnHost(name));
    if (foreign >= 0) {
      throw new RequestError(
        403,
        withHint(
          `Cannot answer for host ${quote(given[foreign])}: expected an IP address, localhost or a name that the server was told`,
          "whoever runs the server can add names: --allowed_hosts",
        ),
        { code: "host_not_allowed" },
      );
    }
    const { origin } = request.headers;
    if (origin !== undefined && !isOwnOrigin(origin, hosts)) {
      throw new RequestError(
        403,
        withHint(
          `Cannot answer a page of ${quote(origin)}: expected a page of this server`,
          "whoever runs the server can let pages of other origins ask: --cors_origins",
        ),
        { code: "origin_not_allowed" },
      );
    }
  };
}

/** Of a Host header, without its port; null if it is none. */
function hostName(host: string): string | null {
  const match = /^(?:\[([^\][]+)\]|([^\s:/?#@[\]]+))(?::\d*)?$/.exec(host);
  const name = match?.[1] ?? match?.[2];
  return name === undefined ? null : name.toLowerCase().replace(/\.$/, "");
}

/** Null for "null", which pages without an origin send, and for what is no web page's. */
function originName(origin: string): string | null {
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  return match === null ? null : hostName(match[1]);
}

/** RFC 6761, section 6.3: browsers resolve names under "localhost" by themselves. */
function isLoopback(name: string): boolean {
  return /^(?:.+\.)?localhost$|^127(?:\.\d{1,3}){3}$|^::1$/.test(name);
}
