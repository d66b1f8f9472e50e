import { describe, expect, it } from "vitest";
import { checkImports, FOLDERS } from "./check-imports.mjs";

/** What is wrong with one line of code in a file, without the place; undefined if nothing is. */
function faultOf(path: string, code: string): string | undefined {
  const faults = checkImports([{ path, text: code }]);
  expect(faults.length).toBeLessThanOrEqual(1);
  return faults[0]?.replace(/^\S+:\d+: /, "");
}

describe("checkImports() accepts", () => {
  it.each([
    ["src/decoding/a.ts", 'import { x } from "../tokenizer/index.ts"', "a folder above, by its index"],
    ["src/features/a.ts", 'import { x } from "../audio/constants.ts"', "a file that is named"],
    ["src/features/a.ts", 'import type { x } from "../audio/index.ts"', "types of a folder that is Node's"],
    ["src/features/a.ts", 'import { x } from "./b.ts"', "a neighbour"],
    [
      "src/engine/onnxruntime/a.ts",
      'import { x } from "../token-rules.ts"',
      "the same folder, from a folder inside it",
    ],
    ["src/engine/onnxruntime/a.ts", 'import { x } from "../../model/index.ts"', "a folder above, from a folder inside"],
    ["src/onnx/a.ts", 'import { x } from "../tensor/index.ts"', "tensor, open to all"],
    ["src/tensor/a.ts", 'import { x } from "../errors.ts"', "errors.ts, open to all"],
    ["src/decoding/a.ts", 'import type { E } from "../engine/engine.ts"', "the engine's interface"],
    ["src/outputs/a.ts", 'import type { T } from "../transcription/index.ts"', "types where types are allowed"],
    ["src/outputs/a.ts", 'import type { T } from "../transcription/transcript.ts"', "an interface file"],
    ["src/outputs/a.ts", 'type T = import("../transcription/index.ts").T', "an import type in an expression of types"],
    ["src/outputs/a.ts", 'export type { T } from "../transcription/index.ts"', "a re-export of types"],
    ["src/pipeline/a.ts", 'import { x } from "../checkpoint/index.ts"', "all above the pipeline"],
    ["src/cli/a.ts", 'import { x } from "../index.ts"', "the public surface from the command line"],
    ["src/cli/a.ts", 'import { x } from "../pipeline/choices.ts"', "lists for the help, which loads no engine"],
    ["src/index.ts", 'export { x } from "./pipeline/index.ts"', "a re-export in the public surface"],
    ["src/audio/a.ts", 'import { readFile } from "node:fs/promises"', "Node where the folder is Node's"],
    ["src/audio/a.ts", "await import(name)", "an expression where packages are free"],
    ["src/tokenizer/a.ts", 'import { T } from "@huggingface/tokenizers"', "a package on the list"],
    ["src/audio/a.ts", 'workerUrl("audio/decode-worker")', "a worker of its own"],
    ["src/tensor/a.test.ts", 'import { x } from "../cli/index.ts"', "anything in a test"],
    ["test/a.ts", 'import { x } from "../src/audio/wav.ts"', "anything outside src/"],
    ["src/model/a.ts", '// import { x } from "../cli/index.ts"', "a comment"],
    ["src/model/a.ts", "const s = 'import { x } from \"../cli/index.ts\"'", "a string"],
  ])("%s: %s (%s)", (path, code) => {
    expect(faultOf(path, code)).toBeUndefined();
  });
});

