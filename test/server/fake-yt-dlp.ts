/** A program on PATH in the place of yt-dlp, that tests can tell what to do. */
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { vi } from "vitest";

export interface FakeYtDlp {
  /** Arguments of each run that has done its work, or is at it for ever. */
  calls(): Promise<string[][]>;
  remove(): Promise<void>;
}

export interface FakeVideo {
  /** Path of what is downloaded. */
  readonly recording?: string;
  /** What the description says. */
  readonly duration?: number | null;
  readonly isLive?: boolean;
  /** Instead of a description: the program's last words. */
  readonly complaint?: string;
  /** Bytes that are written, after which the download goes on for ever. */
  readonly endlessBytes?: number;
}

/** Puts the program on PATH, until vitest resets the environment. */
export async function fakeYtDlp(video: FakeVideo): Promise<FakeYtDlp> {
  const folder = await mkdtemp(join(tmpdir(), "sotto-yt-dlp-"));
  const calls = join(folder, "calls");
  const { recording, duration = 5, isLive = false, complaint, endlessBytes } = video;
  const program = `#!${process.execPath}
const { appendFileSync, copyFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
const output = args[args.indexOf("--output") + 1].replace("%(ext)s", "wav");
const [complaint, endlessBytes] = ${JSON.stringify([complaint ?? null, endlessBytes ?? null])};
if (complaint !== null) {
  console.error(complaint);
  process.exitCode = 1;
} else if (args.includes("--dump-single-json")) console.log(${JSON.stringify(JSON.stringify({ duration, is_live: isLive }))});
else if (endlessBytes === null) copyFileSync(${JSON.stringify(recording ?? "")}, output);
else {
  writeFileSync(output, Buffer.alloc(endlessBytes));
  setInterval(() => {}, 1000);
}
appendFileSync(${JSON.stringify(calls)}, JSON.stringify(args) + "\\n");
`;
  await writeFile(join(folder, "yt-dlp"), program);
  await chmod(join(folder, "yt-dlp"), 0o755);
  vi.stubEnv("PATH", `${folder}${delimiter}${process.env["PATH"] ?? ""}`);
  return {
    calls: async () => {
      const lines = (await readFile(calls, "utf8").catch(() => "")).split("\n").slice(0, -1);
      return lines.map((line) => JSON.parse(line) as string[]);
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
