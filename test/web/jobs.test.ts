/** Jobs as the page follows them: over cut lines and restarts of the server, in several tabs, and while they are sent. */

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { samplePath } from "../helpers/samples.ts";
import {
  buildPage,
  CHROMIUM,
  launch,
  NO_CHROMIUM,
  openPage,
  recorded,
  shownText,
  transcribe,
  until,
} from "./browser.ts";
import { type MockServer, type Script, sentence, startMockServer, transcript, twoSentences } from "./mock-server.ts";

const SAMPLE = samplePath("en-short.wav");
const OTHER = samplePath("en-long.flac");

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
  Object.assign(server, { script: twoSentences, apiKey: null, outage: null, reading: Promise.resolve() });
  for (const list of [server.forms, server.ids, server.deleted, server.requests]) list.length = 0;
});

/**
 * Opens the page. With a stopped clock nothing that the page does by itself after a while happens until the test says so:
 * above all the next try of a line that dropped, which takes the button "Try now" away.
 */
async function open(options?: { isClockStopped?: boolean }) {
  const opened = await openPage(browser, server.url, options);
  onTestFinished(() => opened.context.close());
  return opened;
}

function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

const HEARD = [sentence(0, 0, "First things first."), sentence(1, 5, "Then the rest.")];

/** Hears one sentence, and the other when it is let. */
function halfway(end: Promise<void>): Script {
  return async (send) => {
    send({ type: "queued", position: 0, size: 1 });
    send({ type: "started" });
    send({ type: "segment", segment: HEARD[0] });
    send({ type: "progress", seconds: 2.5, duration: 10 });
    await end;
    send({ type: "segment", segment: HEARD[1] });
    send({ type: "done", transcript: transcript(HEARD, 10), seconds: 1 });
  };
}

const queued =
  (position: number): Script =>
  (send) =>
    send({ type: "queued", position, size: position + 1 });

const cut = (): void => {
  server.outage = "hang up";
  server.cut();
};
const asked = (request: string): number => server.requests.filter((one) => one === request).length;
const reconnecting = (page: Page) => page.getByText("Reconnecting", { exact: true }).first();

