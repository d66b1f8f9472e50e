#!/usr/bin/env node
// Checks which folder of src/ imports which: the table below is the rule, ARCHITECTURE.md explains it.
//
//   node scripts/check-imports.mjs          prints one line per offending import and exits 1, or exits 0
//
// Static, dynamic and type imports count, and so do re-exports, require() and workerUrl(). Unit tests beside the sources
// are not shipped and are not checked. Whether an imported file exists is the compiler's business.

import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/**
 * @typedef {object} Folder
 * @property {string} name
 * @property {readonly string[]} imports what it may import, all of it from folders above: `audio` is that folder's
 *   index.ts, `engine/engine.ts` that one file, and `type audio` stands for `import type` alone
 * @property {readonly string[]} [portable] set where the folder must also run in a browser: the packages it may import
 *   (they run there), and no module of Node; of a folder that is not portable only types, and the files named
 */

/** The folders, lowest first. `tensor`, `options`, errors.ts and worker-url.ts are open to all. @type {readonly Folder[]} */
export const FOLDERS = [
  { name: "tensor", imports: [], portable: [] },
  { name: "schemas", imports: [], portable: ["zod"] },
  { name: "options", imports: [], portable: [] },
  { name: "safetensors", imports: [], portable: [] },
  { name: "wasm", imports: [], portable: [] },

  { name: "files", imports: [] },
  { name: "network", imports: [] },
  { name: "audio", imports: ["network", "wasm"] },
  { name: "tokenizer", imports: [], portable: ["@huggingface/tokenizers"] },
  { name: "onnx", imports: [], portable: [] },
  { name: "hub", imports: ["files", "network"] },

  { name: "features", imports: ["type audio", "audio/constants.ts"], portable: [] },
  { name: "vad", imports: ["safetensors", "wasm"], portable: [] },
  { name: "model", imports: [], portable: [] },

  { name: "checkpoint", imports: ["model", "hub", "safetensors"] },
  { name: "engine", imports: ["files", "features", "model", "onnx"] },

  {
    name: "scheduling",
    imports: ["model", "engine/engine.ts", "engine/checks.ts", "engine/generation.ts", "engine/kept-audio.ts"],
    portable: [],
  },

  {
    name: "decoding",
    imports: ["tokenizer", "model", "engine/engine.ts", "engine/token-rules.ts", "engine/token-scores.ts"],
    portable: [],
  },

  {
    name: "alignment",
    imports: ["tokenizer", "model", "engine/engine.ts", "decoding"],
    portable: [],
  },

  {
    name: "transcription",
    imports: [
      ...["type audio", "audio/constants.ts", "tokenizer", "features", "vad", "model", "engine/engine.ts", "decoding"],
      "alignment",
    ],
    portable: [],
  },

  {
    name: "live",
    imports: [
      ...[
        "audio",
        "audio/constants.ts",
        "audio/g711.ts",
        "audio/unit-scale.ts",
        "tokenizer",
        "features",
        "vad",
        "model",
        "engine/engine.ts",
      ],
      ...["decoding", "alignment", "transcription"],
    ],
  },

  { name: "outputs", imports: ["type transcription"], portable: [] },
  { name: "evaluation", imports: [], portable: [] },

  {
    name: "pipeline",
    imports: [
      ...["audio", "tokenizer", "onnx", "hub", "features", "vad", "model", "checkpoint", "engine", "scheduling"],
      ...["decoding", "transcription", "outputs"],
    ],
  },

  {
    name: "server",
    imports: [
      ...[
        "files",
        "audio",
        "tokenizer",
        "hub",
        "features",
        "vad",
        "model",
        "checkpoint",
        "engine",
        "scheduling",
        "decoding",
      ],
      ...["alignment", "transcription", "live", "outputs", "pipeline", "pipeline/choices.ts", "tokenizer/task.ts"],
      ...["audio/private-address.ts", "audio/download.ts"],
    ],
  },

  {
    name: "cli",
    imports: [
      ...["index.ts", "files", "audio", "tokenizer", "onnx", "hub", "features", "vad", "model", "checkpoint", "engine"],
      ...["decoding", "alignment", "transcription", "live", "outputs", "evaluation", "pipeline", "server"],
      ...["pipeline/choices.ts", "tokenizer/task.ts", "server/config-fields.ts"],
    ],
  },
];

/** Files that whoever may import their folder may import without its index.ts, because they hold an interface alone. */
export const INTERFACES = [
  "engine/engine.ts",
  "engine/token-rules.ts",
  "engine/token-scores.ts",
  "transcription/transcript.ts",
];

const OPEN_TO_ALL = ["errors.ts", "worker-url.ts"];
const OPEN_FOLDERS = ["tensor", "options"];
const PACKAGE = "sotto";

/**
 * Finds the imports that break the rule.
 *
 * @param {readonly { path: string, text: string }[]} files paths from the repository's root: `src/audio/wav.ts`
 * @returns {string[]} one line each, `path:line: what is wrong`, in the files' order
 */
export function checkImports(files) {
  return files
    .filter(({ path }) => /^src\/.*\.[cm]?tsx?$/.test(path) && !/\.test\.[cm]?tsx?$/.test(path))
    .flatMap(({ path, text }) => {
      const from = path.slice("src/".length);
      const fault = faultOfFile(from);
      if (fault !== undefined) return [`${path}:1: ${fault}`];
      return importsOf(path, text).flatMap((found) => {
        const reason = found.kind === "worker" ? faultOfWorker(from, found) : faultOfImport(from, found);
        return reason === undefined ? [] : [`${path}:${found.line}: ${reason}`];
      });
    });
}

