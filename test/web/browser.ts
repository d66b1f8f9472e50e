/** A real Chromium for the page's tests, with a microphone that plays a recording, and the page itself, freshly built. */

import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { build } from "vite";
import { samplePath } from "../helpers/samples.ts";

const CANDIDATES = [
  process.env["SOTTO_CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/opt/google/chrome/chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Path of a browser; null where there is none. */
export const CHROMIUM = CANDIDATES.find((path) => path !== undefined && path !== "" && existsSync(path)) ?? null;

export const NO_CHROMIUM = "no Chromium on this machine; SOTTO_CHROMIUM may name one";

/** What the microphone of the tests hears, over and over. */
export const SPOKEN = "en-short.wav";

/** Builds the page from its sources, as it is published, and gives the folder. */
export async function buildPage(): Promise<string> {
  const root = fileURLToPath(new URL("../../web/", import.meta.url));
  const outDir = mkdtempSync(join(tmpdir(), "sotto-page-"));
  const { NODE_ENV } = process.env;
  process.env["NODE_ENV"] = "production"; // test runners set it to "test", which Vite takes for development
  try {
    await build({ root, configFile: `${root}vite.config.ts`, logLevel: "error", build: { outDir, emptyOutDir: true } });
  } finally {
    process.env["NODE_ENV"] = NODE_ENV;
  }
  return outDir;
}

export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM!,
    args: [
      "--no-sandbox",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-audio-capture=${samplePath(SPOKEN)}`,
      "--autoplay-policy=no-user-gesture-required",
      // A name that is not this machine, as the browser sees it.
      "--host-resolver-rules=MAP sotto.test 127.0.0.1",
    ],
  });
}

export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the browser complained about: errors of scripts, refusals of the policy, failed requests. */
  readonly complaints: string[];
}

/** Opens the page in a browser profile of its own. */
export async function openPage(
  browser: Browser,
  url: string,
  options: { width?: number; isClockStopped?: boolean } = {},
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: 800 },
    permissions: ["microphone", "clipboard-read", "clipboard-write"],
    reducedMotion: "reduce",
    acceptDownloads: true,
  });
  const page = await context.newPage();
  if (options.isClockStopped === true) {
    await page.clock.install({ time: 0 });
    await page.clock.pauseAt(1000);
  }
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
  await page.getByRole("button", { name: "Choose a file" }).waitFor();
  return { page, context, complaints };
}

/** Chooses a file and starts. */
export async function transcribe(page: Page, path: string): Promise<void> {
  await page.getByLabel("Choose a recording", { exact: true }).setInputFiles(path);
  await page.getByRole("region", { name: "Recording" }).getByRole("button", { name: "Start", exact: true }).click();
}

/** Waits until the recorder's clock shows some seconds, or more: each of them is shown for a second alone. */
export async function recorded(page: Page, seconds: number): Promise<void> {
  const timer = page.locator(".timer");
  await until(async () => Number((await timer.innerText()).split(":")[1])).toBeGreaterThanOrEqual(seconds);
}

/** Opens the menu of formats, takes one, and gives the name and the text of the file. */
export async function download(page: Page, extension: string): Promise<{ name: string; text: string }> {
  await page.getByRole("button", { name: "Download" }).click();
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("menuitem", { name: `.${extension}` }).click(),
  ]);
  const pieces: Buffer[] = [];
  for await (const piece of await file.createReadStream()) pieces.push(piece as Buffer);
  return { name: file.suggestedFilename(), text: Buffer.concat(pieces).toString("utf8") };
}

/** The transcript as it is read. */
export async function shownText(page: Page): Promise<string> {
  const list = page.getByRole("list", { name: "Transcript" });
  await list.waitFor();
  // Not innerText: segments out of sight are not laid out.
  const texts = await list.locator("p").allTextContents();
  return texts.map((text) => text.trim()).join(" ");
}

/** Where the player is, in seconds, and whether it plays. */
export function playing(page: Page): Promise<{ time: number; isPaused: boolean }> {
  return page
    .locator("audio, video")
    .evaluate((media: HTMLMediaElement) => ({ time: media.currentTime, isPaused: media.paused }));
}

/** A short film with a picture and sound, as an mp4, which the browser makes itself. */
export async function film(page: Page): Promise<Buffer> {
  const base64 = await page.evaluate(async () => {
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = 180;
    const paper = canvas.getContext("2d")!;
    const context = new AudioContext();
    const sound = context.createMediaStreamDestination();
    const tone = context.createOscillator();
    tone.connect(sound);
    tone.start();
    const stream = new MediaStream([...canvas.captureStream(30).getTracks(), ...sound.stream.getTracks()]);
    const record = async (): Promise<Blob> => {
      const recorder = new MediaRecorder(stream, { mimeType: "video/mp4;codecs=vp9,opus" });
      const pieces: Blob[] = [];
      recorder.ondataavailable = ({ data }) => pieces.push(data);
      recorder.start();
      for (let i = 0; i < 40; i++) {
        paper.fillStyle = `hsl(${i * 9} 60% 50%)`;
        paper.fillRect(0, 0, 320, 180);
        await new Promise(requestAnimationFrame);
      }
      await new Promise((resolve) => {
        recorder.onstop = resolve;
        recorder.stop();
      });
      return new Blob(pieces, { type: "video/mp4" });
    };
    const hasPicture = async (file: Blob): Promise<boolean> => {
      const video = document.createElement("video");
      const read = new Promise((resolve) => (video.onloadeddata = video.onerror = resolve));
      video.src = URL.createObjectURL(file);
      await read;
      URL.revokeObjectURL(video.src);
      return video.videoWidth > 0;
    };
    // On a busy machine the sound may be over before the first picture is encoded.
    let file = await record();
    while (!(await hasPicture(file))) file = await record();
    await context.close();
    const bytes = new Uint8Array(await file.arrayBuffer());
    return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(""));
  });
  return Buffer.from(base64, "base64");
}

/** Nothing on the page is wider than the window. */
export async function expectNoOverflow(page: Page): Promise<void> {
  const { content, window } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: innerWidth,
  }));
  expect(content).toBeLessThanOrEqual(window);
}

/** Waits for a condition of the page, as long as a busy machine needs. */
export const until = <T>(read: () => T) => expect.poll(read, { timeout: 60_000 });

/** Has the page write down where its player is taken to, and gives a way to read that: seconds. */
export async function watchSeeks(page: Page): Promise<() => Promise<number[]>> {
  const seeks = await page.locator("audio, video").evaluateHandle((media: HTMLMediaElement) => {
    const seen: number[] = [];
    media.addEventListener("seeking", () => seen.push(media.currentTime));
    return seen;
  });
  return () => seeks.jsonValue();
}
