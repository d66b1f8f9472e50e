/**
 * Where tests on real weights and real recordings find them: OpenAI's `base` and `tiny.en` in `$SOTTO_REAL_MODELS` (default
 * ~/.cache/sotto-real), recordings in `$SOTTO_REAL_AUDIO` (default ../shared/audio/real beside the repository). Neither is
 * part of the repository. Tests say that they were skipped where one is missing, unless SOTTO_REQUIRE_REAL is 1: then they
 * fail.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestContext } from "vitest";

export type RealModel = "base" | "tiny.en";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MODELS = process.env["SOTTO_REAL_MODELS"] || join(homedir(), ".cache", "sotto-real");
const AUDIO = resolve(ROOT, process.env["SOTTO_REAL_AUDIO"] || "../shared/audio/real");

/** Folder of a checkpoint in Hugging Face's layout; skips the test where it is missing. */
export function realModel(name: RealModel, context: TestContext): string {
  const folder = join(MODELS, "hf", `whisper-${name}`);
  const file = join(folder, "model.safetensors");
  return existsSync(file) ? folder : missing(`no weights of ${name}: "${file}" does not exist`, context);
}

/** Path of a recording; skips the test where it is missing. */
export function realRecording(file: string, context: TestContext): string {
  const path = join(AUDIO, file);
  return existsSync(path) ? path : missing(`no recording "${path}"`, context);
}

function missing(reason: string, context: TestContext): never {
  if (process.env["SOTTO_REQUIRE_REAL"] === "1") throw new Error(`Cannot test on real speech: ${reason}`);
  return context.skip(reason);
}
