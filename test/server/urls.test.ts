/** Jobs with URLs: what is fetched, by what, and what never is. */
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type * as privateAddress from "../../src/audio/private-address.ts";
import { referenceText } from "../helpers/samples.ts";
import { fakeYtDlp } from "./fake-yt-dlp.ts";
import { CHUNKED, formOf, sample, startTestServer, until, wavOf, type TestServer } from "./start.ts";

/** An address that the guard takes for one of the public internet, and that leads here. All others are judged as ever. */
const OUTSIDE = "127.0.0.2";
vi.mock("../../src/audio/private-address.ts", async (load) => {
  const { isPrivateAddress } = await load<typeof privateAddress>();
  return { isPrivateAddress: (address: string) => address !== "127.0.0.2" && isPrivateAddress(address) };
});

const SHORT = sample("en-short.wav");
const TEXT = referenceText("en-short.wav");
const VIDEO = "https://www.youtube.com/watch?v=abcdefghijk";

const servers: Server[] = [];

/** Listens on an address; gives the origin, and what was asked for there. */
async function listen(address: string, listener: RequestListener): Promise<{ origin: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    listener(request, response);
  });
  servers.push(server);
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, address, resolve));
  return { origin: `http://${address}:${(server.address() as AddressInfo).port}`, asked };
}

const send: RequestListener = (_, response) => void response.end(readFileSync(SHORT));
const page: RequestListener = (_, response) => void response.end("<!DOCTYPE html><title>A video</title>");
const redirectTo =
  (location: string): RequestListener =>
  (_, response) =>
    void response.writeHead(302, { location }).end();

interface Outcome {
  readonly status: string;
  readonly text: string | null;
  readonly error: { readonly message: string; readonly code: string } | null;
}

