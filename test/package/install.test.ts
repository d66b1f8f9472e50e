/** What npm makes of the package: no flag, no warning that a user must act on, no host but the registry, and it works. */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { STAGED } from "../../scripts/stage-dependencies.mjs";
import { Lookups } from "../helpers/lookups.ts";
import { installPackage, npmHosts, root, runIn } from "./installed.ts";

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
});
