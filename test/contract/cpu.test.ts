import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, it } from "vitest";
import { createCpuEngine } from "../../src/engine/index.ts";
import { loadKernels } from "../../src/engine/native/index.ts";
import { engineContract } from "./engine-contract.ts";

const cacheDir = mkdtempSync(join(tmpdir(), "sotto-cache-"));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

for (const workers of [1, 2]) {
  engineContract(`onnxruntime float32, ${workers} workers`, (source) =>
    createCpuEngine(source, { dtype: "float32", workers, cacheDir }),
  );
}

const skip = { "generate() gives the reference engine's tokens": "int8 rounds: other tokens are no defect" };

// A value that lies between two 8-bit steps may be rounded either way after a float32 rounding, so int8 agrees with itself
// within a step (1/127 of a row's largest value, diluted over the row), and with float32 within several percent on models of
// random weights (trained ones: docs/engines.md).
engineContract("onnxruntime int8", (source) => createCpuEngine(source, { kernels: "onnxruntime", cacheDir }), {
  againstReference: 0.2,
  againstItself: 0.01,
  skip,
});

// A row is quantised by itself and integer sums are exact, so the native engine agrees with itself to the last bits.
const native = loadKernels();
if ("kernels" in native) {
  for (const threads of [1, 3]) {
    engineContract(
      `native, ${threads} threads`,
      (source) => createCpuEngine(source, { kernels: "native", threads, cacheDir }),
      { againstReference: 0.2, skip },
    );
  }
} else {
  it("engine contract: native", (context) => context.skip(`no native kernels: ${native.reason}`));
}
