/** The page in a real Chromium, served by the real server with the bundled model: from a recording to files, end to end. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { resolveConfig } from "../../src/server/config.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";
import { referenceText, samplePath } from "../helpers/samples.ts";
import { MODEL, ROOT } from "../server/start.ts";
import {
  buildPage,
  CHROMIUM,
  download,
  launch,
  NO_CHROMIUM,
  openPage,
  playing,
  recorded,
  shownText,
  SPOKEN,
  transcribe,
  until,
  watchSeeks,
} from "./browser.ts";

let browser: Browser;
let server: RunningServer;
let page: string;
let store: string;

beforeAll(async () => {
  if (CHROMIUM === null) return;
  page = await buildPage();
  store = mkdtempSync(join(tmpdir(), "sotto-web-"));
  const config = resolveConfig({
    port: 0,
    allowedHosts: ["sotto.test"],
    models: ["nano"],
    staticDir: page,
    store,
    logLevel: "silent",
    shutdownGrace: 1,
  });
  [browser, server] = await Promise.all([launch(), startServer(config)]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  for (const folder of [page, store]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

beforeEach((ctx) => {
  if (CHROMIUM === null) ctx.skip(NO_CHROMIUM);
});

async function open(host = "127.0.0.1") {
  const opened = await openPage(browser, `http://${host}:${server.port}/`);
  onTestFinished(() => opened.context.close());
  return opened;
}

/** A server of its own, as the command starts it, on a store. */
async function serve(store: string, port: number): Promise<{ url: string; kill: () => Promise<unknown> }> {
  const flags = { model: MODEL, port, store, static_dir: page, log_level: "silent" };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [join(ROOT, "dist/cli/main.js"), "serve", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = (): Promise<unknown> => {
    const ended = once(child, "exit");
    return child.kill("SIGKILL") ? ended : Promise.resolve();
  };
  onTestFinished(async () => void (await kill()));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const found = /Listening on (\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`The server ended with ${code}`)));
  });
  return { url, kill };
}

/** Words as a person compares them. */
const plain = (text: string): string[] => text.toLowerCase().match(/\p{L}+/gu) ?? [];

