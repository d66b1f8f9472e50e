import { createServer, type RequestListener, type Server } from "node:http";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeAll, afterAll, describe, expect, it } from "vitest";

import { InputError, OptionError, UnsupportedAudioError } from "../errors.ts";
import { loadAudio, openAudio } from "./open-audio.ts";

const FLAC = readFileSync(new URL("../../test/fixtures/audio/tone.flac", import.meta.url));
const servers: Server[] = [];

/** A server on loopback; gives its origin. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let copies = "";
const outerTmp = process.env.TMPDIR;
beforeAll(async () => {
  copies = await mkdtemp(join(tmpdir(), "download-test-"));
  process.env.TMPDIR = process.env.TEMP = copies;
});
afterAll(async () => {
  if (outerTmp === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = outerTmp;
  await rm(copies, { recursive: true });
});

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  expect(await readdir(copies)).toEqual([]);
});

const OPEN = { allowPrivateAddresses: true };

describe("openAudio() with a URL", () => {
  it("downloads and decodes", async () => {
    const origin = await serve((_, response) => response.end(FLAC));
    expect(await loadAudio(`${origin}/talk.flac`, OPEN)).toHaveLength(16000);
    expect(await loadAudio(new URL(`${origin}/talk`), OPEN)).toHaveLength(16000);
    const stream = await openAudio(`${origin}/talk.flac?x=1`, OPEN);
    expect(stream.name).toBe(`${origin}/talk.flac?x=1`);
    await stream.close();
  });

  it("follows 5 redirects and no sixth", async () => {
    const origin = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end(FLAC);
      else response.writeHead([301, 302, 303, 307, 308][left % 5], { location: `/${left - 1}` }).end();
    });
    expect(await loadAudio(`${origin}/5`, OPEN)).toHaveLength(16000);
    await expect(loadAudio(`${origin}/6`, OPEN)).rejects.toThrow("more than 5 redirects");
  });

  it.each([
    ["ftp://example.com/x", 'a "ftp:" URL'],
    ["file:///etc/passwd", 'a "file:" URL'],
    ["http://", "which is no URL"],
  ])("does not follow a redirect to %s", async (location, message) => {
    const origin = await serve((_, response) => response.writeHead(302, { location }).end());
    await expect(loadAudio(origin, OPEN)).rejects.toThrow(message);
  });

  it.each([
    [404, "the server answered 404 Not Found"],
    [403, "403 Forbidden"],
    [500, "500 Internal Server Error"],
    [204, "204"],
    [304, "304"],
  ])("names status %i", async (status, message) => {
    const origin = await serve((_, response) => response.writeHead(status).end());
    const failed = loadAudio(`${origin}/a.mp3`, OPEN);
    await expect(failed).rejects.toBeInstanceOf(InputError);
    await expect(failed).rejects.toThrow(message);
  });

  it("says when a web page comes instead of audio", async () => {
    const origin = await serve((_, response) => response.end("<!DOCTYPE html><title>Please log in</title>"));
    const failed = loadAudio(origin, OPEN);
    await expect(failed).rejects.toBeInstanceOf(UnsupportedAudioError);
    await expect(failed).rejects.toThrow("it is a web page");
  });

  it("refuses an empty answer", async () => {
    const origin = await serve((_, response) => response.end());
    await expect(loadAudio(origin, OPEN)).rejects.toThrow("it is empty");
  });

  it("refuses what is announced or turns out larger than maxBytes", async () => {
    const announced = await serve((_, response) =>
      response.writeHead(200, { "content-length": FLAC.length }).end(FLAC),
    );
    await expect(loadAudio(announced, { ...OPEN, maxBytes: 1000 })).rejects.toThrow("ceiling of 1000 bytes");
    const endless = await serve((_, response) => {
      const write = () => {
        while (!response.destroyed && response.write(FLAC));
      };
      response.on("drain", write);
      write();
    });
    await expect(loadAudio(endless, { ...OPEN, maxBytes: 1_000_000 })).rejects.toThrow("ceiling of 1000000 bytes");
  });

  it("gives up on a server that falls silent, before or within its answer", async () => {
    const mute = await serve(() => undefined);
    await expect(loadAudio(mute, { ...OPEN, timeoutMs: 50 })).rejects.toThrow("the server sent nothing for 0.05 s");
    const stalling = await serve((_, response) => void response.write(FLAC.subarray(0, 5000)));
    await expect(loadAudio(stalling, { ...OPEN, timeoutMs: 50 })).rejects.toThrow("the server sent nothing for 0.05 s");
  });

  it("gives up on a server that sends a byte now and then, in its answer as before it", async () => {
    const trickling = await serve((_, response) => {
      response.write(FLAC.subarray(0, 5000));
      const timer = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(timer));
    });
    const options = { ...OPEN, timeoutMs: 100, minBytesPerSecond: 1e6 };
    await expect(loadAudio(trickling, options)).rejects.toThrow(
      /the server sent \d+ bytes in [\d.]+ s, expected at least 1000000 a second/,
    );
    const unhurried = { ...OPEN, timeoutMs: 1000, downloadTimeoutMs: 100, minBytesPerSecond: 0 };
    await expect(loadAudio(trickling, unhurried)).rejects.toThrow("the server took longer than 0.1 s");
    const mute = await serve(() => undefined);
    await expect(loadAudio(mute, unhurried)).rejects.toThrow("the server took longer than 0.1 s");
  });

  it.each([{ timeoutMs: 0 }, { timeoutMs: NaN }, { downloadTimeoutMs: -1 }, { minBytesPerSecond: -1 }])(
    "refuses %o",
    async (options) => {
      await expect(loadAudio("http://127.0.0.1:9/", { ...OPEN, ...options })).rejects.toBeInstanceOf(OptionError);
    },
  );

  it("says when the connection breaks off", async () => {
    const origin = await serve((_, response) => {
      response.writeHead(200, { "content-length": FLAC.length });
      response.write(FLAC.subarray(0, 5000), () => response.destroy());
    });
    await expect(loadAudio(origin, OPEN)).rejects.toThrow("broke the connection off");
  });

  it("refuses a compressed answer that it did not ask for", async () => {
    const origin = await serve((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end("x"));
    await expect(loadAudio(origin, OPEN)).rejects.toThrow('compressed it as "gzip"');
  });

  it("says when nobody listens, and when the name does not exist", async () => {
    const origin = await serve(() => undefined);
    const server = servers.pop() as Server;
    await new Promise((resolve) => server.close(resolve));
    await expect(loadAudio(origin, OPEN)).rejects.toThrow("refuses the connection");
    await expect(loadAudio("http://no-such-host.invalid/a.mp3")).rejects.toThrow(/cannot be looked up|has no address/);
  });

  it("ends with the signal, while the server is silent", async () => {
    const controller = new AbortController();
    const origin = await serve(() => controller.abort());
    await expect(loadAudio(origin, { ...OPEN, signal: controller.signal })).rejects.toMatchObject({
      name: "AbortError",
    });
    const second = new AbortController();
    const stalling = await serve((_, response) => response.write(FLAC.subarray(0, 5000), () => second.abort()));
    await expect(loadAudio(stalling, { ...OPEN, signal: second.signal })).rejects.toMatchObject({ name: "AbortError" });
  });

  it("sends the URL's user to its own server only, and never shows it", async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(404).end();
    });
    const origin = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: request.url === "/a" ? "/b" : `${other}/c` }).end();
    });
    const failed: unknown = await loadAudio(origin.replace("//", "//ann:secret@") + "/a", OPEN).catch(
      (error: unknown) => error,
    );
    const basic = `Basic ${Buffer.from("ann:secret").toString("base64")}`;
    expect(seen).toEqual([basic, basic, undefined]);
    expect((failed as Error).message).not.toContain("secret");
  });
});

describe("openAudio() with a URL of a private address", () => {
  it.each([
    ["127.0.0.1"],
    ["127.1"],
    ["2130706433"],
    ["0x7f.1"],
    ["localhost"],
    ["[::1]"],
    ["[::ffff:127.0.0.1]"],
    ["169.254.169.254"],
    ["192.168.0.1"],
    ["0.0.0.0"],
  ])("does not connect to %s", async (host) => {
    let asked = 0;
    const origin = await serve((_, response) => {
      asked++;
      response.end(FLAC);
    });
    const url = `http://${host}:${new URL(origin).port}/a.flac`;
    await expect(loadAudio(url)).rejects.toThrow(
      /an address of this machine or a private network\nHint: pass allowPrivateAddresses/,
    );
    expect(asked).toBe(0);
  });
});
