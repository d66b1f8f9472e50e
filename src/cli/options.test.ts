import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const SOURCES = fileURLToPath(new URL("../", import.meta.url));

/** What a module of src/ loads before it runs, and what that loads ...: files below src/, and packages. Types load nothing. */
function loadedBy(file: string): { files: Set<string>; packages: Set<string> } {
  const [files, packages] = [new Set<string>(), new Set<string>()];
  const visit = (path: string): void => {
    const name = relative(SOURCES, path);
    if (files.has(name)) return;
    files.add(name);
    const imports = /^(?:import|export)\s(?!type\b)(?:[^;"]*?\sfrom\s)?\s*"([^"]+)";/gm;
    for (const [, specifier] of readFileSync(path, "utf8").matchAll(imports)) {
      if (specifier.startsWith(".")) visit(join(path, "..", specifier));
      else packages.add(specifier);
    }
  };
  visit(join(SOURCES, file));
  return { files, packages };
}

describe("the command line", () => {
  it("loads no engine, no audio and no model for its help and for flags that are wrong", () => {
    const { files, packages } = loadedBy("cli/main.ts");
    expect(files).toContain("cli/options.ts");
    const others = [...files].filter((name) => !/^(cli|options|outputs|tensor)\//.test(name));
    expect(others.sort()).toEqual(["errors.ts", "pipeline/choices.ts", "server/config-fields.ts", "tokenizer/task.ts"]);
    expect([...packages].filter((name) => !name.startsWith("node:")).sort()).toEqual(["commander", "picocolors"]);
    // What the walk sees where an engine is loaded.
    expect(loadedBy("pipeline/index.ts").files).toContain("engine/index.ts");
  });
});