describe("a job", () => {
  it("is followed over the end of the server and its start, and is sent once", async () => {
    const { page } = await open({ isClockStopped: true });
    const end = gate();
    server.script = halfway(end.opened);
    await transcribe(page, SAMPLE);
    await page.getByText("First things first.").waitFor();
    cut();
    await reconnecting(page).waitFor();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByRole("main").getByText("Reconnecting").waitFor();
    await page.getByRole("link", { name: "Transcribe" }).click();
    server.outage = { status: 503, retryAfter: 60 };
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("The models are being loaded").waitFor();
    await reconnecting(page).waitFor();
    server.outage = null;
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByText("Transcribing, 25 %").first().waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    end.open();
    expect(await shownText(page)).toBe("First things first. Then the rest.");
    expect(asked("POST /jobs")).toBe(1);
  });

  it("is asked for no sooner than the server wants", async () => {
    const { page } = await open({ isClockStopped: true });
    server.script = queued(5);
    await transcribe(page, SAMPLE);
    await page.getByText("5 before you").first().waitFor();
    server.requests.length = 0;
    server.outage = { status: 503, retryAfter: 7 };
    server.cut();
    await reconnecting(page).waitFor();
    // The first wait is the page's own: a second, a quarter more at most.
    await page.clock.runFor(1300);
    await page.getByText("The models are being loaded").waitFor();
    const before = server.requests.length;
    expect(before).toBeGreaterThan(0);
    await page.clock.runFor(6900);
    expect(server.requests.length).toBe(before);
    server.outage = null;
    await page.clock.runFor(200);
    await page.getByText("5 before you").first().waitFor();
  });

  it("that a restarted server has forgotten is said to be gone, in the history too, and can be sent again", async () => {
    const { page } = await open({ isClockStopped: true });
    server.script = queued(1);
    await transcribe(page, SAMPLE);
    await page.getByText("1 before you").first().waitFor();
    cut();
    await page.reload();
    // A reloaded tab listens for a quarter of a second whether the job is another tab's.
    await page.clock.runFor(300);
    await reconnecting(page).waitFor();
    server.forget();
    server.outage = null;
    await page.getByRole("button", { name: "Try now" }).click();
    await page.getByRole("alert").getByText("no longer knows this transcription").waitFor();
    await page.reload();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByText("The server no longer knows this transcription").click();
    server.script = twoSentences;
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("list", { name: "Transcript" }).waitFor();
    await page.getByRole("link", { name: "History" }).click();
    expect(await page.getByRole("button", { name: "Delete en-short.wav" }).count()).toBe(1);
  });

  it("is sent when a server that is being started takes it", async () => {
    const { page } = await open({ isClockStopped: true });
    server.outage = { status: 503, retryAfter: 60 };
    await transcribe(page, SAMPLE);
    await page.getByText("The models are being loaded").waitFor();
    await page.getByText("Waiting for the server").first().waitFor();
    server.outage = null;
    await page.getByRole("button", { name: "Try now" }).click();
    expect(await shownText(page)).toContain("Clara");
    expect(server.forms).toHaveLength(1);
  });

  it("that failed keeps what was recorded, which exists nowhere else", async () => {
    const { page } = await open();
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await recorded(page, 1);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    server.outage = "hang up";
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("alert").getByText("The server does not answer").waitFor();
    server.outage = null;
    await page.reload();
    await page.getByRole("button", { name: /^Recording .*has not been sent/ }).click();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
  });

  it("belongs to its tab, also after a reload, and not to a tab that was duplicated", async () => {
    const { page: a, context } = await open();
    server.script = queued(5);
    await transcribe(a, SAMPLE);
    await a.getByText("5 before you").first().waitFor();
    const b = await context.newPage();
    await b.goto(server.url);
    await b.getByText("In the queue, 5 before it").waitFor();
    server.script = queued(3);
    await transcribe(b, OTHER);
    await b.getByText("3 before you").first().waitFor();
    await a.reload();
    await a.getByText("5 before you").first().waitFor();
    expect(await a.getByRole("heading", { level: 1 }).innerText()).toBe("en-short.wav");

    // What a copy has before the page's own scripts run.
    await context.addInitScript(() => void Object.assign(window, { begun: sessionStorage.length }));
    const [copy] = await Promise.all([context.waitForEvent("page"), a.evaluate(() => void window.open(location.href))]);
    expect(await copy.evaluate(() => (window as unknown as { begun: number }).begun)).toBe(1);
    await copy.getByRole("button", { name: "Choose a file" }).waitFor();
    await until(() => copy.evaluate(() => sessionStorage.length)).toBe(0);
    await copy.getByRole("button", { name: "Choose a file" }).waitFor();

    await a.getByRole("button", { name: "Cancel" }).click();
    await until(() => server.deleted).toEqual([server.ids[0]]);
    await b.getByText("3 before you").first().waitFor();
  });

  it("of a tab that was closed is in the history of another, with how far it is, and opens there", async () => {
    const { page: a, context } = await open();
    const end = gate();
    server.script = halfway(end.opened);
    await transcribe(a, SAMPLE);
    await a.getByText("First things first.").waitFor();
    const b = await context.newPage();
    await b.goto(server.url);
    await a.close();
    await b.getByText("Transcribing, 25 %").click();
    await b.getByText("First things first.").waitFor();
    end.open();
    expect(await shownText(b)).toBe("First things first. Then the rest.");
    await b.getByRole("button", { name: "Play", exact: true }).waitFor();
  });

  it("whose text another tab has fetched is opened, not called gone", async () => {
    const { page: a, context } = await open({ isClockStopped: true });
    const end = gate();
    server.script = halfway(end.opened);
    await transcribe(a, SAMPLE);
    await a.getByText("First things first.").waitFor();
    const b = await context.newPage();
    await b.goto(server.url);
    await b.getByText("Transcribing, 25 %").click();
    await b.getByText("First things first.").waitFor();
    // Only one of the two hears of the end.
    await b.route("**/jobs/*/events", (route) => route.abort());
    server.cut();
    await reconnecting(b).waitFor();
    end.open();
    await a.getByRole("button", { name: "Try now" }).click();
    expect(await shownText(a)).toBe("First things first. Then the rest.");
    await b.unroute("**/jobs/*/events");
    await b.getByRole("button", { name: "Try now" }).click();
    expect(await shownText(b)).toBe("First things first. Then the rest.");
  });

  it("says how many bytes are sent, and is cancelled while they are", async () => {
    const { page } = await open();
    const disk = mkdtempSync(join(tmpdir(), "sotto-upload-"));
    onTestFinished(() => rmSync(disk, { recursive: true }));
    const path = join(disk, "large.wav");
    writeFileSync(path, "");
    truncateSync(path, 40e6);
    const read = gate();
    server.reading = read.opened;
    await transcribe(page, path);
    await page.getByText(/^[\d.]+ (kB|MB) of 40\.0 MB$/).waitFor();
    const sent = page.getByText(/^Sending, \d+ %$/).first();
    await sent.waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    // What was chosen is still there.
    await page.getByRole("button", { name: "Start", exact: true }).waitFor();
    await page.getByText("large.wav").waitFor();
    read.open();
    expect(await page.getByText("Recent").count()).toBe(0);
    expect(server.forms).toEqual([]);
  });

  it("of unknown length shows the seconds that are done", async () => {
    const { page } = await open();
    server.script = (send) => {
      send({ type: "started" });
      send({ type: "progress", seconds: 41.2, duration: null });
    };
    await transcribe(page, SAMPLE);
    await page.getByText("0:41 done").waitFor();
  });
});
