/**
 * Reads audio from an http or https URL. Every address is checked before it is connected to, after each redirect anew, and
 * the connection goes to the very address that was checked, so a name that changes its answer gains nothing. That holds through a
 * proxy of the environment too, unless the caller leaves it to the proxy to look names up.
 */

import { lookup as resolveAll, type LookupAddress } from "node:dns";
import { open } from "node:fs/promises";
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";

import { InputError, UnsupportedAudioError } from "../errors.ts";
import { getThrough, proxyFor, ProxyError, type ProxyAnswer } from "../network/index.ts";
import { ByteSource, emptyError } from "./byte-source.ts";
import { isPrivateAddress } from "./private-address.ts";
import { sniff, SNIFF_BYTES } from "./sniff.ts";
import { tooManyBytes, writeSource } from "./spool.ts";
import { TransferLimits, type TransferPatience } from "./transfer-limits.ts";

/** Redirects followed; browsers follow 20, a recording needs one or two. */
const MAX_REDIRECTS = 5;
const PROXY_HINT = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY";
const ACCEPTED = "audio/*, video/*, */*";

export interface DownloadOptions extends TransferPatience {
  readonly signal: AbortSignal | undefined;
  readonly allowPrivateAddresses: boolean;
  /** Whether a proxy may look names up that this machine cannot. */
  readonly proxyLookup: boolean;
  readonly maxBytes: number;
}

/** The URL without user and password, for messages. */
function displayUrl(url: URL): string {
  if (url.username === "" && url.password === "") return url.href;
  const bare = new URL(url);
  bare.username = "";
  bare.password = "";
  return bare.href;
}

/**
 * Opens a URL and waits for its headers.
 *
 * @throws {InputError} if the address is private, the server does not answer, answers with an error or with too much; from the
 * source, if it sends nothing, too little or too much
 */
export async function download(url: URL, options: DownloadOptions): Promise<ByteSource> {
  const name = displayUrl(url);
  const limits = new TransferLimits(options);
  let current = url;
  for (let redirects = 0; ; redirects++) {
    const response = await connect(current, name, options, limits);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
      response.destroy();
      if (redirects === MAX_REDIRECTS) throw new InputError(name, `more than ${MAX_REDIRECTS} redirects`);
      current = redirectTarget(location, current, name);
      continue;
    }
    if (status !== 200) {
      response.destroy();
      throw new InputError(
        name,
        `the server answered ${status}${response.statusMessage ? ` ${response.statusMessage}` : ""}`,
      );
    }
    const encoding = response.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") {
      response.destroy();
      throw new InputError(name, `the server compressed it as "${encoding}" although asked not to`);
    }
    const announced = Number(response.headers["content-length"] ?? NaN);
    if (announced > options.maxBytes) {
      response.destroy();
      throw tooManyBytes(name, options.maxBytes);
    }
    const size = Number.isNaN(announced) ? null : announced;
    return new ByteSource(name, body(response, name, options, limits), { size });
  }
}

/**
 * Downloads into a file that does not exist yet, and leaves none behind if it fails.
 *
 * @throws {InputError} as `download` does
 * @throws {UnsupportedAudioError} if it is empty, or its beginning shows that it is no audio
 * @throws the file system's error if it cannot be written
 */
export async function downloadFile(url: URL, path: string, options: DownloadOptions): Promise<void> {
  const source = await download(url, options);
  try {
    const head = await source.peek(SNIFF_BYTES);
    if (head.length === 0) throw emptyError(source.name);
    const kind = sniff(head);
    if (kind.kind === "other") throw new UnsupportedAudioError(source.name, kind.reason);
    await writeSource(await open(path, "wx", 0o600), path, source, options);
  } finally {
    await source.close();
  }
}

function redirectTarget(location: string, from: URL, name: string): URL {
  let target: URL;
  try {
    target = new URL(location, from);
  } catch (cause) {
    throw new InputError(name, `the server redirects to "${location}", which is no URL`, { cause });
  }
  if (target.protocol !== "http:" && target.protocol !== "https:") {
    throw new InputError(name, `the server redirects to a "${target.protocol}" URL, expected http or https`);
  }
  if (target.origin === from.origin && target.username === "") {
    target.username = from.username;
    target.password = from.password;
  }
  return target;
}

