/**
 * The page in a real Chromium, against a server without a model: what a real one passes through too fast or too seldom.
 * server.test.ts drives it against the real one.
 */

import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { samplePath } from "../helpers/samples.ts";
import {
  buildPage,
  CHROMIUM,
  download,
  expectNoOverflow,
  film,
  launch,
  NO_CHROMIUM,
  openPage,
  playing,
  recorded,
  shownText,
  transcribe,
  until,
  watchSeeks,
} from "./browser.ts";
import { type MockServer, MODELS, sentence, startMockServer, transcript, twoSentences } from "./mock-server.ts";

/** What checks pages for accessibility, as a script. */
const AXE = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

const SAMPLE = samplePath("en-short.wav");
/** Scripts and styles, in bytes before compression: what a phone parses before anything can be done. */
const MAX_PAGE = 200_000;

let browser: Browser;
let server: MockServer;
let folder: string;

beforeAll(async () => {
  if (CHROMIUM === null) return;
  folder = await buildPage();
  [browser, server] = await Promise.all([launch(), startMockServer({ page: folder })]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

beforeEach((ctx) => {
  if (CHROMIUM === null) return ctx.skip(NO_CHROMIUM);
  Object.assign(server, { script: twoSentences, apiKey: null, models: MODELS, isSlow: false });
  server.forms.length = 0;
  server.deleted.length = 0;
});

async function open(options?: { width?: number }) {
  const opened = await openPage(browser, server.url, options);
  onTestFinished(() => opened.context.close());
  return opened;
}

/** A script that stops where it is told to, until the test lets it go on. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

describe("the page", () => {
  it("stays small", () => {
    const assets = join(folder, "assets");
    const size = readdirSync(assets)
      .filter((name) => /\.(js|css)$/.test(name))
      .reduce((sum, name) => sum + statSync(join(assets, name)).size, 0);
    expect(size).toBeLessThan(MAX_PAGE);
  });

  it("shows the place in the queue, then the progress and the text as they come, then the transcript", async () => {
    const { page, complaints } = await open();
    const [start, end] = [gate(), gate()];
    const heard = [sentence(0, 0, "First things first."), sentence(1, 5, "Then the rest.")];
    server.script = async (send) => {
      send({ type: "queued", position: 2, size: 3 });
      await start.opened;
      send({ type: "started" });
      send({ type: "segment", segment: heard[0] });
      send({ type: "progress", seconds: 2.5, duration: 10 });
      await end.opened;
      send({ type: "segment", segment: heard[1] });
      send({ type: "done", transcript: transcript(heard, 10), seconds: 1 });
    };
    await transcribe(page, SAMPLE);
    await page.getByText("In the queue, 2 before you").first().waitFor();
    start.open();
    await page.getByText("Transcribing, 25 %").first().waitFor();
    await page.getByText("0:02 of 0:10").waitFor();
    await page.getByText("First things first.").waitFor();
    const bar = page.getByRole("progressbar");
    expect(await bar.getAttribute("aria-valuenow")).toBe("25");
    end.open();
    expect(await shownText(page)).toBe("First things first. Then the rest.");
    expect(server.forms).toEqual([
      { model: "nano", task: "transcribe", word_timestamps: "true", file: "en-short.wav" },
    ]);
    expect(complaints).toEqual([]);
  });

  it("asks for what was chosen, and remembers it", async () => {
    const { page } = await open();
    await page.getByText("To English").click();
    await page.getByLabel("Spoken language").selectOption("German");
    await page.getByText("Time every word").click();
    await page.reload();
    await page.getByLabel("Choose a recording", { exact: true }).setInputFiles(SAMPLE);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms).toEqual([
      { model: "nano", task: "translate", language: "de", word_timestamps: "false", file: "en-short.wav" },
    ]);
  });

  it("takes terms, the method and several languages, and remembers them", async () => {
    const { page } = await open();
    await page.getByText("More", { exact: true }).click();
    await page.getByLabel("Method").selectOption("As openai/whisper, slower");
    await page.getByText("Several languages").click();
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.reload();
    // What has an effect is in sight.
    const terms = page.getByLabel("Names and terms to expect");
    await terms.fill("  Clara, Nguyễn ");
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    const both = { algorithm: "sequential", language_per_window: "true" };
    expect(server.forms).toEqual([
      expect.objectContaining(both),
      expect.objectContaining({ ...both, prompt: Buffer.from("Clara, Nguyễn").toString("latin1") }),
    ]);
    expect(server.forms[0]).not.toHaveProperty("prompt");
  });

  it("leaves the method that takes no terms where there are terms, and comes back to it", async () => {
    const { page } = await open();
    await page.getByText("More", { exact: true }).click();
    const method = page.getByLabel("Method");
    expect(await method.inputValue()).toBe("vad");
    await method.selectOption("chunked");
    await page.getByLabel("Names and terms to expect").fill("Clara");
    await until(() => method.inputValue()).toBe("vad");
    expect(await method.locator("option[value=chunked]").isDisabled()).toBe(true);
    await page.getByLabel("Names and terms to expect").fill("");
    await until(() => method.inputValue()).toBe("chunked");
  });

  it("says how much of the speech has text, and plays from where it has none", async () => {
    const { page } = await open();
    const coverage = { speech_seconds: 4.2, transcribed_seconds: 3.1, untranscribed: [{ start: 2, end: 3.1 }] };
    server.script = (send) => {
      const heard = [sentence(0, 0.3, "Clara likes to sing.")];
      send({ type: "done", transcript: { ...transcript(heard, 4.9), coverage }, seconds: 1 });
    };
    await transcribe(page, SAMPLE);
    await page.getByText("Speech 0:04, with text 0:03; without text:").waitFor();
    const stretch = page.getByRole("list", { name: "Speech without text" }).getByRole("button");
    expect(await stretch.allInnerTexts()).toEqual(["0:02–0:03"]);
    await stretch.click();
    await until(() =>
      page.evaluate(() => document.querySelector<HTMLMediaElement>("audio, video")?.currentTime ?? 0),
    ).toBeGreaterThanOrEqual(2);
    // It is kept with the transcript.
    await page.reload();
    await page.goto(`${server.url}#/history`);
    await page.getByText("Clara likes to sing.").first().click();
    await page.getByText("Speech 0:04, with text 0:03; without text:").waitFor();
  });

  it("does not ask for several languages where one was chosen, or where the model knows one", async () => {
    const { page } = await open();
    await page.getByText("More", { exact: true }).click();
    await page.getByText("Several languages").click();
    await page.getByLabel("Spoken language").selectOption("German");
    expect(await page.getByLabel("Several languages").isDisabled()).toBe(true);
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[0]).not.toHaveProperty("language_per_window");
    await page.goto(server.url);
    await page.reload();
    await page.getByLabel("Spoken language").selectOption("Detect");
    await page.getByLabel("Model").selectOption("base.en");
    expect(await page.getByLabel("Several languages").count()).toBe(0);
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[1]).not.toHaveProperty("language_per_window");
  });

  it("names all languages of a recording, those with the most speech first, in the history too", async () => {
    const { page } = await open();
    const heard = [
      { ...sentence(0, 0, "Guten Tag."), language: "de" },
      { ...sentence(1, 5, "Good morning to you."), language: "en" },
      { ...sentence(2, 12, "Und jetzt weiter im Text."), language: "de" },
    ];
    server.script = (send) => send({ type: "done", transcript: transcript(heard, 15), seconds: 1 });
    await transcribe(page, SAMPLE);
    await page.getByText("German, English").waitFor();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByText(/German, English/).waitFor();
  });

  it("offers no languages for a model that knows one", async () => {
    const { page } = await open();
    await page.getByLabel("Model").selectOption("base.en");
    expect(await page.getByLabel("Spoken language").isDisabled()).toBe(true);
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[0]).toMatchObject({ model: "base.en", task: "transcribe" });
  });

  it("shows the picture of a film, and plays it from a word", async () => {
    const { page, complaints } = await open();
    const file = { name: "talk.mp4", mimeType: "video/mp4", buffer: await film(page) };
    await page.getByLabel("Choose a recording", { exact: true }).setInputFiles(file);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.locator("video").waitFor();
    const seeks = await watchSeeks(page);
    await page.getByText("likes", { exact: true }).click();
    await until(async () => (await seeks()).length).toBeGreaterThan(0);
    await until(async () => (await playing(page)).time).toBeGreaterThan(0);
    expect(await page.getByRole("group", { name: "Player" }).count()).toBe(1);
    await expectNoOverflow(page);
    expect(complaints).toEqual([]);
  });

  it("shows no picture where there is none, whatever the type of the file", async () => {
    const { page } = await open();
    const file = { name: "talk.mp4", mimeType: "video/mp4", buffer: readFileSync(SAMPLE) };
    await page.getByLabel("Choose a recording", { exact: true }).setInputFiles(file);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await until(async () => (await playing(page)).time).toBeGreaterThan(0);
    expect(await page.locator("video").isVisible()).toBe(false);
  });

  it("says that the browser cannot play a recording", async () => {
    const { page } = await open();
    await transcribe(page, fileURLToPath(new URL("../fixtures/audio/tone.wma", import.meta.url)));
    await page.getByText("The browser cannot play recordings of this kind").waitFor();
    expect(await page.getByRole("group", { name: "Player" }).count()).toBe(0);
  });

  it.each([
    { path: "talks/opening.wav", isFilm: false },
    { path: "talks/opening.mp4?part=2", isFilm: true },
    { path: "talks/opening", isFilm: true },
  ])("sends the link .../$path, and plays it from there", async ({ path, isFilm }) => {
    const { page, complaints } = await open();
    const url = `https://media.example.org/${path}`;
    const body = isFilm ? await film(page) : readFileSync(SAMPLE);
    const contentType = isFilm ? "video/mp4" : "audio/wav";
    await page.route(`${new URL(url).origin}/**`, (route) => route.fulfill({ body, contentType }));
    await page.getByLabel("Link to a recording").fill(url);
    await page.getByLabel("Link to a recording").press("Enter");
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[0]).toMatchObject({ url });
    expect(await page.getByLabel("Name").inputValue()).toMatch(/opening/);
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await until(async () => (await playing(page)).time).toBeGreaterThan(0);
    if (isFilm) await page.locator("video").waitFor();
    expect(complaints).toEqual([]);
  });

  it("says that the browser cannot play what is at a link, and links to it", async () => {
    const { page } = await open();
    const url = "https://video.example.org/watch?v=1";
    await page.route(url, (route) => route.fulfill({ body: "<!doctype html>", contentType: "text/html" }));
    await page.getByLabel("Link to a recording").fill(url);
    await page.getByLabel("Link to a recording").press("Enter");
    await page.getByText("The browser cannot play what is at this link").waitFor();
    expect(await page.getByRole("link", { name: "Open the link" }).getAttribute("href")).toBe(url);
    expect(await page.getByRole("group", { name: "Player" }).count()).toBe(0);
  });

  it("says what the server says, with the remedy, and tries again", async () => {
    const { page } = await open();
    server.script = (send) =>
      send({ type: "failed", error: { message: 'Cannot read "x.wav": it is empty\nHint: record it again' } });
    await transcribe(page, SAMPLE);
    const alert = page.getByRole("alert");
    await alert.getByText('Cannot read "x.wav": it is empty').waitFor();
    await alert.getByText("Record it again").waitFor();
    server.script = twoSentences;
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
  });

  it("asks for the key of a server that wants one, and goes on with it", async () => {
    server.apiKey = "secret";
    const { page } = await open();
    await page.getByLabel("API key").fill("secret");
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.getByRole("option", { name: "nano" }).waitFor({ state: "attached" });
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
  });

  it("cancels: the server forgets the job, and so does the history", async () => {
    const { page } = await open();
    server.script = (send) => send({ type: "queued", position: 5, size: 6 });
    await transcribe(page, SAMPLE);
    await page.getByText("5 before you").first().waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    // It can be started again with other options.
    await page.getByRole("button", { name: "Start", exact: true }).waitFor();
    await until(() => server.deleted).toHaveLength(1);
    expect(await page.getByRole("heading", { name: "Recent" }).count()).toBe(0);
  });

  it("finds its job again after it was closed, with the recording", async () => {
    const { page } = await open();
    const end = gate();
    server.script = async (send, form) => {
      send({ type: "queued", position: 1, size: 2 });
      await end.opened;
      await twoSentences(send, form);
    };
    await transcribe(page, SAMPLE);
    await page.getByText("1 before you").first().waitFor();
    await page.reload();
    await page.getByText("1 before you").first().waitFor();
    end.open();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
  });

  it("says so if the job is gone", async () => {
    const { page } = await open();
    server.script = (send) => send({ type: "queued", position: 1, size: 2 });
    await transcribe(page, SAMPLE);
    await page.getByText("1 before you").first().waitFor();
    server.forget();
    await page.reload();
    await page.getByRole("alert").getByText("no longer knows this transcription").waitFor();
  });

  it("keeps a history: opened, played, renamed, deleted", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    await page.getByLabel("Name").fill("Clara at the museum");
    await page.getByLabel("Name").press("Enter");
    await page.reload();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByText("Clara at the museum").click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByRole("button", { name: "Delete Clara at the museum" }).click();
    await page.getByText("Nothing here yet").waitFor();
  });

  it("follows the playing by word, and plays from a word that is clicked", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    const seeks = await watchSeeks(page);
    await page.getByText("station", { exact: true }).click();
    // The second word of a sentence from 2.5 s, one each 0.4 s.
    await until(async () => (await seeks())[0]).toBeCloseTo(2.9);
    expect((await playing(page)).isPaused).toBe(false);
    await until(() => page.locator(".word.now").allInnerTexts()).toEqual(["museum."]);
    expect(await page.locator("li[aria-current=true]").innerText()).toContain("The station is next to the museum.");
  });

  it("is used by keyboard alone", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    await page
      .getByRole("button", { name: /^Play from/ })
      .first()
      .focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("station");
    const seeks = await watchSeeks(page);
    await page.keyboard.press("Enter");
    await until(async () => (await seeks())[0]).toBeCloseTo(2.9);
    await page.keyboard.press("k");
    await until(async () => (await playing(page)).isPaused).toBe(true);
    await page.keyboard.press("Home");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    expect((await playing(page)).time).toBe(0);
    await page.keyboard.press("/");
    await page.keyboard.type("the");
    await page.getByText("1 of 2").waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("2 of 2").waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("d");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("role"))).toBe("menuitem");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
  });

  it("paints what is searched for over the words", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    await page.getByLabel("Search in the transcript").fill("next to");
    const painted = () =>
      page.evaluate(() => [...(CSS.highlights.get("found-current") ?? [])].map((range) => range.toString()));
    await until(painted).toEqual(["next to"]);
    await page.getByLabel("Search in the transcript").fill("nowhere");
    await page.getByText("none", { exact: true }).waitFor();
    await until(painted).toEqual([]);
  });

  it("keeps edits, downloads them in every format, and takes them back", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByLabel(/^Text at 0 seconds/).fill("Clara likes to dance.");
    await page.getByLabel(/^Text at 0 seconds/).press("Enter");
    await page.getByRole("button", { name: "Done" }).click();
    expect(await shownText(page)).toBe("Clara likes to dance. The station is next to the museum.");
    expect(await download(page, "txt")).toEqual({
      name: "en-short.txt",
      text: "Clara likes to dance.\nThe station is next to the museum.\n",
    });
    expect((await download(page, "srt")).text).toBe(
      "1\n00:00:00,300 --> 00:00:01,900\nClara likes to dance.\n\n" +
        "2\n00:00:02,500 --> 00:00:05,300\nThe station is next to the museum.\n\n",
    );
    expect((await download(page, "vtt")).text).toMatch(/^WEBVTT\n\n00:00.300 --> 00:01.900\nClara likes to dance\.\n/);
    expect((await download(page, "tsv")).text).toBe(
      "start\tend\ttext\n300\t1900\tClara likes to dance.\n2500\t5300\tThe station is next to the museum.\n",
    );
    const json = JSON.parse((await download(page, "json")).text) as { segments: { words: { word: string }[] }[] };
    expect(json.segments[0].words.map(({ word }) => word)).toEqual([" Clara", " likes", " to", " dance."]);
    for (const extension of ["csv", "lrc", "ass"]) {
      expect((await download(page, extension)).text).toContain("dance.");
    }
    await page.reload();
    await page.getByRole("button", { name: "en-short.wav" }).first().click();
    expect(await shownText(page)).toContain("Clara likes to dance.");
    await page.getByRole("button", { name: "undo all changes" }).click();
    expect(await shownText(page)).toContain("Clara likes to sing.");
  });

  it("records from the microphone and sends the recording", async () => {
    const { page } = await open();
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await recorded(page, 1);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("region", { name: "Recording" }).getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[0]["file"]).toMatch(/^Recording .*\.webm$/);
  });

  it("says why there is no microphone", async () => {
    const { page } = await open();
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
    });
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await page.getByRole("alert").getByText("not allowed for this page").waitFor();
  });

  it("shows live captions, what may change lighter than what is said, and keeps them with their sound", async () => {
    const { page, complaints } = await open();
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByRole("button", { name: "Start" }).click();
    const captions = page.getByRole("log", { name: "Captions" });
    await captions.getByText("it was a quiet").waitFor();
    await until(() => captions.locator(".partial").innerText()).not.toBe("");
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("button", { name: "Open as transcript" }).click();
    expect(await shownText(page)).toMatch(/^it was a quiet/);
    const seeks = await watchSeeks(page);
    await page.getByText("quiet", { exact: true }).click();
    await until(async () => (await seeks())[0]).toBeCloseTo(1.5);
    expect(complaints).toEqual([]);
  });

  it("divides subtitles for reading, as it is told to, and remembers it", async () => {
    const { page } = await open();
    const long =
      "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
    server.script = (send, form) => {
      const segments = [sentence(0, 0, long, form["word_timestamps"] === "true")];
      send({ type: "done", transcript: transcript(segments, 11), seconds: 0.5 });
    };
    await transcribe(page, SAMPLE);
    const lines = async (extension = "srt"): Promise<string[]> =>
      (await download(page, extension)).text.split("\n").filter((line) => /[a-z]{2}/.test(line) && line !== "WEBVTT");
    expect(await lines()).toEqual([
      "And so my fellow Americans,",
      "ask not what your country can do for you,",
      "ask what you can do for your country.",
    ]);
    await page.getByRole("button", { name: "Download" }).click();
    await page.getByLabel("Characters per line").selectOption("32");
    await page.getByLabel("Lines").selectOption("1");
    await page.getByLabel("Highlight each word").check();
    await page.keyboard.press("Escape");
    const marked = await lines("vtt");
    expect(marked).toContain("<u>And</u> so my fellow Americans,");
    expect(marked.every((line) => line.replace(/<.?u>/g, "").length <= 32)).toBe(true);
    await page.reload();
    await page.getByRole("button", { name: "en-short.wav" }).first().click();
    await page.getByRole("button", { name: "Download" }).click();
    expect(await page.getByLabel("Lines").inputValue()).toBe("1");
    await page.getByLabel("Highlight each word").uncheck();
    await page.getByLabel("Divide for easy reading").uncheck();
    await page.keyboard.press("Escape");
    expect(await lines()).toEqual([long]);
  });

  it("puts Stop where Record was, and asks before a recording is discarded", async () => {
    const { page } = await open();
    const record = page.getByRole("button", { name: "Record", exact: true });
    const before = await record.boundingBox();
    await record.click();
    await recorded(page, 1);
    // As wide as it was: somebody presses twice.
    const [x, y] = [before!.x + before!.width / 2, before!.y + before!.height / 2];
    const under = await page.evaluate(
      ([left, top]) => document.elementFromPoint(left, top)?.textContent?.trim(),
      [x, y],
    );
    expect(under).not.toBe("Discard");
    await page.getByRole("button", { name: "Discard" }).click();
    const question = page.getByRole("dialog", { name: "Discard this recording?" });
    await question.getByRole("button", { name: "Keep recording" }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await page.getByRole("button", { name: "Discard" }).click();
    await question.getByRole("button", { name: "Discard" }).click();
    await record.waitFor();
  });

  it("asks before captions are discarded", async () => {
    const { page } = await open();
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByRole("log", { name: "Captions" }).getByText("it was a quiet").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("button", { name: "Discard" }).click();
    const question = page.getByRole("dialog", { name: "Discard these captions?" });
    await question.getByRole("button", { name: "Keep them" }).click();
    await page.getByText("it was a quiet").first().waitFor();
    await page.getByRole("button", { name: "Discard" }).click();
    await question.getByRole("button", { name: "Discard" }).click();
    await page.getByText("Press Start and speak").waitFor();
  });

  it("edits from the keyboard: E goes into the text, Esc leaves it and keeps what was written", async () => {
    const { page } = await open();
    await transcribe(page, SAMPLE);
    const focused = (): Promise<string | null> =>
      page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? null);
    await page.getByRole("button", { name: "Play from 0:02" }).focus();
    await page.keyboard.press("e");
    await until(focused).toBe("Text at 2 seconds");
    await page.keyboard.press("End");
    await page.keyboard.type(" Really.");
    await page.keyboard.press("Escape");
    await until(focused).toBe("Play from 0:02");
    expect(await shownText(page)).toContain("museum. Really.");
    await page.keyboard.press("?");
    const keys = page.getByRole("dialog", { name: "Keys" });
    await keys.getByText("Done editing").waitFor();
  });

  it("scrolls captions to their end after Stop, and says when they are behind", async () => {
    const { page } = await open();
    await page.setViewportSize({ width: 900, height: 520 });
    await page.getByRole("link", { name: "Live" }).click();
    // The largest text fills the pane soonest.
    await page.getByRole("button", { name: "Size of the text" }).click();
    await page.getByRole("button", { name: "Start" }).click();
    const captions = page.getByRole("log", { name: "Captions" });
    await captions.getByText("nobody in the house").waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByRole("button", { name: "Open as transcript" }).waitFor();
    const below = (): Promise<number> =>
      captions.evaluate((pane) => Math.round(pane.scrollHeight - pane.scrollTop - pane.clientHeight));
    await until(below).toBeLessThanOrEqual(1);
    expect(await page.getByText("s behind").count()).toBe(0);

    server.isSlow = true;
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByText(/^([5-9]|\d\d+) s behind$/).waitFor();
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await until(() => page.getByText("s behind").count()).toBe(0);
  });

  it("shows a model that is the only one as text", async () => {
    server.models = [{ id: "turbo" }];
    const { page } = await open();
    await page.getByText("turbo", { exact: true }).waitFor();
    expect(await page.getByLabel("Model").count()).toBe(0);
  });

  it("invites to record where there is a finger, and to drop where there is a mouse", async () => {
    const { page } = await open();
    await page.getByText("Drop a recording here").waitFor();
    const phone = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } });
    onTestFinished(() => phone.close());
    const touched = await phone.newPage();
    await touched.goto(server.url);
    await touched.getByText("Choose or record").waitFor();
    expect(await touched.getByText("Drop a recording here").isVisible()).toBe(false);
  });

  it("says in its own words that a link is none, beside the field", async () => {
    const { page } = await open();
    const link = page.getByLabel("Link to a recording");
    await link.fill("not a link");
    await link.press("Enter");
    await page.getByRole("alert").getByText("not a web address").waitFor();
    expect(await link.getAttribute("aria-invalid")).toBe("true");
    expect(await link.evaluate((field: HTMLInputElement) => field.ownerDocument.activeElement === field)).toBe(true);
    expect(server.forms).toEqual([]);
    await link.fill("example.com/talk.mp3");
    expect(await page.getByRole("alert").count()).toBe(0);
    await link.press("Enter");
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    expect(server.forms[0]["url"]).toBe("https://example.com/talk.mp3");
  });

  it("has no fault that axe finds, in any view", async () => {
    const { page } = await open();
    const faults = async (): Promise<string[]> => {
      await page.evaluate(AXE);
      return page.evaluate(async () => {
        const { axe } = window as unknown as { axe: { run: (where: Document, how: object) => Promise<AxeResults> } };
        const how = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice", "experimental"] };
        const { violations } = await axe.run(document, how);
        return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`));
      });
    };
    const seen: Record<string, string[]> = { start: await faults() };
    await page.getByText("More").click();
    seen["more"] = await faults();
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    seen["transcript"] = await faults();
    await page.getByRole("button", { name: "Download" }).click();
    seen["download"] = await faults();
    await page.keyboard.press("Escape");
    await page.keyboard.press("e");
    seen["editing"] = await faults();
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    seen["keys"] = await faults();
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Live" }).click();
    seen["live"] = await faults();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByRole("heading", { name: "History" }).waitFor();
    seen["history"] = await faults();
    expect(Object.fromEntries(Object.entries(seen).filter(([, found]) => found.length > 0))).toEqual({});
  });

  it.each(["light", "dark"] as const)("fits a phone, %s", async (colorScheme) => {
    const { page } = await open({ width: 360 });
    await page.emulateMedia({ colorScheme });
    await expectNoOverflow(page);
    await transcribe(page, SAMPLE);
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await expectNoOverflow(page);
    await page.getByRole("button", { name: "Edit" }).click();
    await expectNoOverflow(page);
    await page.getByRole("button", { name: "New" }).click();
    const message = `Cannot read "${"a-very-long-name".repeat(9)}.wav": it is empty`;
    server.script = (send) => send({ type: "failed", error: { message } });
    await transcribe(page, SAMPLE);
    await page.getByRole("alert").waitFor();
    await expectNoOverflow(page);
    await page.getByRole("link", { name: "Live" }).click();
    await expectNoOverflow(page);
    await page.getByRole("link", { name: "History" }).click();
    await expectNoOverflow(page);
    const background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = Number(/\d+/.exec(background)?.[0]) > 127;
    expect(light).toBe(colorScheme === "light");
    // The choice of a person goes before the system's, also after a reload.
    const toggle = page.getByRole("button", { name: /^Colours/ });
    await toggle.click();
    if (colorScheme === "light") await toggle.click();
    const chosen = await page.evaluate(() => document.documentElement.dataset["theme"]);
    expect(chosen).toBe(colorScheme === "light" ? "dark" : "light");
    await page.reload();
    expect(await page.evaluate(() => document.documentElement.dataset["theme"])).toBe(chosen);
  });
});
