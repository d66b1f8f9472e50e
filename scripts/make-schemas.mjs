#!/usr/bin/env node
// Writes docs/schemas/*.json from src/schemas. Needs a build: it reads dist/schemas.
//
//   node scripts/make-schemas.mjs           docs/schemas/NAME.json
//   node scripts/make-schemas.mjs --check   prints one line per file that differs and exits 1, or exits 0

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { z } from "zod";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "docs", "schemas");

/** A schema as its file has it. @param {import("zod").ZodType} schema */
export function schemaText(schema) {
  return `${JSON.stringify(z.toJSONSchema(schema), null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { SCHEMAS } = await import(pathToFileURL(join(root, "dist", "schemas", "index.js")).href);
  const files = new Map(Object.entries(SCHEMAS).map(([name, schema]) => [`${name}.json`, schemaText(schema)]));
  mkdirSync(folder, { recursive: true });
  const found = readdirSync(folder);
  const stale = [...new Set([...files.keys(), ...found])].filter(
    (file) => !found.includes(file) || readFileSync(join(folder, file), "utf8") !== files.get(file),
  );
  if (process.argv.includes("--check")) {
    for (const file of stale)
      console.error(`docs/schemas/${file} is not what src/schemas says: run node scripts/make-schemas.mjs`);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const file of stale) {
      const text = files.get(file);
      if (text === undefined) rmSync(join(folder, file));
      else writeFileSync(join(folder, file), text);
    }
  }
}
