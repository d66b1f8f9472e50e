/**
 * Which proxy a URL goes through, by the environment variables that curl, pip and git read: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and
 * NO_PROXY, each in lower case too, which comes first.
 */
import { BlockList, isIP } from "node:net";
import { OptionError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds the proxy of a URL.
 *
 * @returns http: or https:, with user and password where it has them; null if the URL is to be reached directly
 * @throws {OptionError} if the variable holds no such address; the message does not repeat it, for it may hold a password
 */
export function proxyFor(url: URL, env: Environment = process.env): URL | null {
  const variables = [url.protocol === "https:" ? "https_proxy" : "http_proxy", "all_proxy"];
  const found = variables.map((name) => variable(env, name)).find((one) => one !== undefined);
  if (found === undefined || isExempt(url, variable(env, "no_proxy")?.value ?? "")) return null;
  const { name, value } = found;
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const proxy = URL.canParse(address) ? new URL(address) : null;
  if (proxy === null || !["http:", "https:"].includes(proxy.protocol) || proxy.hostname === "") {
    const scheme = proxy === null ? "" : `, found ${proxy.protocol}//`;
    throw new OptionError(
      name,
      `Cannot use the proxy of ${name}: expected http://HOST:PORT or https://HOST:PORT${scheme}`,
    );
  }
  return proxy;
}

function variable(env: Environment, lower: string): { readonly name: string; readonly value: string } | undefined {
  for (const name of [lower, lower.toUpperCase()]) {
    const value = env[name]?.trim();
    if (value !== undefined && value !== "") return { name, value };
  }
  return undefined;
}

/**
 * Whether a list of exceptions names the URL: hosts, which stand for their subdomains too, with or without `.` or `*.` before
 * them and a port after them; IP addresses and networks (`10.0.0.0/8`); `*` for all. Separated by commas or spaces.
 */
function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$|\.$/g, "").toLowerCase();
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === "*") return true;
      if (entry.includes("/")) return isWithin(host, entry);
      const [, name, entryPort] = /^(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? ["", entry];
      if (entryPort !== undefined && entryPort !== port) return false;
      const bare = name.replace(/^\[|\]$|\.$/g, "").replace(/^\*?\.(?=.)/, "");
      return host === bare || (bare !== "" && isIP(host) === 0 && host.endsWith(`.${bare}`));
    });
}

function isWithin(host: string, network: string): boolean {
  const [address, bits] = network.split("/");
  const family = isIP(address);
  if (family === 0 || family !== isIP(host) || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128)) {
    return false;
  }
  const block = new BlockList();
  const kind = family === 4 ? "ipv4" : "ipv6";
  block.addSubnet(address, Number(bits), kind);
  return block.check(host, kind);
}