/**
 * @typedef {object} Import
 * @property {string | undefined} specifier undefined where it is an expression, known only when it runs
 * @property {"type" | "value" | "worker"} kind
 * @property {number} line from 1
 */

/** @param {string} from path below src/ */
function faultOfFile(from) {
  if (!from.includes("/")) {
    return from === "index.ts" || OPEN_TO_ALL.includes(from)
      ? undefined
      : `"${from}" lies in no folder; only index.ts, ${OPEN_TO_ALL.join(" and ")} do`;
  }
  const name = folderOf(from);
  return FOLDERS.some((folder) => folder.name === name)
    ? undefined
    : `folder "${name}" is not in the table of scripts/check-imports.mjs`;
}

/** @param {string} from @param {Import} found */
function faultOfImport(from, { specifier, kind }) {
  const folder = FOLDERS.find(({ name }) => name === folderOf(from));
  if (specifier === undefined) {
    return folder?.portable ? "an import() of an expression cannot be checked; write the module's name" : undefined;
  }
  if (!specifier.startsWith(".")) return faultOfPackage(from, folder, specifier);

  const to = posix.normalize(posix.join(posix.dirname(from), specifier));
  if (to.startsWith("../")) return `"${specifier}" lies outside src/`;
  if (folder !== undefined && folderOf(to) === folder.name) return undefined;
  if (OPEN_TO_ALL.includes(from)) return `${from} is open to all and imports nothing, but imports "${to}"`;
  if (OPEN_TO_ALL.includes(to)) return undefined;
  if (to !== "index.ts" && !to.includes("/")) return `"${to}" lies in no folder`;

  const target = folderOf(to) || to;
  const isEntry = to === "index.ts" || to === `${target}/index.ts`;
  const granted = grantsOf(from, folder);
  const typeOnly = kind === "type";
  /** @param {string} name */
  const has = (name) => granted.includes(name) || (typeOnly && granted.includes(`type ${name}`));

  if (has(to)) return undefined;
  if (has(target)) {
    if (isEntry || INTERFACES.includes(to)) return undefined;
    return `imports "${to}" past its folder's surface, expected "${target}/index.ts"`;
  }
  const who = folder?.name ?? from;
  if (granted.includes(`type ${target}`)) return `${who} may import ${target} only with \`import type\``;
  return `${who} may not import "${to}", only ${[...OPEN_FOLDERS, ...granted.filter((name) => !OPEN_FOLDERS.includes(name)), ...OPEN_TO_ALL].join(", ")}`;
}

/** @param {string} from @param {Folder | undefined} folder @param {string} specifier */
function faultOfPackage(from, folder, specifier) {
  if (specifier === PACKAGE || specifier.startsWith(`${PACKAGE}/`)) return `imports "${specifier}", the package itself`;
  if (OPEN_TO_ALL.includes(from)) return `${from} is open to all and imports nothing, but imports "${specifier}"`;
  if (folder?.portable === undefined) return undefined;
  if (isBuiltin(specifier)) {
    return `${folder.name} must run in a browser too and may not import "${specifier}"`;
  }
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (folder.portable.includes(name)) return undefined;
  const allowed = folder.portable.length === 0 ? "no package" : `only ${folder.portable.join(", ")}`;
  return `${folder.name} must run in a browser too and may import ${allowed}, but imports "${specifier}"`;
}

/** @param {string} from @param {Import} found */
function faultOfWorker(from, { specifier }) {
  if (specifier === undefined) return "workerUrl() of an expression cannot be checked; write the script's path";
  const folder = folderOf(from);
  return specifier.startsWith(`${folder}/`)
    ? undefined
    : `starts the worker "${specifier}" of another folder than its own, ${folder}`;
}

/** @param {string} from @param {Folder | undefined} folder undefined for src/index.ts */
function grantsOf(from, folder) {
  if (folder !== undefined) return OPEN_FOLDERS.includes(folder.name) ? [] : [...OPEN_FOLDERS, ...folder.imports];
  return FOLDERS.map(({ name }) => name).filter((name) => name !== "cli");
}

/** @param {string} path below src/ */
function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

/** @param {string} path @param {string} text @returns {Import[]} in the order of the text */
function importsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  /** @type {Import[]} */
  const found = [];
  /** @param {ts.Node} node @param {ts.Node | undefined} specifier @param {Import["kind"]} kind */
  const add = (node, specifier, kind) => {
    const literal = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : undefined;
    const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
    found.push({ specifier: literal, kind, line });
  };
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      // `import { type A } from` still loads the module under verbatimModuleSyntax: only `import type` is of types alone.
      add(node, node.moduleSpecifier, node.importClause?.isTypeOnly ? "type" : "value");
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node, node.moduleSpecifier, node.isTypeOnly ? "type" : "value");
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, "type");
    } else if (ts.isExternalModuleReference(node)) {
      add(node, node.expression, "value");
    } else if (ts.isCallExpression(node)) {
      const callee = node.expression;
      if (callee.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0], "value");
      else if (ts.isIdentifier(callee) && callee.text === "require") add(node, node.arguments[0], "value");
      else if (ts.isIdentifier(callee) && callee.text === "workerUrl") add(node, node.arguments[0], "worker");
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** @param {string} root folder that holds src/ */
function readSources(root) {
  return readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: relative(root, path).split(sep).join("/"), text: readFileSync(path, "utf8") }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const faults = checkImports(readSources(fileURLToPath(new URL("..", import.meta.url))));
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) {
    console.error(`${faults.length} ${faults.length === 1 ? "import breaks" : "imports break"} the rule`);
    process.exitCode = 1;
  }
}
