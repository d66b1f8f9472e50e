// Models and recordings through a proxy of the environment, and whom it may not reach for strangers.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { HubError } from "../../src/errors.ts";
import { resolveModelWith } from "../../src/hub/resolve-model.ts";
import { defaultSystem } from "../../src/hub/settings.ts";
import { getThrough } from "../../src/network/index.ts";
import { ConnectProxy } from "../helpers/connect-proxy.ts";
import { FakeHub } from "../helpers/fake-hub.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const WAV = await readFile(join(root, "samples/en-short.wav"));
const TINY = { "config.json": JSON.stringify({ model_type: "whisper" }), "model.safetensors": WAV };

let proxy: ConnectProxy;
let folder: string;
let recordings: Server;
/** `host:port` of a server of recordings. */
let origin: string;
let asked: (string | undefined)[];

beforeEach(async () => {
  proxy = await ConnectProxy.start();
  folder = await mkdtemp(join(tmpdir(), "sotto-proxy-"));
  asked = [];
  recordings = createServer((request, response) => {
    asked.push(request.headers.host);
    if (request.url === "/moved.wav") response.writeHead(302, { location: "http://127.0.0.1/inside.wav" }).end();
    else response.end(WAV);
  });
  await new Promise<void>((resolve) => recordings.listen(0, "127.0.0.1", resolve));
  origin = `127.0.0.1:${(recordings.address() as AddressInfo).port}`;
  for (const name of ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]) {
    vi.stubEnv(name, undefined);
    vi.stubEnv(name.toUpperCase(), undefined);
  }
});
afterEach(async () => {
  vi.unstubAllEnvs();
  recordings.closeAllConnections();
  await new Promise((resolve) => recordings.close(resolve));
  await proxy.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("a model is downloaded", () => {
  let hub: FakeHub;
  beforeEach(async () => {
    hub = await FakeHub.start();
    hub.repositories.set("openai/whisper-tiny", { files: TINY });
  });
  afterEach(() => hub.stop());

  const get = (env: Record<string, string>, endpoint = hub.endpoint): Promise<string> => {
    const system = { ...defaultSystem, env, home: folder, sleep: () => Promise.resolve() };
    return resolveModelWith(system, "tiny", { endpoint });
  };

  it.each(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])("through %s", async (name) => {
    const path = await get({ [name]: `http://${proxy.address}` });
    expect((await readFile(join(path, "model.safetensors"))).equals(WAV)).toBe(true);
    expect(new Set(proxy.tunnels)).toContain(new URL(hub.endpoint).host);
  });

  it("with the proxy's user and password, and not without", async () => {
    proxy.credentials = "me:p@ss word";
    await get({ HTTP_PROXY: `http://me:p%40ss%20word@${proxy.address}` });
    expect(proxy.tunnels.length).toBeGreaterThan(0);
    await rm(join(folder, ".cache"), { recursive: true });
    await expect(get({ HTTP_PROXY: proxy.address })).rejects.toThrow(
      `Cannot get model "openai/whisper-tiny": proxy ${proxy.address} gives no connection: it answered 407\nHint: check HTTPS_PROXY`,
    );
  });

  it("directly from what NO_PROXY names", async () => {
    await get({ HTTP_PROXY: `http://${proxy.address}`, NO_PROXY: "127.0.0.1" });
    expect(proxy.tunnels).toEqual([]);
  });

  it("not past a proxy that is not there", async () => {
    const { address } = proxy;
    await proxy.stop();
    const failure: unknown = await get({ HTTP_PROXY: address }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(HubError);
    expect((failure as Error).message).toContain(`proxy ${address} gives no connection: ECONNREFUSED`);
    expect(hub.requests).toEqual([]);
    proxy = await ConnectProxy.start();
  });

  it("by the command line", async () => {
    const env = { ...process.env, HF_ENDPOINT: "http://hub.invalid", HF_HUB_CACHE: folder, HTTP_PROXY: proxy.address };
    proxy.names.set("hub.invalid", new URL(hub.endpoint).host);
    const argv = [join(root, "dist/cli/main.js"), join(root, "samples/en-short.wav"), "--model", "tiny"];
    const { stderr } = await promisify(execFile)(process.execPath, argv, { env }).catch(
      (error: { stderr: string }) => error,
    );
    expect(stderr).toContain("downloading model openai/whisper-tiny");
    expect(stderr).toContain("Cannot load checkpoint"); // a recording is no model
  });
});

describe("a recording is downloaded", () => {
  it("through the proxy, which looks up names that this machine cannot", async () => {
    vi.stubEnv("HTTP_PROXY", `http://${proxy.address}`);
    proxy.names.set("recordings.invalid", origin);
    const samples = await loadAudio("http://recordings.invalid/talk.wav", { proxyLookup: true });
    expect(samples.length).toBeGreaterThan(16000);
    expect([proxy.tunnels, asked]).toEqual([["recordings.invalid:80"], ["recordings.invalid"]]);
    await loadAudio("http://recordings.invalid/talk.wav", { allowPrivateAddresses: true });
    expect(proxy.tunnels).toHaveLength(2);
  });

  it("by the command line", async () => {
    proxy.credentials = "me:secret";
    proxy.names.set("recordings.invalid", origin);
    const env = { ...process.env, http_proxy: `http://me:secret@${proxy.address}` };
    const argv = [join(root, "dist/cli/main.js"), "--model", "nano", "http://recordings.invalid/talk.wav"];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { env });
    expect(stdout).toContain(" --> ");
  });

  it("from an address that was checked here, where the caller does not trust the URL", async () => {
    vi.stubEnv("ALL_PROXY", `http://${proxy.address}`);
    proxy.names.set("93.184.215.14", origin);
    await loadAudio("http://93.184.215.14/talk.wav");
    expect(proxy.tunnels).toEqual(["93.184.215.14:80"]);
  });

  it.each<[url: string, reason: string]>([
    [
      "http://recordings.invalid/talk.wav",
      "its host has no address that can be checked before the proxy connects to it",
    ],
    ["http://localhost/talk.wav", "an address of this machine or a private network"],
    ["http://127.0.0.1/talk.wav", "an address of this machine or a private network"],
    ["http://169.254.169.254/talk.wav", "an address of this machine or a private network"],
    ["http://[::1]/talk.wav", "an address of this machine or a private network"],
  ])("not from %s for strangers, however far the proxy reaches", async (url, reason) => {
    vi.stubEnv("HTTP_PROXY", `http://${proxy.address}`);
    proxy.names.set("recordings.invalid", origin);
    await expect(loadAudio(url)).rejects.toThrow(reason);
    expect(proxy.tunnels).toEqual([]);
  });

  it("nor from where a redirect leads", async () => {
    vi.stubEnv("HTTP_PROXY", `http://${proxy.address}`);
    proxy.names.set("93.184.215.14", origin);
    for (const options of [{}, { proxyLookup: true }]) {
      const loading = loadAudio("http://93.184.215.14/moved.wav", options);
      await expect(loading).rejects.toThrow("an address of this machine or a private network");
    }
    expect(new Set(proxy.tunnels)).toEqual(new Set(["93.184.215.14:80"]));
  });

  it("not where the proxy refuses, and the message names the proxy without its password", async () => {
    vi.stubEnv("HTTP_PROXY", `http://me:wrong@${proxy.address}`);
    proxy.credentials = "me:right";
    const error = (await loadAudio("http://recordings.invalid/a.wav", { proxyLookup: true }).catch(
      (reason: unknown) => reason,
    )) as Error;
    expect(error.message).toBe(
      `Cannot read "http://recordings.invalid/a.wav": proxy ${proxy.address} gives no connection: it answered 407\n` +
        "Hint: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    );
  });
});

it("getThrough() checks the certificate of the host, not of the address it connects to", async (ctx) => {
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=recordings.invalid", "-addext", "subjectAltName=DNS:recordings.invalid", "-days", "2"];
  const flags = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", ...files];
  const made = await promisify(execFile)("openssl", [...flags, ...subject]).catch(() => null);
  if (made === null) return ctx.skip("there is no openssl to make a certificate");
  const [key, cert] = await Promise.all([readFile(join(folder, "key.pem")), readFile(join(folder, "cert.pem"))]);
  const names: string[] = [];
  const server = createTlsServer({ key, cert, SNICallback: (name, done) => (names.push(name), done(null)) }, (_q, r) =>
    r.end("x"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0"); // its issuer is nobody
    proxy.names.set("93.184.215.14", `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const url = new URL("https://recordings.invalid/a.wav");
    const answer = await getThrough(new URL(`http://${proxy.address}`), url, { headers: {}, address: "93.184.215.14" });
    expect(Buffer.concat(await answer.toArray()).toString()).toBe("x");
    expect([names, proxy.tunnels]).toEqual([["recordings.invalid"], ["93.184.215.14:443"]]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
