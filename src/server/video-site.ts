/**
 * The sound of videos on web sites, by the program yt-dlp where it is on PATH. It runs without a shell, without the user's
 * configuration, and without its generic extractor, which would fetch any address it is given.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isPrivateAddress } from "../audio/private-address.ts";
import { InputError } from "../errors.ts";
import { FairSlots } from "./fair-slots.ts";

/** A video's description is some 100 kB; with chapters and comments turned off, never this much. */
const MAX_DESCRIPTION_BYTES = 16 * 2 ** 20;
const MAX_COMPLAINT_CHARACTERS = 4096;
/** Looking a video up is a few requests, in ms. */
const DESCRIBE_MS = 60_000;
/** Two hours of sound are 100 MB: minutes on a slow line. */
const DOWNLOAD_MS = 20 * 60_000;
/** How often the size is looked at, in ms: yt-dlp's own ceiling does not hold for videos that come in fragments. */
const MEASURE_MS = 500;
/** Downloads that run at once; sites slow down who asks for more. */
const MAX_RUNNING = 2;
/** Downloads that wait: 64 jobs at most (transcription-service.ts), and calls of Gradio. */
const MAX_WAITING = 100;
const MAX_URL_CHARACTERS = 2048;

/** What to do where yt-dlp is missing; for who runs the server, as nobody else can do it. */
export const INSTALL_HINT = "install yt-dlp (https://github.com/yt-dlp/yt-dlp) where the server's PATH leads to it";

/** Sites whose pages are not read first, to see whether they are a recording: many answer only browsers. */
const SITES: ReadonlySet<string> = new Set([
  ...["youtube.com", "youtube-nocookie.com", "youtu.be", "vimeo.com", "dailymotion.com", "dai.ly", "twitch.tv"],
  ...["tiktok.com", "instagram.com", "facebook.com", "fb.watch", "x.com", "twitter.com", "reddit.com", "bilibili.com"],
  ...["soundcloud.com", "mixcloud.com", "bandcamp.com", "ted.com", "rumble.com", "odysee.com", "nicovideo.jp"],
]);

const MEDIA_FILE = /\.(aac|aif|aiff|flac|m4a|m4v|mka|mkv|mov|mp3|mp4|oga|ogg|ogv|opus|wav|weba|webm|wma)$/i;

/** Whether a URL is a page of a site of videos, not a recording. Those of sites that are not known show it by what they send. */
export function isVideoPage({ hostname, pathname }: URL): boolean {
  const labels = hostname.toLowerCase().replace(/\.$/, "").split(".");
  return SITES.has(labels.slice(-2).join(".")) && !MEDIA_FILE.test(pathname);
}

/** There is no program yt-dlp. */
export class YtDlpMissingError extends InputError {
  override readonly name = "YtDlpMissingError";
}

/** yt-dlp knows no site that has pages like this one. */
export class UnknownSiteError extends InputError {
  override readonly name = "UnknownSiteError";
}

export interface VideoOptions {
  /** Where files go, or what makes sure of it. */
  readonly folder: string | (() => Promise<string>);
  readonly maxUploadBytes: number;
  readonly maxSeconds: number;
  readonly allowPrivateAddresses: boolean;
}

interface Description {
  readonly duration: number | null;
  readonly isLive: boolean;
}

/** Downloads of a server: bounded, a few at a time, and fair among clients. */
export class VideoDownloads {
  readonly #options: VideoOptions;
  readonly #slots = new FairSlots({ slots: MAX_RUNNING, perClient: MAX_RUNNING });

  constructor(options: VideoOptions) {
    this.#options = options;
  }

  /** The folder where files go, which is there. */
  async readyFolder(): Promise<string> {
    const { folder } = this.#options;
    return typeof folder === "string" ? folder : folder();
  }

