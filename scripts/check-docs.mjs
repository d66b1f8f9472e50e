#!/usr/bin/env node
// Checks the Markdown pages: relative links lead to a file, anchors to a heading, and TypeScript snippets compile against the
// built package. Links to other sites are not followed.
//
//   node scripts/check-docs.mjs          prints one line per fault and exits 1, or exits 0

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** @typedef {{ readonly path: string, readonly text: string }} Page path from the repository's root, with "/" */

/**
 * Finds links that lead nowhere.
 *
 * @param {readonly Page[]} pages
 * @param {(path: string) => boolean} exists whether a file or folder is there
 * @returns {string[]} one line each: `path:line: what is wrong`
 */
export function checkLinks(pages, exists) {
  const headings = new Map(pages.map(({ path, text }) => [path, anchorsOf(text)]));
  return pages.flatMap(({ path, text }) => {
    /** @type {string[]} */
    const faults = [];
    withoutFences(text).forEach((line, i) => {
      for (const [, target] of line.replace(/`[^`]*`/g, "``").matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/i.test(target)) continue;
        const [file, anchor] = target.split("#");
        const to = file === "" ? path : posix.normalize(posix.join(posix.dirname(path), decodeURI(file)));
        if (to.startsWith("../")) faults.push(`${path}:${i + 1}: link "${target}" leaves the repository`);
        else if (!exists(to)) faults.push(`${path}:${i + 1}: link "${target}" leads to no file`);
        else if (anchor !== undefined && headings.get(to)?.has(anchor) === false) {
          faults.push(`${path}:${i + 1}: link "${target}" leads to no heading of ${to}`);
        }
      }
    });
    return faults;
  });
}

/**
 * The snippets marked `ts` of a page.
 *
 * @param {Page} page
 * @returns {{ line: number, code: string }[]} `line` of the page where the code begins
 */
export function snippetsOf({ text }) {
  const lines = text.split("\n");
  /** @type {{ line: number, code: string }[]} */
  const snippets = [];
  for (let i = 0; i < lines.length; i++) {
    const fence = /^(\s*)```(\w*)/.exec(lines[i]);
    if (fence === null) continue;
    const begin = i + 1;
    for (i = begin; i < lines.length && !lines[i].startsWith(`${fence[1]}\`\`\``); i++);
    if (fence[2] === "ts") snippets.push({ line: begin + 1, code: lines.slice(begin, i).join("\n") });
  }
  return snippets;
}

/**
 * Compiles snippets as modules in the repository's root, strictly, so that `import "sotto"` is the built package.
 *
 * @param {string} root
 * @param {readonly Page[]} pages
 * @returns {string[]} one line for each error of the compiler
 */
export function checkSnippets(root, pages) {
  const files = new Map(
    pages.flatMap((page) =>
      snippetsOf(page).map(({ line, code }) => [join(root, `${page.path}.${line}.snippet.mts`), { page, line, code }]),
    ),
  );
  if (files.size === 0) return [];
  /** @type {ts.CompilerOptions} */
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts"], // Node's own types say what it has of the web's
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name)?.code ?? readFile(name);
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const file = files.get(name);
    return file === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, file.code, languageVersion);
  };
  host.getCurrentDirectory = () => root;
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const snippet = file && files.get(file.fileName);
    const message = ts.flattenDiagnosticMessageText(messageText, " ");
    if (file === undefined || snippet === undefined) return message;
    return `${snippet.page.path}:${snippet.line + file.getLineAndCharacterOfPosition(start ?? 0).line}: ${message}`;
  });
}

/** @param {string} text @returns {Set<string>} as web sites that show Markdown name headings */
function anchorsOf(text) {
  const anchors = new Set();
  for (const line of withoutFences(text)) {
    const heading = /^#{1,6}\s+(.*)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    anchors.add(
      words
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replace(/\s/g, "-"),
    );
  }
  return anchors;
}

/** @param {string} text @returns {string[]} its lines, those within fences empty */
function withoutFences(text) {
  let inside = false;
  return text.split("\n").map((line) => {
    const fence = /^\s*```/.test(line);
    if (fence) inside = !inside;
    return inside || fence ? "" : line;
  });
}

/** @param {string} root @returns {Page[]} */
function readPages(root) {
  const skipped = new Set(["node_modules", "dist", "coverage", ".git", ".cache"]);
  /** @param {string} folder @returns {string[]} */
  const list = (folder) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return skipped.has(entry.name) ? [] : list(path);
      return entry.name.endsWith(".md") ? [path] : [];
    });
  return list(root)
    .sort()
    .map((path) => ({ path: relative(root, path).split(sep).join("/"), text: readFileSync(path, "utf8") }));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");
  const pages = readPages(root);
  const faults = [...checkLinks(pages, (path) => existsSync(join(root, path))), ...checkSnippets(root, pages)];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exitCode = 1;
}
