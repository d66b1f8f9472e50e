// What the stages of the GPU benchmark have in common: their flags, and where results go. Everything is kept in one file, gpu.json, and the
// tables in another, gpu.txt, in the folder $OUT, or bench/results/ where that is not set.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Tiny shapes and few runs: to exercise the scripts without a GPU. */
export const isSmall = process.argv.includes("--small");

/** The value of `--name=value`. */
export function flag(name, fallback) {
  const given = process.argv.find((argument) => argument.startsWith(`--${name}=`));
  return given === undefined ? fallback : given.slice(name.length + 3);
}

const folder = process.env.OUT || fileURLToPath(new URL("../results/", import.meta.url));
const results = join(folder, "gpu.json");

const readResults = () => (existsSync(results) ? JSON.parse(readFileSync(results, "utf8")) : {});

const STAGES = ["check", "ceilings", "kernels", "table", "peers"];

/** What a stage has measured before with shapes of this size, or null. */
export function loadResult(stage) {
  const result = readResults()[stage];
  return result?.small === isSmall ? result : null;
}

/**
 * Keeps what a stage has measured until now; `print` it when that is all.
 *
 * @param {{ title: string, columns: string[], rows: (string | number)[][] }[]} tables
 */
export function save(stage, value, tables, print = true) {
  mkdirSync(folder, { recursive: true });
  const all = readResults();
  const text = tables.map(layOut).join("\n");
  all[stage] = { ...value, small: isSmall, date: new Date().toISOString(), tables: text };
  writeFileSync(results, `${JSON.stringify(all, null, 1)}\n`);
  const texts = STAGES.flatMap((name) => (all[name] === undefined ? [] : [all[name].tables]));
  writeFileSync(join(folder, "gpu.txt"), texts.join("\n"));
  if (print) console.log(`\n${text}`);
}

function layOut({ title, columns, rows }) {
  const cells = [columns, ...rows].map((row) => row.map(String));
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)));
  const lines = cells.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd(),
  );
  return `${title}\n${lines.join("\n")}\n`;
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

export const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(0)}%` : "");

/** So many digits that count. */
export const digits = (value, count = 3) =>
  value >= 10 ** count ? value.toFixed(0) : Number.isFinite(value) ? String(Number(value.toPrecision(count))) : "";
