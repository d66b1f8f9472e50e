/** The package as a user gets it: packed from this build, and installed by npm in an empty folder without any flag. */
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { stage } from "../../scripts/stage-dependencies.mjs";
import { Lookups } from "../helpers/lookups.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Installed {
  /** Folder with the project: package.json and node_modules. */
  readonly project: string;
  /** What npm printed. */
  readonly output: string;
  /** Host names that npm and the scripts that it ran asked for; null where that is not seen. */
  readonly lookups: readonly string[] | null;
}

/** npm's settings that say where packages come from stay; those of the run that this is part of do not reach the user's npm. */
function userEnvironment(): Record<string, string | undefined> {
  const kept = /^npm_config_(registry|cafile|userconfig|globalconfig|cache)$/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name) || kept.test(name)));
}

/** Runs a program in the user's project. */
export function runIn(
  folder: string,
  command: string,
  args: readonly string[],
  more: Record<string, string> = {},
): SpawnSyncReturns<string> {
  const env = { ...userEnvironment(), ...more };
  return spawnSync(command, args, { cwd: folder, encoding: "utf8", env, shell: process.platform === "win32" });
}

/** Hosts that npm is told to use: the registry's, and proxies'. */
export function npmHosts(): string[] {
  const asked = ["registry", "proxy", "https-proxy"].map((key) =>
    runIn(tmpdir(), "npm", ["config", "get", key]).stdout.trim(),
  );
  const { HTTPS_PROXY, https_proxy, HTTP_PROXY, http_proxy } = process.env;
  return [...asked, HTTPS_PROXY, https_proxy, HTTP_PROXY, http_proxy].flatMap((url) =>
    url !== undefined && URL.canParse(url) ? [new URL(url).hostname] : [],
  );
}

/** @returns the installed package, or why it cannot be installed here */
export function installPackage(): Installed | { readonly unreachable: string } {
  const scratch = mkdtempSync(join(tmpdir(), "sotto-package-"));
  // A copy: other tests run from dist/ meanwhile.
  const source = join(scratch, "source");
  mkdirSync(source);
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  for (const path of [...manifest.files.filter((file) => !file.startsWith("!")), "package.json"]) {
    cpSync(join(root, path), join(source, path), { recursive: true });
  }
  stage(join(source, "dist", "node_modules"));
  const packed = runIn(source, "npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", scratch]);
  if (packed.status !== 0) throw new Error(`npm pack failed: ${packed.stderr}`);

  const project = join(scratch, "project");
  mkdirSync(project);
  const lookups = Lookups.watch(scratch);
  runIn(project, "npm", ["init", "-y"]);
  const tarball = join(scratch, packed.stdout.trim());
  const { status, stdout, stderr } = runIn(project, "npm", ["install", tarball], lookups?.environment);
  const output = stdout + stderr;
  if (status !== 0 && /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT/.test(output)) {
    return { unreachable: "npm reaches no registry here" };
  }
  if (status !== 0) throw new Error(`npm install failed: ${output}`);
  return { project, output, lookups: lookups?.names ?? null };
}

/** Makes a package of this clone's node_modules visible in a project that has not installed it. */
export function linkPackage(project: string, name: string): void {
  const target = join(project, "node_modules", name);
  mkdirSync(join(target, ".."), { recursive: true });
  if (!existsSync(target)) symlinkSync(join(root, "node_modules", name), target, "junction");
}
