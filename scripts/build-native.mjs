#!/usr/bin/env node
// Builds the kernels of native/ into the addon that the package ships, or runs their tests. Needs g++ (12 or later), nothing else;
// whoever only uses sotto needs none of this.
//
//   node scripts/build-native.mjs            native/*.cc -> prebuilt/linux-x64/sotto.node
//   node scripts/build-native.mjs --test     builds and runs native/test/*_test.cc, on each instruction set that this machine has
//   node scripts/build-native.mjs --check    exits 1 unless the addon is made of these sources
//
// The addon holds a hash of its sources, so that --check needs no compiler.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "native");
const addon = join(root, "prebuilt", "linux-x64", "sotto.node");
const compiler = process.env["CXX"] ?? "g++";

// g++ 12 takes its own intrinsics' undefined registers for uninitialised variables.
const WARNINGS = ["-Wall", "-Wextra", "-Wno-uninitialized", "-Wno-maybe-uninitialized"];
const COMMON = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", ...WARNINGS];
const AVX512 = "-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni".split(" ");
/** Files that run before the processor is known. */
const PLAIN = new Set(["addon.cc", "cpu.cc"]);

/** @param {string} file */
function flagsOf(file) {
  if (PLAIN.has(file)) return [];
  if (file === "checksum.cc") return ["-msse4.2"];
  return file.endsWith("_amx.cc") ? [...AVX512, "-mamx-tile", "-mamx-int8"] : AVX512;
}

/** @param {string} ending */
const sources = (ending) =>
  readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .sort();

/** What the addon is made of: sources, flags and this script's way with them. */
function sourceHash() {
  const hash = createHash("sha256");
  for (const file of [...sources(".h"), ...sources(".cc")]) {
    hash.update(`${file}\0${flagsOf(file).join(" ")}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.update(COMMON.join(" ")).digest("hex").slice(0, 32);
}

/** @param {string[]} args */
function compile(args) {
  const { status, error } = spawnSync(compiler, args, { stdio: "inherit" });
  if (error !== undefined) throw new Error(`Cannot run "${compiler}": ${error.message}`);
  if (status !== 0) throw new Error(`"${compiler}" failed`);
}

/**
 * @param {string} objects folder for them
 * @param {(file: string) => boolean} wanted
 * @param {string[]} more flags
 */
function compileAll(objects, wanted, more) {
  return sources(".cc")
    .filter(wanted)
    .map((file) => {
      const object = join(objects, `${basename(file, ".cc")}.o`);
      compile([...COMMON, ...flagsOf(file), ...more, "-c", join(folder, file), "-o", object]);
      return object;
    });
}

/** @param {string} objects */
function build(objects) {
  const headers = join(root, "node_modules", "node-api-headers", "include");
  const more = [`-I${headers}`, `-DSOTTO_SOURCES="${sourceHash()}"`];
  const files = compileAll(objects, () => true, more);
  mkdirSync(join(addon, ".."), { recursive: true });
  // The system's C++ library, which onnxruntime needs too: linked in, it would ask for a C library as new as the builder's.
  compile(["-shared", "-o", addon, ...files, "-pthread", "-s"]);
  console.log(`${addon}: ${readFileSync(addon).length} bytes`);
}

/** @param {string} objects */
function test(objects) {
  const files = compileAll(objects, (file) => file !== "addon.cc", []);
  let failures = 0;
  for (const file of readdirSync(join(folder, "test")).filter((name) => name.endsWith("_test.cc"))) {
    const program = join(objects, basename(file, ".cc"));
    compile([...COMMON, ...AVX512, `-I${folder}`, join(folder, "test", file), ...files, "-o", program, "-pthread"]);
    for (const isa of ["", "avx512-vnni"]) {
      console.log(`# ${basename(file, ".cc")}${isa === "" ? "" : `, ${isa}`}`);
      const { status } = spawnSync(program, { stdio: "inherit", env: { ...process.env, SOTTO_ISA: isa } });
      if (status !== 0) failures++;
    }
  }
  if (failures > 0) throw new Error(`${failures} test programs failed`);
}

function check() {
  if (readFileSync(addon).includes(sourceHash())) return;
  throw new Error(`${addon} is not made of the sources in native/: run "node scripts/build-native.mjs"`);
}

const objects = mkdtempSync(join(tmpdir(), "sotto-native-"));
try {
  if (process.argv[2] === "--check") check();
  else if (process.argv[2] === "--test") test(objects);
  else build(objects);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(objects, { recursive: true, force: true });
}
