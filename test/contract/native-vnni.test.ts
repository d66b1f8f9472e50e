/** The native engine without AMX tiles, on whatever machine has AVX-512 VNNI: processors before Sapphire Rapids, and AMD's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createCpuEngine } from "../../src/engine/index.ts";
import { engineContract } from "./engine-contract.ts";

process.env["SOTTO_ISA"] = "avx512-vnni"; // read when the addon is loaded, once in this process
const { loadKernels } = await import("../../src/engine/native/index.ts");

const cacheDir = mkdtempSync(join(tmpdir(), "sotto-cache-"));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

const native = loadKernels();
if ("kernels" in native) {
  it("runs without tiles", () => expect(native.kernels.isa).toBe("avx512-vnni"));
  engineContract("native, avx512-vnni", (source) => createCpuEngine(source, { kernels: "native", cacheDir }), {
    againstReference: 0.2,
    skip: { "generate() gives the reference engine's tokens": "int8 rounds: other tokens are no defect" },
  });
} else {
  it("engine contract: native, avx512-vnni", (context) => context.skip(`no native kernels: ${native.reason}`));
}
