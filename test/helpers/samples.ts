/** The recordings under samples/, with their reference texts. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Sample {
  readonly file: string;
  readonly language: string;
  /** Seconds. */
  readonly duration: number;
  readonly text: string;
}

const folder = new URL("../../samples/", import.meta.url);

/** Absolute path of a recording. */
export const samplePath = (file: string): string => fileURLToPath(new URL(file, folder));

export const SAMPLES = (
  JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8")) as { samples: readonly Sample[] }
).samples;

/** Reference text of a recording. */
export function referenceText(file: string): string {
  const sample = SAMPLES.find((candidate) => candidate.file === file);
  if (sample === undefined) throw new Error(`No recording "${file}" in the manifest of samples/`);
  return sample.text;
}
