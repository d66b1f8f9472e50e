/** Downloads of videos, with a program in the place of yt-dlp. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isVideoPage, UnknownSiteError, VideoDownloads, YtDlpMissingError } from "../../src/server/video-site.ts";
import { fakeYtDlp } from "./fake-yt-dlp.ts";
import { sample, until } from "./start.ts";

const VIDEO = "https://www.youtube.com/watch?v=abcdefghijk";

describe("isVideoPage()", () => {
  it.each([
    [VIDEO, true],
    ["https://youtu.be/abcdefghijk?t=3", true],
    ["https://m.youtube.com/shorts/abcdefghijk", true],
    ["https://WWW.Vimeo.com/12345", true],
    ["https://www.twitch.tv./videos/1", true],
    ["https://player.vimeo.com/external/12345.MP4?s=1", false],
    ["https://example.org/talk.mp3", false],
    ["https://example.org/watch?v=abcdefghijk", false],
    ["https://youtube.com.example.org/watch", false],
    ["https://notyoutube.com/watch", false],
    ["http://127.0.0.1/youtube.com", false],
  ])("%s: %s", (url, expected) => expect(isVideoPage(new URL(url))).toBe(expected));
});

describe("VideoDownloads", () => {
  let folder = "";
  const never = new AbortController().signal;
  const downloads = (maxUploadBytes = 10_000_000): VideoDownloads =>
    new VideoDownloads({ folder, maxUploadBytes, maxSeconds: 7200, allowPrivateAddresses: true }); // no name is looked up
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "sotto-video-"));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });

  it("gives the path of the sound", async () => {
    const program = await fakeYtDlp({ recording: sample("en-short.wav") });
    const path = await downloads().download(VIDEO, never);
    expect(await readdir(folder)).toEqual([path.slice(folder.length + 1)]);
    expect((await program.calls()).map((args) => args.slice(-2))).toEqual([
      ["--", VIDEO],
      ["--", VIDEO],
    ]);
    await program.remove();
  });

  it("says what to install where the program is missing", async () => {
    vi.stubEnv("PATH", "/nowhere");
    const failed = downloads().download(VIDEO, never);
    await expect(failed).rejects.toBeInstanceOf(YtDlpMissingError);
    const error = (await failed.catch((reason: unknown) => reason)) as YtDlpMissingError;
    expect(error.messageFor("server")).toMatch(/\nHint: install yt-dlp/);
    for (const reader of ["client", "library", "commandLine"] as const) {
      expect(error.messageFor(reader)).not.toContain("yt-dlp");
    }
  });

  it.each([
    ["a broadcast", { isLive: true }, Error, "it is a live broadcast"],
    ["a long one", { duration: 7201 }, Error, "Maximum YouTube length is 02H:00M:00S, got 02H:00M:01S"],
    ["a page of another site", { complaint: "ERROR: No suitable extractor found" }, UnknownSiteError, "No suitable"],
    ["a private one", { complaint: "WARNING: x\nERROR: Private video" }, Error, 'yt-dlp says "Private video"'],
  ])("refuses %s", async (_name, video, kind, message) => {
    const program = await fakeYtDlp(video);
    const failed = downloads().download(VIDEO, never);
    await expect(failed).rejects.toBeInstanceOf(kind);
    await expect(failed).rejects.toThrow(message);
    expect(await program.calls()).toHaveLength(1);
    await program.remove();
  });

  it("ends one that grows too large, whatever was announced, and leaves no file", async () => {
    const program = await fakeYtDlp({ endlessBytes: 2000 });
    await expect(downloads(1999).download(VIDEO, never)).rejects.toThrow("it is too large");
    expect(await readdir(folder)).toEqual([]);
    await program.remove();
  });

  it("runs two at a time, and ends those that run or wait with their signal", async () => {
    const program = await fakeYtDlp({ endlessBytes: 10 });
    const all = downloads();
    const controllers = [0, 1, 2, 3].map(() => new AbortController());
    const outcomes = controllers.map(({ signal }) => all.download(VIDEO, signal).catch((error: unknown) => error));
    const running = async (): Promise<number> => (await readdir(folder)).length;
    await until(async () => (await running()) === 2);
    controllers[3].abort(new Error("no more"));
    expect(await outcomes[3]).toEqual(new Error("no more"));
    // The place of one that ends goes to the one that has waited.
    const before = await readdir(folder);
    controllers[0].abort();
    expect(await outcomes[0]).toMatchObject({ name: "AbortError" });
    await until(async () => (await readdir(folder)).filter((name) => !before.includes(name)).length === 1);
    expect(await running()).toBe(2);
    for (const controller of controllers) controller.abort();
    await Promise.all(outcomes);
    expect(await readdir(folder)).toEqual([]);
    await program.remove();
  });
});
