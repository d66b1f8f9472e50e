import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "scripts/**/*.test.ts", "examples/**/*.test.ts"],
    // Tests load models and start workers: few files at once.
    maxWorkers: 2,
    // Against tests that hang; no race against the clock of a busy machine, where a minute's work on a stand-in for a GPU can take five.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    // Packed weights of the tests stay out of the user's cache.
    env: { SOTTO_CACHE: fileURLToPath(new URL("./node_modules/.cache/sotto", import.meta.url)) },
    reporters: ["default", "./scripts/test-reporter.mjs"],
  },
});
