import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { createCpuEngine } from "../../src/engine/index.ts";
import { createReferenceEngine } from "../../src/engine/reference/index.ts";
import { engineGolden } from "./engine-golden.ts";

const cacheDir = mkdtempSync(join(tmpdir(), "sotto-cache-"));
afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

engineGolden("cpu float32", (source) => createCpuEngine(source, { dtype: "float32", cacheDir }));

// One recording: plain loops take some seconds a window.
engineGolden("reference", createReferenceEngine, { recordings: ["en-short"] });