describe("the page and the server", () => {
  it("transcribe a file, which is then played by word, searched, edited and downloaded", async () => {
    const { page, complaints } = await open();
    await transcribe(page, samplePath("en-short.wav"));
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    const reference = referenceText("en-short.wav");
    // The bundled model makes no errors on this recording.
    expect(await shownText(page)).toBe(reference);

    const { segments } = JSON.parse((await download(page, "json")).text) as {
      segments: { words: { word: string; start: number }[] }[];
    };
    const station = segments[1].words.find(({ word }) => word === " station");
    const seeks = await watchSeeks(page);
    await page.getByText("station", { exact: true }).click();
    await until(async () => (await seeks())[0]).toBeCloseTo(station?.start ?? NaN);
    await until(() => page.locator(".word.now").allInnerTexts()).toEqual(["museum."]);

    await page.getByLabel("Search in the transcript").fill("museum");
    await page.getByText("1 of 1").waitFor();

    expect((await download(page, "txt")).text).toBe(`${reference.replace(". ", ".\n")}\n`);
    await page.getByRole("button", { name: "Edit" }).click();
    const first = page.getByLabel(/^Text at/).first();
    await first.fill("Klara likes to sing in winter.");
    await first.press("Enter");
    await page.getByRole("button", { name: "Done" }).click();
    const { name, text } = await download(page, "srt");
    expect(name).toBe("en-short.srt");
    expect(text).toMatch(/^1\n00:00:00,\d{3} --> 00:00:0[12],\d{3}\nKlara likes to sing in winter\.\n\n2\n/);
    expect(complaints).toEqual([]);
  });

  it("transcribe a longer recording with progress and text on the way", async () => {
    const { page } = await open();
    // Steps come faster than a test can look: the page itself writes them down.
    await page.evaluate(() => {
      const seen = ((window as unknown as { seen: number[] }).seen = []) as number[];
      new MutationObserver(() => {
        const value = document.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow");
        const isHeard = /^\d+:\d\d of /.test(document.querySelector(".times")?.textContent ?? "");
        if (isHeard && value) seen.push(Number(value));
      }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    });
    await transcribe(page, samplePath("en-long.flac"));
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    const seen = await page.evaluate(() => (window as unknown as { seen: number[] }).seen);
    expect(seen.some((value) => value > 0 && value < 100)).toBe(true);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    const heard = plain(await shownText(page));
    const said = plain(referenceText("en-long.flac"));
    const known = new Set(said);
    expect(heard.length / said.length).toBeGreaterThan(0.9);
    expect(heard.filter((word) => known.has(word)).length / said.length).toBeGreaterThan(0.8);
  });

  it("go on with a job after the server was killed and started again", async (context) => {
    if ((await import("libsql").catch(() => null)) === null) context.skip("libsql is not installed");
    const own = mkdtempSync(join(tmpdir(), "sotto-restart-"));
    onTestFinished(() => rmSync(own, { recursive: true, force: true }));
    const first = await serve(own, 0);
    const opened = await openPage(browser, first.url);
    onTestFinished(() => opened.context.close());
    const accepted = opened.page.waitForResponse((response) => response.status() === 202);
    await transcribe(opened.page, samplePath("en-long.flac"));
    await accepted;
    await first.kill();
    await opened.page.getByText("Reconnecting").first().waitFor();
    await serve(own, Number(new URL(first.url).port));
    await opened.page.getByRole("list", { name: "Transcript" }).waitFor();
    const known = new Set(plain(referenceText("en-long.flac")));
    expect(plain(await shownText(opened.page)).filter((word) => known.has(word)).length).toBeGreaterThan(20);
  });

  it("transcribe what the microphone hears, and play it back", async () => {
    const { page, complaints } = await open();
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await recorded(page, 5);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("region", { name: "Recording" }).getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    const known = new Set(plain(referenceText(SPOKEN)));
    const heard = plain(await shownText(page));
    expect(heard.filter((word) => known.has(word)).length).toBeGreaterThan(4);
    await page.locator(".word").last().click();
    await until(async () => (await playing(page)).time).toBeGreaterThan(2);
    expect(complaints).toEqual([]);
  });

  it("caption what the microphone hears, live", async () => {
    const { page, complaints } = await open();
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByLabel("Spoken language").selectOption("English");
    await page.getByRole("button", { name: "Start" }).click();
    const captions = page.getByRole("log", { name: "Captions" });
    const known = new Set(plain(referenceText(SPOKEN)));
    const heard = async () => plain(await captions.innerText()).filter((word) => known.has(word) && word.length > 3);
    await until(async () => (await heard()).length).toBeGreaterThan(2);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("button", { name: "Open as transcript" }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    expect(plain(await shownText(page)).filter((word) => known.has(word)).length).toBeGreaterThan(2);
    expect(complaints).toEqual([]);
  });

  it("refuse what is no recording, in words", async () => {
    const { page } = await open();
    const file = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("no sound in here ".repeat(50)) };
    await page.getByLabel("Choose a recording", { exact: true }).setInputFiles(file);
    await page.getByRole("region", { name: "Recording" }).getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("alert").getByText("notes.txt").waitFor();
    expect(await page.getByRole("alert").innerText()).not.toMatch(/\.ts:|at \w+ \(/);
  });

  it("refuse a link into a private network, in words", async () => {
    const { page } = await open();
    await page.getByLabel("Link to a recording").fill(`http://127.0.0.1:${server.port}/health`);
    await page.getByLabel("Link to a recording").press("Enter");
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").innerText()).toMatch(/private|not allowed|refused/i);
  });

  it("work over plain http from another machine, where browsers give less", async () => {
    // The browser takes this name for another machine's (see launch()), so that the page is no secure context.
    const { page } = await open("sotto.test");
    expect(await page.evaluate(() => isSecureContext)).toBe(false);
    await transcribe(page, samplePath("en-short.wav"));
    expect(await shownText(page)).toBe(referenceText("en-short.wav"));
    await page.getByRole("button", { name: "New" }).click();
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await page.getByRole("alert").getByText("Open the page over https").waitFor();
  });

  it("serve the page under a policy that allows no inline script", () => {
    const html = readFileSync(join(page, "index.html"), "utf8");
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=|https?:\/\//);
  });
});
