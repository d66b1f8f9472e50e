import { describe, expect, it } from "vitest";
import * as sotto from "../index.ts";
import { ALGORITHMS, DEFAULT_MODEL, DEVICES, DTYPES, TASKS } from "./options.ts";

describe("the values of flags", () => {
  it.each([
    ["devices", DEVICES, sotto.DEVICES],
    ["dtypes", DTYPES, sotto.DTYPES],
    ["algorithms", ALGORITHMS, sotto.ALGORITHMS],
    ["tasks", TASKS, sotto.TASKS],
  ])("%s are those of the library", (_what, ours, theirs) => {
    expect([...ours].sort()).toEqual([...theirs].sort());
  });

  it("the default model is the bundled one", () => {
    expect(sotto.MODELS.find(({ name }) => name === DEFAULT_MODEL)?.repository).toBeNull();
  });
});
