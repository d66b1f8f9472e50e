#!/usr/bin/env node
// Builds the kernels of kernels/: for the GPU, into the modules that the package ships, or for the CPU, as the stand-in for NVIDIA's
// driver that the tests run. Whoever only uses sotto needs none of this.
//
//   node scripts/build-kernels.mjs                    kernels/all.cu -> prebuilt/cuda/; needs nvcc (13.0 made what is shipped)
//   node scripts/build-kernels.mjs --host FILE        the stand-in as a shared library; needs g++ (or $CXX), exits 2 where there is none.
//                                                     Names of files of kernels/ behind it: with those kernels only, which is quicker
//   node scripts/build-kernels.mjs --check            exits 1 unless what is shipped is made of these sources; needs no compiler
//   node scripts/build-kernels.mjs --check --compile  builds it again where there is nvcc, and compares
//
// Machine code is for the GPUs that its number names and later ones of the same first figure; PTX is compiled by the driver, as the module
// is loaded, for all others from compute capability 8.0 on. Machine code of CUDA 13 needs driver 580. Its PTX would too, as it says version
// 9.0, but the kernels use nothing that 7.4 does not have: it is made to say so, ptxas checks that, and drivers from 470 on take it. For
// drivers before 580 (cuDriverGetVersion() < 13000) there is sotto-ptx.fatbin, without the machine code that they may stumble over.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const kernels = join(root, "kernels");
const host = join(kernels, "host");
const shipped = join(root, "prebuilt", "cuda");
/** Compiled parts of the stand-in, so that a changed kernel compiles kernels alone. */
const objects = join(root, "node_modules", ".cache", "sotto", "stand-in");

const PTX_VERSION = "7.4";
const PTX = "80";
const MACHINE_CODE = ["80", "90a"];
// Numbers are IEEE's: no --use_fast_math. Kernels ask by name for what may be fast.
const NVCC = ["-std=c++17", "-O3", "-x", "cu"];
// LZ4: the default of nvcc 13, Zstandard, is smaller, but drivers have learned it lately only.
const COMPRESSION = ["--compress-all", "--compress-mode=speed"];

const HOST_FLAGS =
  "-std=c++17 -fPIC -fvisibility=hidden -fno-math-errno -fstack-clash-protection -U_FORTIFY_SOURCE -Wall -Wextra".split(
    " ",
  );

class NoCompiler extends Error {}

/**
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<string>} what it printed
 */
function call(program, args) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (text) => (output += text));
    child.stderr.on("data", (text) => (output += text));
    child.on("error", (error) => fail(new NoCompiler(`Cannot run "${program}": ${error.message}`)));
    child.on("close", (status) => {
      if (status === 0) done(output);
      else fail(new Error(`"${program} ${args.join(" ")}" failed\n${output}`));
    });
  });
}

/**
 * @template T
 * @param {(folder: string) => Promise<T>} work
 */
