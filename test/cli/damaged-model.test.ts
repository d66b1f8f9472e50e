/** Damaged models end the program with an error that names the damage: never with an empty transcript. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { readSafetensorsHeader } from "../../src/checkpoint/safetensors.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wav = join(root, "samples", "en-short.wav");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-damaged-"));
  cpSync(join(root, "models", "nano"), join(folder, "model"), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string): string => join(folder, "model", name);

function transcribe(flags: readonly string[], kernels = "auto") {
  const env = { ...process.env, SOTTO_KERNELS: kernels, SOTTO_CACHE: join(folder, "cache") };
  const args = [join(root, "dist", "cli", "main.js"), wav, "--model", join(folder, "model"), ...flags];
  return spawnSync(process.execPath, args, { encoding: "utf8", cwd: folder, env });
}

/** Writes one number of a parameter, which nano stores in float16. */
async function damage(parameter: string, index: number, bits: number): Promise<void> {
  const { header } = await readSafetensorsHeader(file("model.safetensors"));
  const entry = header.entries.get(parameter)!;
  expect(entry.dtype).toBe("F16");
  const bytes = readFileSync(file("model.safetensors"));
  bytes.writeUInt16LE(bits, entry.byteOffset + 2 * index);
  writeFileSync(file("model.safetensors"), bytes);
}

describe("sotto with a damaged model", () => {
  const engines: [string, string[], string][] = [
    ["the fastest engine", [], "auto"],
    ["onnxruntime, int8", ["--dtype", "int8"], "onnxruntime"],
    ["onnxruntime, float32", ["--dtype", "float32"], "onnxruntime"],
    ["the reference engine", ["--device", "reference"], "auto"],
  ];
  it.each(engines)("names the parameter with NaN: %s", async (_, flags, kernels) => {
    await damage("model.decoder.layers.0.fc1.weight", 7, 0x7e00);
    const { status, stdout, stderr } = transcribe(flags, kernels);
    expect(stderr).toContain('parameter "model.decoder.layers.0.fc1.weight" has NaN at index 7');
    expect(status).not.toBe(0);
    expect(stdout).toBe("");
  });

  it("names the end of the data where the header is a byte short", () => {
    const path = file("model.safetensors");
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const padded = Buffer.concat([bytes.subarray(0, 8 + length), Buffer.from(" "), bytes.subarray(8 + length)]);
    writeFileSync(path, padded);
    const { status, stderr } = transcribe([]);
    expect(stderr).toContain("expected the end of the file");
    expect(status).not.toBe(0);
  });

  it("names the file whose vocabulary is empty", () => {
    const tokenizer = JSON.parse(readFileSync(file("tokenizer.json"), "utf8")) as { model: { vocab: object } };
    tokenizer.model.vocab = {};
    writeFileSync(file("tokenizer.json"), JSON.stringify(tokenizer));
    const { status, stderr } = transcribe([]);
    expect(stderr).toContain('field "model.vocab" has 0 tokens');
    expect(stderr).toContain("tokenizer.json");
    expect(status).not.toBe(0);
  });
});
