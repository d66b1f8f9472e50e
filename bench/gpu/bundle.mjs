#!/usr/bin/env node
// Puts what the GPU benchmark needs into one folder and one archive, for a machine that has an NVIDIA driver and nothing else: Node itself, the
// compiled package, its kernels and the packages that they need, the tests as JavaScript, the bundled model, and what the processor makes of two
// recordings.
//
//   npm run build && node bench/gpu/bundle.mjs FOLDER [--lean] [--extra FOLDER]
//
// --lean leaves out what a checkout has (models, samples, kernels, scripts): for unpacking over one.
// --extra takes a folder along as extra/, openai/whisper's source, say, which peers.py looks for there.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import ts from "typescript";
import { encodeWav, loadAudio } from "../../dist/audio/index.js";
import { transcripts } from "./transcripts.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { lean: { type: "boolean", default: false }, extra: { type: "string" } },
});
if (positionals.length !== 1) {
  console.error("Usage: node bench/gpu/bundle.mjs FOLDER [--lean] [--extra FOLDER]");
  process.exit(2);
}
const out = resolve(positionals[0]);

const isCode = (path) => statSync(path).isDirectory() || /\.(js|mjs|cjs|json|node|wasm)$/.test(path);
const copy = (from, filter = () => true) => cpSync(join(root, from), join(out, from), { recursive: true, filter });

/** What the tests say in JavaScript, over dist/ and our own runner. */
function compileTests() {
  const folder = join(out, "compiled-tests");
  const tests = [
    ...readdirSync(join(root, "test/cuda"))
      // The stand-in's own tests need a compiler, and the bundled model's the processor's engine: check.mjs has what that says.
      .filter((file) => file.endsWith(".ts") && !/^(stand-in|nano)/.test(file))
      .map((file) => `test/cuda/${file}`),
    ...["contract/cuda.test.ts", "contract/engine-contract.ts"].map((file) => `test/${file}`),
    ...["close.ts", "cuda.ts", "random.ts", "samples.ts", "toy-model.ts"].map((file) => `test/helpers/${file}`),
  ];
  for (const file of tests) {
    const path = join(folder, file.replace(/\.ts$/, ".js"));
    const runner = relative(dirname(path), join(out, "bench/gpu/test-runner.mjs")).replaceAll("\\", "/");
    const options = {
      module: ts.ModuleKind.ES2022,
      target: ts.ScriptTarget.ES2023,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    };
    const { outputText } = ts.transpileModule(readFileSync(join(root, file), "utf8"), { compilerOptions: options });
    const code = outputText
      .replaceAll('from "vitest"', `from "${runner}"`)
      .replaceAll('"../../src/', '"../../../dist/')
      .replaceAll('"../../samples/', '"../../../samples/');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, code);
  }
}

/** A package, without what only its makers and compilers read. */
function copyPackage(name, from = root) {
  const folder = createRequire(join(from, "package.json"))
    .resolve.paths(name)
    .map((path) => join(path, name))
    .find(existsSync);
  if (folder === undefined) return;
  const target = join(out, "node_modules", name);
  const unused = new Set(["types", "vendor", "doc", "cjs", "types57", "musl_x64"]);
  cpSync(folder, target, {
    recursive: true,
    filter: (path) =>
      isCode(path) &&
      !relative(folder, path)
        .split("/")
        .some((part) => unused.has(part)),
  });
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const dependency of Object.keys(dependencies)) copyPackage(dependency, folder);
}

/** Node without its symbols, compressed. */
function copyNode() {
  const node = join(out, "node");
  copyFileSync(process.execPath, node);
  chmodSync(node, 0o755);
  try {
    execFileSync("strip", [node]);
  } catch {
    console.log("Not stripped: there is no strip");
  }
  execFileSync("xz", ["-T0", "-6", "-f", node]);
}

async function recordings() {
  const folder = join(out, "bench/gpu/recordings");
  mkdirSync(folder, { recursive: true });
  for (const file of ["en-short.wav", "en-30s.flac"]) {
    const samples = await loadAudio(join(root, "samples", file));
    writeFileSync(join(folder, `${basename(file).split(".")[0]}.wav`), encodeWav(samples, 16000));
  }
  const expected = await transcripts(folder, { device: "cpu", dtype: "float32" });
  writeFileSync(join(folder, "expected.json"), JSON.stringify(expected, null, 1));
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
copy("bench/gpu", (path) => !path.includes("results"));
copy("package.json");
copy("dist", isCode);
compileTests();
for (const name of [
  "koffi",
  `@koromix/koffi-${process.platform}-${process.arch}`,
  "@huggingface/tokenizers",
  "fast-check",
])
  copyPackage(name);
await recordings();
copyNode();
if (!values.lean) {
  copy("prebuilt");
  copy("models/nano");
  copy("samples/manifest.json");
  copy("samples/en-short.wav");
  copy("scripts/make-random-checkpoint.mjs");
}
if (values.extra !== undefined) cpSync(values.extra, join(out, "extra"), { recursive: true });

const archive = `${out}.tar.gz`;
execFileSync("tar", ["-czf", archive, "-C", out, "."]);
const bytes = statSync(archive).size;
console.log(`${archive}: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
console.log(`There: mkdir sotto && tar xzf ${basename(archive)} -C sotto && sotto/bench/gpu/run.sh`);