async function run({ url }: TestServer, source: string): Promise<Outcome> {
  const answer = await fetch(`${url}/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url: source }),
  });
  expect(answer.status).toBe(202);
  const { id } = (await answer.json()) as { id: string };
  await (await fetch(`${url}/jobs/${id}/events`)).text();
  return (await (await fetch(`${url}/jobs/${id}`)).json()) as Outcome;
}

let guarded: TestServer;
let trusting: TestServer;
beforeAll(async () => {
  guarded = await startTestServer();
  trusting = await startTestServer({ allowPrivateAddresses: true }); // no name is looked up
});
afterAll(async () => {
  await guarded.close();
  await trusting.close();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  expect([...guarded.leftFiles(), ...trusting.leftFiles()]).toEqual([]);
});

describe("redirects", () => {
  it("are followed outside", async () => {
    const target = await listen(OUTSIDE, send);
    const first = await listen(OUTSIDE, redirectTo(`${target.origin}/b.wav`));
    expect(await run(guarded, `${first.origin}/a.wav`)).toMatchObject({ status: "done", text: TEXT });
    expect([first.asked, target.asked]).toEqual([["/a.wav"], ["/b.wav"]]);
  });

  it.each([
    ["a loopback address", "http://127.0.0.1:PORT/"],
    ["a name of this machine", "http://localhost:PORT/"],
    ["an address in disguise", "http://[::ffff:127.0.0.1]:PORT/"],
    ["another spelling of it", "http://2130706433:PORT/"],
    ["a private network", "http://10.0.0.1:PORT/"],
    ["a cloud's metadata", "http://169.254.169.254/latest/meta-data"],
  ])("are refused to %s", async (_name, location) => {
    const inside = await listen("127.0.0.1", send);
    const first = await listen(OUTSIDE, redirectTo(location.replace("PORT", new URL(inside.origin).port)));
    const { status, error } = await run(guarded, `${first.origin}/a.wav`);
    expect(status).toBe("failed");
    expect(error?.message).toContain("its host is at an address of this machine or a private network");
    expect(error?.message).not.toContain("allowPrivateAddresses");
    expect([first.asked, inside.asked]).toEqual([["/a.wav"], []]);
  });
});

describe("servers that send slowly", () => {
  /** Two bytes at a time, without an end. */
  const trickle: RequestListener = (_, response) => {
    response.write(readFileSync(SHORT).subarray(0, 5000));
    const timer = setInterval(() => response.write("xx"), 20);
    response.on("close", () => clearInterval(timer));
  };
  const post = async ({ url }: TestServer, body: FormData | object, from = "1"): Promise<string> => {
    const isForm = body instanceof FormData;
    const answer = await fetch(`${url}/jobs`, {
      method: "POST",
      headers: { "x-forwarded-for": `10.0.0.${from}`, ...(!isForm && { "content-type": "application/json" }) },
      body: isForm ? body : JSON.stringify(body),
    });
    expect(answer.status).toBe(202);
    return ((await answer.json()) as { id: string }).id;
  };
  const jobOf = async ({ url }: TestServer, id: string): Promise<Outcome & { readonly position: number | null }> =>
    (await (await fetch(`${url}/jobs/${id}`)).json()) as Outcome & { readonly position: number | null };
  const ended = async (server: TestServer, id: string): Promise<Outcome> => {
    await (await fetch(`${server.url}/jobs/${id}/events`)).text();
    return jobOf(server, id);
  };
  const upload = (): FormData => formOf({ bytes: readFileSync(SHORT), name: "a.wav" });

  it("keep nobody from being answered, and their jobs can be ended", async () => {
    const server = await startTestServer({ allowPrivateAddresses: true, maxRunning: 2 });
    try {
      const { origin } = await listen("127.0.0.1", trickle);
      const slow = await Promise.all(Array.from({ length: 8 }, () => post(server, { url: `${origin}/a.wav` })));
      await until(() => server.service.load.downloading === 8);
      const answer = await fetch(`${server.url}/v1/audio/transcriptions`, { method: "POST", body: upload() });
      expect(await answer.json()).toMatchObject({ text: TEXT });
      const other = await listen("127.0.0.1", send);
      expect(await run(server, `${other.origin}/a.wav`)).toMatchObject({ status: "done", text: TEXT });
      expect(server.service.load).toMatchObject({ waiting: 8, running: 0 });
      for (const id of slow) {
        expect((await fetch(`${server.url}/jobs/${id}`, { method: "DELETE" })).status).toBe(204);
      }
      expect(server.service.load).toMatchObject({ waiting: 0, downloading: 0 });
      expect(server.leftFiles()).toEqual([]);
    } finally {
      await server.close();
    }
  });

  it("are given up at the deadline, and leave no file", async () => {
    const server = await startTestServer({ allowPrivateAddresses: true, downloadTimeout: 0.2 });
    try {
      const { origin } = await listen("127.0.0.1", trickle);
      const { status, error } = await run(server, `${origin}/a.wav`);
      expect([status, error]).toEqual([
        "failed",
        { message: `Cannot read "${origin}/a.wav": the server took longer than 0.2 s`, code: "invalid_audio" },
      ]);
      expect(server.leftFiles()).toEqual([]);
    } finally {
      await server.close();
    }
  });

  it("are not waited for at the end of the server", async () => {
    const server = await startTestServer({ allowPrivateAddresses: true, shutdownGrace: 0 });
    const { origin } = await listen("127.0.0.1", trickle);
    await post(server, { url: `${origin}/a.wav` });
    await until(() => server.service.load.downloading === 1);
    await server.close();
    expect(server.service.load).toMatchObject({ waiting: 0, downloading: 0 });
  });

  it("and clients with many recordings keep no other client waiting for all of them", async () => {
    const server = await startTestServer({ maxRunning: 1, trustProxy: true, shutdownGrace: 0 });
    try {
      const long = wavOf(300);
      await Promise.all(
        Array.from({ length: 5 }, () => post(server, formOf({ bytes: long, name: "long.wav" }, CHUNKED), "1")),
      );
      const one = await post(server, upload(), "2");
      // At most the job at hand is before it, however fast the engine is.
      const { status, position } = await jobOf(server, one);
      if (status === "queued") expect(position).toBe(0);
      expect(await ended(server, one)).toMatchObject({ status: "done", text: TEXT });
    } finally {
      await server.close();
    }
  });

  it("and a client whose long recordings run leaves a place to others", async () => {
    const server = await startTestServer({ maxRunning: 3, trustProxy: true, shutdownGrace: 0 });
    try {
      const long = wavOf(600);
      for (let i = 0; i < 4; i++) await post(server, formOf({ bytes: long, name: "long.wav" }, CHUNKED), "1");
      await until(() => server.service.load.running === 2);
      const one = await post(server, upload(), "2");
      expect(await ended(server, one)).toMatchObject({ status: "done", text: TEXT });
      expect(server.service.load.waiting).toBeGreaterThanOrEqual(1);
    } finally {
      await server.close();
    }
  });
});

describe("videos of web sites", () => {
  it("come by yt-dlp, are transcribed, and leave no file", async () => {
    const program = await fakeYtDlp({ recording: SHORT });
    expect(await run(trusting, VIDEO)).toMatchObject({ status: "done", text: TEXT, name: VIDEO });
    expect(await program.calls()).toHaveLength(2);
    await program.remove();
  });

  it("are named by their URL where they cannot be read", async () => {
    const program = await fakeYtDlp({ recording: fileURLToPath(import.meta.url) });
    const { error } = await run(trusting, VIDEO.replace("//", "//ann:secret@"));
    expect(error?.message).toBe(`Cannot read "${VIDEO}": it is text, not audio`);
    await program.remove();
  });

  it("say what else can be done where yt-dlp is missing, and not what to install", async () => {
    vi.stubEnv("PATH", "/nowhere");
    const { status, error } = await run(trusting, VIDEO);
    expect(status).toBe("failed");
    expect(error?.message).toMatch(
      /: it is a page of a video site, .*\nHint: give the link of the audio or video file/,
    );
    expect(error?.message).not.toMatch(/yt-dlp|PATH/);
  });

  it("are looked for on any other page that comes instead of a recording", async () => {
    const { origin, asked } = await listen(OUTSIDE, page);
    const program = await fakeYtDlp({ recording: SHORT });
    expect(await run(guarded, `${origin}/watch`)).toMatchObject({ status: "done", text: TEXT });
    expect((await program.calls()).map((args) => args.at(-1))).toEqual([`${origin}/watch`, `${origin}/watch`]);
    expect(asked).toEqual(["/watch"]);
    await program.remove();
  });

  it.each([
    ["yt-dlp knows no such site", true, /: it is a web page, not audio$/],
    ["yt-dlp is missing", false, /: it is a web page, not audio$/],
  ])("leave a page a page where %s", async (_name, isInstalled, message) => {
    const { origin } = await listen(OUTSIDE, page);
    const program = await fakeYtDlp({ complaint: "ERROR: Unsupported URL: x" });
    if (!isInstalled) vi.stubEnv("PATH", "/nowhere");
    const { error } = await run(guarded, `${origin}/page`);
    expect(error).toEqual({ message: expect.stringMatching(message) as string, code: "unsupported_audio" });
    await program.remove();
  });

  it("are not asked for where the URL is a recording", async () => {
    const { origin } = await listen(OUTSIDE, send);
    const program = await fakeYtDlp({ recording: SHORT });
    expect(await run(guarded, `${origin}/a.wav`)).toMatchObject({ status: "done", text: TEXT });
    expect(await program.calls()).toEqual([]);
    await program.remove();
  });

  it("are not asked for inside: neither a page there, nor one that is redirected to", async () => {
    const inside = await listen("127.0.0.1", page);
    const first = await listen(OUTSIDE, redirectTo(`${inside.origin}/page`));
    const program = await fakeYtDlp({ recording: SHORT });
    for (const url of [`${inside.origin}/page`, `${first.origin}/a`]) {
      expect((await run(guarded, url)).error?.message).toContain("an address of this machine or a private network");
    }
    expect([inside.asked, await program.calls()]).toEqual([[], []]);
    await program.remove();
  });
});