async function connect(
  url: URL,
  name: string,
  options: DownloadOptions,
  limits: TransferLimits,
): Promise<IncomingMessage | ProxyAnswer> {
  const { signal, allowPrivateAddresses } = options;
  signal?.throwIfAborted();
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // A literal address is connected to without a look-up.
  if (!allowPrivateAddresses && isIP(host) !== 0 && isPrivateAddress(host)) throw privateError(name, host);
  const proxy = proxyFor(url);
  if (proxy !== null) return connectThrough(proxy, url, name, options, limits);
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      headers: { accept: ACCEPTED, "accept-encoding": "identity", "user-agent": "sotto" },
      agent: false, // no connection is kept, so none keeps the process
      ...(signal === undefined ? {} : { signal }),
      ...(allowPrivateAddresses ? {} : { lookup: checkedLookup(name) }),
    });
    const began = performance.now();
    const timer = setTimeout(() => outgoing.destroy(new InputError(name, limits.impatience)), limits.nextWaitMs);
    outgoing.once("response", (response) => {
      clearTimeout(timer);
      limits.connected(performance.now() - began);
      resolve(response);
    });
    outgoing.on("error", (error) => {
      clearTimeout(timer);
      reject(connectionError(name, error, signal));
    });
    outgoing.end();
  });
}

/** Names are looked up here, as without a proxy, and the proxy is asked for the address that was checked. */
async function connectThrough(
  proxy: URL,
  url: URL,
  name: string,
  options: DownloadOptions,
  limits: TransferLimits,
): Promise<ProxyAnswer> {
  const { signal, allowPrivateAddresses, proxyLookup } = options;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  let address: string | undefined;
  if (!allowPrivateAddresses && isIP(host) === 0) {
    const checked = await lookUp(host, name).catch((error: unknown) => {
      if (error instanceof InputError) throw error;
      if (proxyLookup) return undefined;
      throw new InputError(name, "its host has no address that can be checked before the proxy connects to it", {
        cause: error,
        hint: {
          library: "pass proxyLookup if the proxy may look it up, or allowPrivateAddresses if you trust the URL",
        },
      });
    });
    if (!proxyLookup) address = checked;
  }
  const began = performance.now();
  const timeout = AbortSignal.timeout(limits.nextWaitMs);
  try {
    const headers = { accept: ACCEPTED, "accept-encoding": "identity", "user-agent": "sotto" };
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const answer = await getThrough(proxy, url, { headers, signal: both, address });
    limits.connected(performance.now() - began);
    return answer;
  } catch (error) {
    if (timeout.aborted && signal?.aborted !== true) throw new InputError(name, limits.impatience);
    if (error instanceof ProxyError) {
      throw new InputError(name, error.message, {
        cause: error,
        hint: { library: PROXY_HINT, commandLine: PROXY_HINT, server: PROXY_HINT },
      });
    }
    throw connectionError(name, error, signal);
  }
}

/** An address of a host, all of whose addresses are public. */
function lookUp(host: string, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    checkedLookup(name)(host, {}, (error, address) => {
      if (error !== null) reject(error);
      else resolve(address as string);
    });
  });
}

/** Resolves a name as usual, and fails if any of its addresses is private. */
function checkedLookup(name: string): LookupFunction {
  return (hostname, options, callback) => {
    resolveAll(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return callback(error, []);
      const inside = addresses.find(({ address }) => isPrivateAddress(address));
      if (inside !== undefined) return callback(privateError(name, inside.address), []);
      if (options.all === true) return callback(null, addresses);
      callback(null, addresses[0].address, addresses[0].family);
    });
  };
}

async function* body(
  response: IncomingMessage | ProxyAnswer,
  name: string,
  { signal, maxBytes }: DownloadOptions,
  limits: TransferLimits,
): AsyncGenerator<Uint8Array> {
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let received = 0;
  try {
    for (;;) {
      const began = performance.now();
      const timer = setTimeout(() => response.destroy(new InputError(name, limits.impatience)), limits.nextWaitMs);
      let next;
      try {
        next = await chunks.next();
      } finally {
        clearTimeout(timer);
      }
      if (next.done === true) break;
      received += next.value.length;
      if (received > maxBytes) throw tooManyBytes(name, maxBytes);
      const fault = limits.received(performance.now() - began, next.value.length);
      if (fault !== null) throw new InputError(name, fault);
      yield next.value;
    }
  } catch (error) {
    throw connectionError(name, error, signal);
  } finally {
    response.destroy();
  }
}

function privateError(name: string, address: string): InputError {
  return new InputError(name, `its host is at ${address}, an address of this machine or a private network`, {
    hint: {
      library: "pass allowPrivateAddresses if you trust the URL",
      commandLine: "--allow_private_addresses reads it all the same, if you trust the URL",
      server: "allowPrivateAddresses (--allow_private_addresses) lets clients name such hosts",
    },
  });
}

function connectionError(name: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof InputError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOTFOUND: "its host has no address",
    EAI_AGAIN: "its host cannot be looked up: no network, or no name server",
    ECONNREFUSED: "its host refuses the connection",
    ECONNRESET: "the server broke the connection off",
    ETIMEDOUT: "its host does not answer",
    ENETUNREACH: "no network leads to its host",
  };
  return new InputError(name, reasons[code ?? ""] ?? message, { cause: error });
}