describe("checkImports() names", () => {
  it.each([
    ["src/tensor/a.ts", 'import { x } from "../audio/index.ts"', 'tensor may not import "audio/index.ts", only tensor'],
    ["src/audio/a.ts", 'import { x } from "../tokenizer/index.ts"', 'audio may not import "tokenizer/index.ts"'],
    ["src/model/a.ts", 'import type { x } from "../engine/index.ts"', 'model may not import "engine/index.ts"'],
    ["src/model/a.ts", 'await import("../cli/index.ts")', 'model may not import "cli/index.ts"'],
    ["src/model/a.ts", "await import(`../cli/index.ts`)", 'model may not import "cli/index.ts"'],
    ["src/model/a.ts", 'type T = import("../cli/index.ts").T', 'model may not import "cli/index.ts"'],
    ["src/model/a.ts", 'export * from "../cli/index.ts"', 'model may not import "cli/index.ts"'],
    ["src/model/a.ts", 'import "../cli/index.ts"', 'model may not import "cli/index.ts"'],
    ["src/model/a.ts", 'const x = require("../cli/index.ts")', 'model may not import "cli/index.ts"'],
    ["src/decoding/a.ts", 'import { x } from "../engine/index.ts"', 'decoding may not import "engine/index.ts"'],
    [
      "src/decoding/a.ts",
      'import { x } from "../engine/onnxruntime/ops.ts"',
      'decoding may not import "engine/onnxruntime/ops.ts"',
    ],
    ["src/pipeline/a.ts", 'import { x } from "../audio/wav.ts"', 'imports "audio/wav.ts" past its folder\'s surface'],
    ["src/features/a.ts", 'import { x } from "../audio/index.ts"', "features may import audio only with `import type`"],
    ["src/pipeline/a.ts", 'import { x } from "../index.ts"', 'pipeline may not import "index.ts"'],
    ["src/index.ts", 'export { x } from "./cli/index.ts"', 'index.ts may not import "cli/index.ts"'],
    ["src/outputs/a.ts", 'import { x } from "../transcription/index.ts"', "outputs may import transcription only with"],
    ["src/outputs/a.ts", 'import { type X } from "../transcription/index.ts"', "outputs may import transcription only"],
    ["src/errors.ts", 'import { x } from "./tensor/index.ts"', "errors.ts is open to all and imports nothing"],
    ["src/errors.ts", 'import { x } from "node:fs"', "errors.ts is open to all and imports nothing"],
    ["src/cli/a.ts", 'import p from "../../package.json"', '"../../package.json" lies outside src/'],
    ["src/cli/a.ts", 'import { x } from "sotto/audio"', 'imports "sotto/audio", the package itself'],
    ["src/cli/a.ts", 'import { x } from "../helpers.ts"', '"helpers.ts" lies in no folder'],
    ["src/helpers.ts", "", '"helpers.ts" lies in no folder'],
    ["src/utils/a.ts", "", 'folder "utils" is not in the table'],
    ["src/features/a.ts", 'import { readFile } from "node:fs"', "features must run in a browser too"],
    ["src/features/a.ts", 'import { readFile } from "fs"', 'may not import "fs"'],
    ["src/decoding/a.ts", 'import { deflateSync } from "node:zlib"', 'may not import "node:zlib"'],
    ["src/onnx/a.ts", 'import ort from "onnxruntime-node"', 'no package, but imports "onnxruntime-node"'],
    ["src/tokenizer/a.ts", 'import z from "zod/mini"', 'only @huggingface/tokenizers, but imports "zod/mini"'],
    ["src/features/a.ts", "await import(name)", "an import() of an expression cannot be checked"],
    [
      "src/pipeline/a.ts",
      'workerUrl("audio/decode-worker")',
      'starts the worker "audio/decode-worker" of another folder',
    ],
    ["src/audio/a.ts", "workerUrl(path)", "workerUrl() of an expression cannot be checked"],
  ])("%s: %s", (path, code, fault) => {
    expect(faultOf(path, code)).toContain(fault);
  });
});

describe("checkImports()", () => {
  it("gives file and line of each fault, in order", () => {
    const files = [
      {
        path: "src/model/a.ts",
        text: '/** x */\nimport { a } from "./b.ts";\n\nexport { c } from "../cli/index.ts";\n',
      },
      { path: "src/tensor/b.ts", text: 'import {\n  a,\n} from "node:fs";\nconst b = () => import("node:os");\n' },
    ];
    expect(checkImports(files).map((fault) => fault.replace(/: .*/, ""))).toEqual([
      "src/model/a.ts:4",
      "src/tensor/b.ts:1",
      "src/tensor/b.ts:4",
    ]);
  });
});

describe("FOLDERS", () => {
  it("lets folders that run in a browser take no code from those that do not, but for single files", () => {
    const portable = new Set(FOLDERS.filter((folder) => folder.portable !== undefined).map(({ name }) => name));
    for (const { name, imports } of FOLDERS.filter((folder) => portable.has(folder.name))) {
      for (const entry of imports.filter((entry) => !/^type |\.ts$/.test(entry))) {
        expect(portable, `${name} imports ${entry}`).toContain(entry);
      }
    }
  });

  it("lets each folder import only from folders above it, so there is no circle", () => {
    const above = new Set(["index.ts"]);
    for (const { name, imports } of FOLDERS) {
      for (const entry of imports) {
        expect(above, `${name} imports ${entry}`).toContain(entry.replace(/^type /, "").replace(/\/.*/, ""));
      }
      above.add(name);
    }
  });
});
