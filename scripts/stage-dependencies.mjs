#!/usr/bin/env node
// Puts into the package, for `npm pack`, those dependencies whose install scripts download from elsewhere: the parts that sotto uses,
// without the scripts. They go to dist/node_modules, where Node finds them from the modules in dist/.
//
//   node scripts/stage-dependencies.mjs            node_modules/NAME -> dist/node_modules/NAME
//   node scripts/stage-dependencies.mjs --remove   takes them away again: a clone uses its own node_modules

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * @typedef {object} StagedDependency
 * @property {string} reason why it is not a plain dependency
 * @property {(file: string) => boolean} wanted whether a file, named from the package's folder, is used
 * @property {Record<string, string>} [also] more files: name in the staged copy -> path in this repository
 */

/** @type {Readonly<Record<string, StagedDependency>>} */
export const STAGED = {
  "onnxruntime-node": {
    reason: "its script downloads CUDA libraries, and fails the installation where their host cannot be reached",
    // Left out: a second copy of the macOS library, and what onnxruntime.dll loads only for GPUs (delayed imports).
    wanted: (file) =>
      /^dist\/\w+\.js$/.test(file) ||
      (/^bin\/napi-v6\//.test(file) &&
        !/\.\d+\.\d+\.\d+\.dylib$|\/(DirectML|dxcompiler|dxil)\.dll$|providers_(cuda|tensorrt)/.test(file)),
    also: {
      LICENSE: "licenses/onnxruntime/LICENSE",
      "ThirdPartyNotices.txt": "licenses/onnxruntime/ThirdPartyNotices.txt",
    },
  },
  "node-av": {
    reason:
      "its script downloads an ffmpeg program; its library comes with packages of its own, which sotto depends on",
    wanted: (file) => file === "LICENSE.md" || /^dist\/(lib|constants|utils)\/.*\.js$/.test(file),
  },
};

/** Fields of package.json that a staged copy keeps: no scripts, and no dependencies, which are sotto's own. */
const KEPT_FIELDS = ["name", "version", "description", "license", "repository", "author", "type", "main", "exports"];

/**
 * What a staged package's package.json says.
 *
 * @param {Record<string, unknown>} manifest the original
 */
export function stagedManifest(manifest) {
  return Object.fromEntries(Object.entries(manifest).filter(([field]) => KEPT_FIELDS.includes(field)));
}

/** @param {string} folder @returns {string[]} files below it, with "/" between names */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name)).map((file) => `${entry.name}/${file}`) : [entry.name],
  );
}

/** @param {string} target folder that gets a folder for each dependency */
export function stage(target) {
  rmSync(target, { recursive: true, force: true });
  for (const [name, { wanted, also = {} }] of Object.entries(STAGED)) {
    const from = join(root, "node_modules", name);
    const to = join(target, name);
    if (!existsSync(from)) throw new Error(`"${from}" is missing\nHint: npm ci`);
    /** @param {string} source @param {string} file */
    const copy = (source, file) => {
      mkdirSync(dirname(join(to, file)), { recursive: true });
      copyFileSync(source, join(to, file));
    };
    for (const file of filesBelow(from).filter(wanted)) copy(join(from, file), file);
    for (const [file, source] of Object.entries(also)) copy(join(root, source), file);
    const manifest = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
    writeFileSync(join(to, "package.json"), `${JSON.stringify(stagedManifest(manifest), null, 2)}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const target = join(root, "dist", "node_modules");
  if (process.argv[2] === "--remove") rmSync(target, { recursive: true, force: true });
  else stage(target);
}
