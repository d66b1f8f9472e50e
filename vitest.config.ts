import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const TESTS = ["src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts", "examples/**/*.test.ts"];

/**
 * What computes for long: models in full, emulated GPUs, servers and pages under load. A file whose tests take more than ten seconds of CPU time
 * belongs here. `npm test` runs all, `npm run test:fast` what is not here.
 */
const SLOW = [
  "examples/**",
  "src/live/live-session.test.ts",
  "src/pipeline/{model,pipeline,vad}.test.ts",
  "test/contract/{cpu,cuda,scheduler}.test.ts",
  "test/cuda/**",
  "test/golden/{decoding,engine-golden,int8-accuracy,transcribe,words}.test.ts",
  "test/native/**",
  "test/real/**",
  "test/server/{fuzz,jobs}.test.ts",
  "test/web/{page,server}.test.ts",
];

export default defineConfig({
  test: {
    // Tests load models and start workers: few files at once.
    maxWorkers: 2,
    // Against tests that hang; no race against the clock of a busy machine, where a minute's work on a stand-in for a GPU can take five.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // Packed weights of the tests stay out of the user's cache.
    env: { SOTTO_CACHE: fileURLToPath(new URL("./node_modules/.cache/sotto", import.meta.url)) },
    reporters: ["default", "./scripts/test-reporter.mjs"],
    projects: [
      { extends: true, test: { name: "fast", include: TESTS, exclude: [...configDefaults.exclude, ...SLOW] } },
      {
        extends: true,
        test: { name: "slow", include: SLOW.map((pattern) => pattern.replace(/\*\*$/, "**/*.test.ts")) },
      },
    ],
  },
});
