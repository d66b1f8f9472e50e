/** Jobs with URLs: what is fetched, by what, and what never is. */
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type * as privateAddress from "../../src/audio/private-address.ts";
import { referenceText } from "../helpers/samples.ts";
import { fakeYtDlp } from "./fake-yt-dlp.ts";
import { sample, startTestServer, type TestServer } from "./start.ts";

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