  /**
   * Downloads the sound of a video.
   *
   * @param client who asks; clients take turns
   * @returns path of a file in the folder, which is the caller's to remove
   * @throws {YtDlpMissingError} {UnknownSiteError} {InputError} if it is too long or too large, or cannot be had
   * @throws the signal's reason
   */
  async download(url: string, signal: AbortSignal, client = ""): Promise<string> {
    signal.throwIfAborted();
    if (this.#slots.waiting >= MAX_WAITING) throw new InputError(url, "too many videos are being downloaded");
    const release = await this.#slots.take(client, signal);
    try {
      return await downloadVideo(url, await this.readyFolder(), this.#options, signal);
    } finally {
      release();
    }
  }
}

async function downloadVideo(url: string, folder: string, options: VideoOptions, signal: AbortSignal): Promise<string> {
  await assertPublic(url, options.allowPrivateAddresses);
  const { duration, isLive } = await describe(url, signal);
  if (isLive) throw new InputError(url, "it is a live broadcast, which has no end yet");
  if (duration !== null && duration > options.maxSeconds) {
    throw new InputError(
      url,
      `Maximum YouTube length is ${hms(options.maxSeconds)}, got ${hms(duration)} YouTube video.`,
    );
  }
  const stem = `video-${randomBytes(16).toString("hex")}`;
  const files = async (): Promise<string[]> =>
    (await readdir(folder).catch(() => []))
      .filter((name) => name.startsWith(`${stem}.`))
      .map((name) => join(folder, name));
  const stopped = new AbortController();
  const measure = async (): Promise<void> => {
    const sizes = await Promise.all(
      (await files()).map(async (file) => (await stat(file).catch(() => null))?.size ?? 0),
    );
    if (sizes.reduce((sum, size) => sum + size, 0) > options.maxUploadBytes) stopped.abort(tooLarge(url));
  };
  const timer = setInterval(() => void measure(), MEASURE_MS);
  try {
    const ceiling = ["--max-filesize", String(options.maxUploadBytes)];
    await run(
      url,
      [
        ...["--format", "bestaudio/best", ...ceiling, "--no-mtime", "--no-part", "--fixup", "never"],
        ...["--output", join(folder, `${stem}.%(ext)s`)],
      ],
      DOWNLOAD_MS,
      AbortSignal.any([signal, stopped.signal]),
    );
    await measure();
    stopped.signal.throwIfAborted();
    // Fragments that were left have longer names.
    const [path, ...rest] = (await files()).sort((a, b) => a.length - b.length);
    // yt-dlp says nothing of what it left out.
    if (path === undefined) throw tooLarge(url);
    await Promise.all(rest.map((file) => rm(file, { force: true })));
    return path;
  } catch (error) {
    await Promise.all((await files()).map((file) => rm(file, { force: true })));
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function tooLarge(url: string): InputError {
  return new InputError(url, "it is too large, or has no sound");
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
    throw new InputError(text, "its host is at an address of this machine or a private network", {
      hint: { server: "allowPrivateAddresses (--allow_private_addresses) lets clients name such hosts" },
    });
  }
}

async function describe(url: string, signal: AbortSignal): Promise<Description> {
  const output = await run(url, ["--dump-single-json", "--skip-download"], DESCRIBE_MS, signal);
  let described: { duration?: unknown; is_live?: unknown };
  try {
    described = JSON.parse(output) as typeof described;
  } catch (cause) {
    throw new InputError(url, "yt-dlp describes it in no way that can be read", { cause });
  }
  const { duration, is_live } = described;
  return {
    duration: typeof duration === "number" && Number.isFinite(duration) ? duration : null,
    isLive: is_live === true,
  };
}

/** Runs yt-dlp. When this has failed, the program has ended. @returns what it writes to stdout */
function run(url: string, args: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<string> {
  const common = ["--ignore-config", "--no-playlist", "--no-cache-dir", "--no-progress", "--no-warnings", "--quiet"];
  const extractors = ["--use-extractors", "default,-generic", "--socket-timeout", "20"];
  // The URL begins with http, and stands after "--": it can be no flag.
  const child = spawn("yt-dlp", [...common, ...extractors, ...args, "--", url], {
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  return new Promise((resolve, reject) => {
    let failure: { readonly error: unknown } | null = null;
    const hasEnded = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const fail = (error: unknown): void => {
      failure ??= { error };
      if (hasEnded()) settle(() => reject(error as Error));
      else child.kill("SIGKILL");
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
    child.on("error", (cause: NodeJS.ErrnoException) => fail(startError(url, cause)));
    child.on("exit", () => {
      if (failure !== null) fail(failure.error);
    });
    child.on("close", (code) => {
      if (code === 0) settle(() => resolve(Buffer.concat(pieces).toString("utf8")));
      else fail(complaintError(url, complaint));
    });
  });
}

function startError(url: string, cause: NodeJS.ErrnoException): InputError {
  if (cause.code !== "ENOENT") return new InputError(url, cause.message, { cause });
  return new YtDlpMissingError(url, "it is a page of a video site, and this server reads only links to recordings", {
    cause,
    hint: {
      server: INSTALL_HINT,
      client: "give the link of the audio or video file itself, or download it and send the file",
    },
  });
}

function complaintError(url: string, complaint: string): InputError {
  const last = complaint.trim().split("\n").at(-1) ?? "";
  const said = last.replace(/^ERROR: /, "").slice(0, 300);
  const Class = /unsupported url|no suitable extractor/i.test(said) ? UnknownSiteError : InputError;
  return new Class(url, `yt-dlp says "${said}"`);
}

/** `02H:00M:00S`, as the original has it. */
function hms(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}H:${two(Math.floor(whole / 60) % 60)}M:${two(whole % 60)}S`;
}
