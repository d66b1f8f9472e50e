/**
 * The sound of videos on web sites, by the program yt-dlp where it is on PATH. It runs without a shell, without the user's
 * configuration, and without its generic extractor, which would fetch any address it is given.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isPrivateAddress } from "../../audio/private-address.ts";
import { InputError } from "../../errors.ts";

/** A video's description is some 100 kB; with chapters and comments turned off, never this much. */
const MAX_DESCRIPTION_BYTES = 16 * 2 ** 20;
const MAX_COMPLAINT_CHARACTERS = 4096;
/** Looking a video up is a few requests, in ms. */
const DESCRIBE_MS = 60_000;
/** Two hours of sound are 100 MB: minutes on a slow line. */
const DOWNLOAD_MS = 20 * 60_000;
/** Downloads that run at once, and that wait; sites slow down who asks for more. */
const MAX_RUNNING = 2;
const MAX_WAITING = 20;
const MAX_URL_CHARACTERS = 2048;

export interface VideoOptions {
  /** Where files go. */
  readonly folder: string;
  readonly maxBytes: number;
  readonly maxSeconds: number;
  readonly allowPrivateAddresses: boolean;
}

interface Description {
  readonly duration: number | null;
}

/** Downloads of a server: bounded, a few at a time. */
export class VideoDownloads {
  readonly #options: VideoOptions;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: VideoOptions) {
    this.#options = options;
  }

  /**
   * Downloads the sound of a video.
   *
   * @returns path of a file in the folder, which is the caller's to remove
   * @throws {InputError} if yt-dlp is not there, knows no such video, or it is too long or too large
   * @throws the signal's reason
   */
  async download(url: string, signal: AbortSignal): Promise<string> {
    if (this.#running >= MAX_RUNNING) {
      if (this.#waiting.length >= MAX_WAITING) throw new InputError(url, "too many videos are being downloaded");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      signal.throwIfAborted();
      return await downloadVideo(url, this.#options, signal);
    } finally {
      // The place goes to the next one.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** A frame that plays the video where the site is YouTube, else a link; the URL is escaped. */
export function videoEmbed(url: string): string {
  const id = youtubeId(url);
  if (id === null) return `<a href="${escapeHtml(url)}" rel="noreferrer">${escapeHtml(url)}</a>`;
  return `<center> <iframe width="500" height="320" src="https://www.youtube.com/embed/${id}"> </iframe> </center>`;
}

/** Of watch pages, short links, shorts and embeds, whatever other parameters there are (facts 1.16.9). */
export function youtubeId(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const host = url.hostname.replace(/^(www|m|music)\./, "");
  let id: string | null = null;
  if (host === "youtu.be") id = url.pathname.slice(1).split("/")[0];
  else if (host === "youtube.com" || host === "youtube-nocookie.com") {
    id = url.searchParams.get("v") ?? /^\/(?:shorts|embed|live|v)\/([^/]+)/.exec(url.pathname)?.[1] ?? null;
  }
  return id !== null && /^[A-Za-z0-9_-]{11}$/.test(id) ? id : null;
}

async function downloadVideo(url: string, options: VideoOptions, signal: AbortSignal): Promise<string> {
  await assertPublic(url, options.allowPrivateAddresses);
  const { duration } = await describe(url, signal);
  if (duration !== null && duration > options.maxSeconds) {
    throw new InputError(
      url,
      `Maximum YouTube length is ${hms(options.maxSeconds)}, got ${hms(duration)} YouTube video.`,
    );
  }
  const stem = `video-${randomBytes(16).toString("hex")}`;
  try {
    await run(
      url,
      [
        ...["--format", "bestaudio/best", "--max-filesize", String(options.maxBytes), "--no-mtime", "--no-part"],
        ...["--output", join(options.folder, `${stem}.%(ext)s`)],
      ],
      DOWNLOAD_MS,
      signal,
    );
    const name = (await readdir(options.folder)).find((file) => file.startsWith(`${stem}.`));
    if (name === undefined) throw new InputError(url, "it is too large, or has no sound");
    return join(options.folder, name);
  } catch (error) {
    const left = await readdir(options.folder).catch(() => []);
    const partial = left.filter((file) => file.startsWith(`${stem}.`));
    await Promise.all(partial.map((file) => rm(join(options.folder, file), { force: true })));
    throw error;
  }
}

/** Only http and https, and no host of this machine's networks. */
async function assertPublic(text: string, allowPrivateAddresses: boolean): Promise<void> {
  if (text.length > MAX_URL_CHARACTERS || !/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new InputError(text.slice(0, 80), "it is no http or https URL");
  }
  if (allowPrivateAddresses) return;
  const host = new URL(text).hostname.replace(/^\[|\]$/g, "");
  const addresses = await lookup(host, { all: true }).catch((cause: unknown) => {
    throw new InputError(text, "its host has no address", { cause });
  });
  if (addresses.some(({ address }) => isPrivateAddress(address))) {
    throw new InputError(text, "its host is an address of this machine or a private network");
  }
}

async function describe(url: string, signal: AbortSignal): Promise<Description> {
  const output = await run(url, ["--dump-single-json", "--skip-download"], DESCRIBE_MS, signal);
  let duration: unknown;
  try {
    duration = (JSON.parse(output) as { duration?: unknown }).duration;
  } catch (cause) {
    throw new InputError(url, "yt-dlp describes it in no way that can be read", { cause });
  }
  return { duration: typeof duration === "number" && Number.isFinite(duration) ? duration : null };
}

/** Runs yt-dlp. @returns what it writes to stdout */
function run(url: string, args: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<string> {
  const common = ["--ignore-config", "--no-playlist", "--no-cache-dir", "--no-progress", "--no-warnings", "--quiet"];
  const extractors = ["--use-extractors", "default,-generic", "--socket-timeout", "20"];
  // The URL begins with http, and stands after "--": it can be no flag.
  const child = spawn("yt-dlp", [...common, ...extractors, ...args, "--", url], {
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      child.kill("SIGKILL");
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      reject(error as Error);
    };
    const onAbort = (): void => fail(signal.reason);
    const timer = setTimeout(
      () => fail(new InputError(url, `yt-dlp took longer than ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const pieces: Buffer[] = [];
    let bytes = 0;
    let complaint = "";
    child.stdout.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > MAX_DESCRIPTION_BYTES) fail(new InputError(url, "yt-dlp writes too much about it"));
      else pieces.push(piece);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (complaint.length < MAX_COMPLAINT_CHARACTERS) complaint += text;
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      const reason =
        cause.code === "ENOENT"
          ? "videos need the program yt-dlp, which is not installed on the server"
          : cause.message;
      fail(new InputError(url, reason, { cause }));
    });
    child.on("close", (code) => {
      if (code !== 0) {
        const said = complaint.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
        return fail(new InputError(url, `yt-dlp says "${said.replace(/^ERROR: /, "")}"`));
      }
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(Buffer.concat(pieces).toString("utf8"));
    });
  });
}

/** `02H:00M:00S`, as the original has it. */
function hms(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}H:${two(Math.floor(whole / 60) % 60)}M:${two(whole % 60)}S`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);
}