async function inScratch(work) {
  const folder = mkdtempSync(join(tmpdir(), "sotto-kernels-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} folder
 * @param {RegExp} pattern
 */
const filesOf = (folder, pattern) =>
  readdirSync(folder)
    .filter((file) => pattern.test(file))
    .sort();

/**
 * @param {string[]} flags
 * @param {string[]} folders
 */
function sourceHash(flags, folders) {
  const hash = createHash("sha256").update(flags.join(" "));
  for (const folder of folders) {
    for (const file of filesOf(folder, /\.(cu|cuh|h|cc)$/))
      hash.update(`\0${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest("hex").slice(0, 32);
}

const deviceHash = () => sourceHash([...NVCC, ...COMPRESSION, PTX_VERSION, PTX, ...MACHINE_CODE], [kernels]);
/** @param {Buffer} bytes */
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/**
 * Builds the modules into a folder.
 * @param {string} folder
 */
async function buildDevice(folder) {
  const source = join(kernels, "all.cu");
  const ptx = join(folder, "kernels.ptx");
  const images = MACHINE_CODE.map((sm) => ({ sm, file: join(folder, `sm_${sm}.cubin`) }));
  await Promise.all([
    call("nvcc", [...NVCC, `-gencode=arch=compute_${PTX},code=compute_${PTX}`, "-ptx", source, "-o", ptx]),
    ...images.map(({ sm, file }) =>
      call("nvcc", [...NVCC, `-gencode=arch=compute_${sm},code=sm_${sm}`, "-cubin", source, "-o", file]),
    ),
  ]);
  writeFileSync(ptx, readFileSync(ptx, "utf8").replace(/^\.version \d+\.\d+$/m, `.version ${PTX_VERSION}`));
  await call("ptxas", [`-arch=sm_${PTX}`, "-O0", ptx, "-o", join(folder, "checked.cubin")]);
  const ptxImage = `--image3=kind=ptx,sm=${PTX},file=${ptx}`;
  const machineCode = images.map(({ sm, file }) => `--image3=kind=elf,sm=${sm},file=${file}`);
  const all = join(folder, "sotto.fatbin");
  const ptxOnly = join(folder, "sotto-ptx.fatbin");
  await call("fatbinary", ["-64", ...COMPRESSION, "--ident=sotto", ptxImage, ...machineCode, `--create=${all}`]);
  await call("fatbinary", ["-64", ...COMPRESSION, "--ident=sotto", ptxImage, `--create=${ptxOnly}`]);
  const nvcc = /V(\d+\.\d+\.\d+)/.exec(await call("nvcc", ["--version"]))?.[1];
  const files = Object.fromEntries(
    [all, ptxOnly].map((file) => [
      basename(file),
      { bytes: readFileSync(file).length, sha256: sha256(readFileSync(file)) },
    ]),
  );
  const made = {
    sources: deviceHash(),
    nvcc,
    ptx: PTX_VERSION,
    machineCode: MACHINE_CODE.map((sm) => `sm_${sm}`).join(" "),
    files,
  };
  return { made, paths: [all, ptxOnly] };
}

async function build() {
  await inScratch(async (folder) => {
    const { made, paths } = await buildDevice(folder);
    mkdirSync(shipped, { recursive: true });
    for (const path of paths) writeFileSync(join(shipped, basename(path)), readFileSync(path));
    writeFileSync(join(shipped, "build.json"), `${JSON.stringify(made, null, 2)}\n`);
    for (const [file, { bytes }] of Object.entries(made.files)) console.log(`${join(shipped, file)}: ${bytes} bytes`);
  });
}

/** @param {boolean} compile */
async function check(compile) {
  const made = JSON.parse(readFileSync(join(shipped, "build.json"), "utf8"));
  if (made.sources !== deviceHash()) {
    throw new Error(`${shipped} is not made of the sources in kernels/: run "node scripts/build-kernels.mjs"`);
  }
  for (const [file, { sha256: expected }] of Object.entries(made.files)) {
    if (sha256(readFileSync(join(shipped, file))) !== expected)
      throw new Error(`${join(shipped, file)} is not what was built`);
  }
  if (!compile) return;
  if (spawnSync("nvcc", ["--version"]).status !== 0) {
    console.log("Not compiled: there is no nvcc");
    return;
  }
  const again = await inScratch(async (folder) => (await buildDevice(folder)).made);
  if (again.nvcc !== made.nvcc)
    console.log(`Compiles; not compared, as nvcc ${made.nvcc} made what is shipped and this is ${again.nvcc}`);
  else if (JSON.stringify(again) !== JSON.stringify(made)) throw new Error(`${shipped} is not what these sources give`);
}

/** Whether this machine's processor has what g++ calls x86-64-v3. */
function hasAvx2() {
  if (process.arch !== "x64") return false;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" ") ?? [];
    return ["avx2", "fma", "f16c", "bmi2", "movbe"].every((flag) => flags.includes(flag));
  } catch {
    return false;
  }
}

/**
 * @param {string} library
 * @param {readonly string[]} only kernels, as files of kernels/; all if empty
 */
async function buildHost(library, only) {
  const compiler = process.env["CXX"] ?? "g++";
  const flags = [...HOST_FLAGS];
  // Thread-local variables at a fixed place: kernels ask for theirs all the time.
  if (process.platform === "linux") flags.push("-ftls-model=initial-exec");
  if (hasAvx2()) flags.push("-march=x86-64-v3");
  const version = await call(compiler, ["-dumpversion"]);
  const wanted = only.map((file) => `#include "${join(kernels, basename(file))}"\n`).join("");
  const hostHash = sourceHash([compiler, version, ...flags], [host]);
  const hash = sourceHash([compiler, version, ...flags, wanted], [kernels, host]);
  mkdirSync(objects, { recursive: true });
  await inScratch(async (folder) => {
    const some = join(folder, "kernels.cc");
    writeFileSync(
      some,
      `#include "${join(kernels, "platform.cuh")}"\n${wanted}#include "${join(host, "test_kernels.cuh")}"\n`,
    );
    /** @param {string} file */
    const compile = async (file) => {
      const isKernels = file === "kernels.cc";
      const object = join(objects, `${basename(file, ".cc")}-${isKernels ? hash : hostHash}.o`);
      if (existsSync(object)) return object;
      const source = isKernels && only.length > 0 ? some : join(host, file);
      const made = join(folder, basename(object));
      const stamp = file === "driver.cc" ? [`-DSOTTO_SOURCES="${hostHash}"`] : [];
      await call(compiler, [...flags, isKernels ? "-O2" : "-O3", ...stamp, "-c", source, "-o", made]);
      copyFileSync(made, `${object}.${process.pid}`);
      renameSync(`${object}.${process.pid}`, object);
      return object;
    };
    const made = await Promise.all(filesOf(host, /\.cc$/).map(compile));
    const link = process.platform === "linux" ? ["-Wl,-z,nodelete", "-Wl,-z,noexecstack"] : [];
    await call(compiler, ["-shared", "-o", join(folder, "library"), ...made, "-pthread", ...link]);
    mkdirSync(dirname(library), { recursive: true });
    // A new file: whoever has the old one open keeps it.
    rmSync(library, { force: true });
    copyFileSync(join(folder, "library"), library);
  });
  prune();
}

/** Of each file's objects the latest few stay. */
function prune() {
  const all = filesOf(objects, /\.o$/).map((file) => ({
    file,
    time: statSync(join(objects, file), { throwIfNoEntry: false })?.mtimeMs ?? 0,
  }));
  for (const name of new Set(all.map(({ file }) => file.slice(0, file.lastIndexOf("-"))))) {
    const own = all.filter(({ file }) => file.slice(0, file.lastIndexOf("-")) === name).sort((a, b) => b.time - a.time);
    for (const { file } of own.slice(6)) rmSync(join(objects, file), { force: true });
  }
}

try {
  const [option, argument, ...only] = process.argv.slice(2);
  if (option === undefined) await build();
  else if (option === "--check") await check(argument === "--compile");
  else if (option === "--host" && argument !== undefined) await buildHost(resolve(argument), only);
  else throw new Error("Usage: build-kernels.mjs [--host FILE [KERNELS.cuh ...] | --check [--compile]]");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof NoCompiler ? 2 : 1;
}
