#!/usr/bin/env node
// Checks what the package offers, after a build: every entry point of package.json has its code and its types, every folder
// of src/ with an index.ts is an entry point or is listed below as internal, each entry point loads, and publint is content.
//
//   node scripts/check-exports.mjs          prints one line per fault and exits 1, or exits 0

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

/** Folders of src/ that are no entry point, each with the reason. */
export const INTERNAL = new Map([
  ["cli", "it is the program in package.json's bin"],
  ["files", "it mends what Node does to folders, and is no stage of a transcription"],
  ["network", "how proxies are gone through is the affair of who downloads"],
  ["onnx", "how graphs are written is the cpu engine's own affair"],
  ["options", "how options are checked shows in the errors of those that have them"],
  ["pipeline", "it is what the main entry point offers"],
  ["safetensors", "sotto/checkpoint offers what it has"],
  ["tensor", "a tensor is a plain { data, dims }, and its type comes with what takes or gives one"],
  ["wasm", "how kernels are assembled is the affair of those that have them"],
]);

/**
 * Compares package.json with what was built.
 *
 * @param {{ exports?: unknown, bin?: unknown }} manifest package.json
 * @param {readonly string[]} folders those of src/ that have an index.ts
 * @param {(path: string) => boolean} exists whether a file named from the package's root (`dist/index.js`) is there
 * @returns {string[]} one line a fault
 */
export function checkExports(manifest, folders, exists) {
  const faults = [];
  const entries = entryPoints(manifest.exports);

  for (const [name, targets] of entries) {
    const types = targets.find(([condition]) => condition === "types")?.[1];
    const code = targets.find(([condition]) => condition === "default" || condition === "import")?.[1];
    if (code === undefined) faults.push(`exports "${name}" has no code: neither "import" nor "default"`);
    if (code?.endsWith(".js") && types === undefined) faults.push(`exports "${name}" has no "types"`);
    for (const [condition, target] of targets) {
      if (!target.startsWith("./"))
        faults.push(`exports "${name}" ${condition} is "${target}", expected "./" before it`);
      else if (!exists(target.slice(2)))
        faults.push(`exports "${name}" ${condition} names "${target}", which is not there`);
    }
    const folder = name.slice("./".length);
    if (INTERNAL.has(folder)) faults.push(`exports "${name}" offers an internal folder: ${INTERNAL.get(folder)}`);
    if (code?.endsWith(".js") && name !== "." && !folders.includes(folder)) {
      faults.push(`exports "${name}" has no src/${folder}/index.ts`);
    }
  }

  const offered = new Set(entries.map(([name]) => name));
  if (!offered.has(".")) faults.push('exports "." is missing');
  for (const folder of folders) {
    if (!INTERNAL.has(folder) && !offered.has(`./${folder}`)) {
      faults.push(`src/${folder}/index.ts is not in exports; add "./${folder}", or say in INTERNAL why not`);
    }
  }

  const programs = Object.entries(/** @type {Record<string, string>} */ (manifest.bin ?? {}));
  if (programs.length === 0) faults.push("bin is missing");
  for (const [name, target] of programs) {
    if (!exists(target.replace(/^\.\//, ""))) faults.push(`bin "${name}" names "${target}", which is not there`);
  }
  return faults;
}

/**
 * @param {unknown} exports
 * @returns {[name: string, targets: [condition: string, target: string][]][]}
 */
function entryPoints(exports) {
  return Object.entries(exports ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? [["default", value]] : Object.entries(value),
  ]);
}

/**
 * Loads an entry point in a Node of its own: it must not throw, must not keep the process alive, and must offer something.
 * @param {string} root @param {string} target `./dist/audio/index.js`
 * @returns {string | undefined} what went wrong
 */
function faultOfLoading(root, target) {
  const url = pathToFileURL(join(root, target)).href;
  const program = `const names = Object.keys(await import(${JSON.stringify(url)})); console.log(names.length);`;
  try {
    const count = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000, // a module that keeps the process alive never ends; loading takes under a second
    });
    return Number(count) > 0 ? undefined : "offers nothing";
  } catch (error) {
    const { stderr, message } = /** @type {{ stderr?: string, message: string }} */ (error);
    return /^\w*Error.*$/m.exec(stderr ?? "")?.[0] ?? message;
  }
}

async function main() {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const folders = readdirSync(join(root, "src")).filter((name) => existsSync(join(root, "src", name, "index.ts")));
  const faults = checkExports(manifest, folders, (path) => existsSync(join(root, path)));
  if (faults.length === 0) {
    for (const [name, targets] of entryPoints(manifest.exports)) {
      const target = targets.at(-1)?.[1];
      const fault = target?.endsWith(".js") ? faultOfLoading(root, target) : undefined;
      if (fault !== undefined) faults.push(`exports "${name}" does not load: ${fault}`);
    }
    process.env["npm_config_ignore_scripts"] = "true"; // listing the package's files must not build them again
    const { messages, pkg } = await publint({ pkgDir: root, pack: "npm", strict: true });
    for (const message of messages) faults.push(`publint: ${formatMessage(message, pkg, { color: false })}`);
  }
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
