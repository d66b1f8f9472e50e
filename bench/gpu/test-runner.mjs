// Runs the kernels' tests and the engines' contract where there is no vitest: the part of its interface that they use. The tests are the same files,
// compiled by bundle.mjs to compiled-tests/. Each file has a process of its own, as a kernel that goes wrong takes its process with it.
//
//   node bench/gpu/test-runner.mjs [part of a file's or test's name]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

class Skipped extends Error {}

const suiteOf = (name) => ({ name, entries: [], before: [], after: [] });

let suite = suiteOf("");

/** Titles name fields of their case, $suffix, or take its values in order: %s. */
function title(name, given) {
  const named = name.replace(/\$(\w+)/g, (all, field) => (field in Object(given) ? String(given[field]) : all));
  const values = Array.isArray(given) ? [...given] : [given];
  return named.replace(/%[sdo]/g, () => show(values.shift()));
}

export function describe(name, body) {
  const outer = suite;
  suite = suiteOf(name);
  body();
  outer.entries.push(suite);
  suite = outer;
}
describe.each = (cases) => (name, body) => {
  for (const given of cases) describe(title(name, given), () => body(given));
};

export function it(name, body) {
  suite.entries.push({ name, body });
}
it.for = (cases) => (name, body) => {
  for (const given of cases) it(title(name, given), (context) => body(given, context));
};
it.each = (cases) => (name, body) => {
  for (const given of cases) it(title(name, given), () => body(given));
};
export const test = it;
export const beforeAll = (body) => suite.before.push(body);
export const afterAll = (body) => suite.after.push(body);

const show = (value) => {
  if (isList(value)) return `[${Array.from(value.slice(0, 20), show).join(", ")}${value.length > 20 ? ", ..." : ""}]`;
  const isPlain = isRecord(value) && !(value instanceof RegExp || value instanceof Error);
  const text = isPlain ? JSON.stringify(value) : typeof value === "function" ? value.name : String(value);
  return text.length > 300 ? `${text.slice(0, 300)} ...` : text;
};

const isList = (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);
const isRecord = (value) => value !== null && typeof value === "object";

/**
 * Whether two values say the same, whatever their types; fields that are undefined count as missing.
 *
 * @param partly `a` may have fields that `b` lacks
 */
function equal(a, b, partly = false) {
  if (isList(a) && isList(b)) return a.length === b.length && a.every((value, i) => equal(value, b[i], partly));
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b);
  if (a instanceof Map || a instanceof Set) return b.constructor === a.constructor && equal([...a], [...b], partly);
  const names = new Set([...(partly ? [] : Object.keys(a)), ...Object.keys(b)]);
  return [...names].every((name) => equal(a[name], b[name], partly));
}

function isThrown(error, expected) {
  if (expected === undefined) return true;
  if (typeof expected === "function") return error instanceof expected;
  if (expected instanceof Error) return error.message === expected.message;
  return expected instanceof RegExp ? expected.test(error.message) : error.message.includes(expected);
}

const MATCHERS = {
  toBe: (actual, expected) => Object.is(actual, expected),
  toEqual: (actual, expected) => equal(actual, expected),
  toStrictEqual: (actual, expected) => equal(actual, expected),
  toMatchObject: (actual, expected) => equal(actual, expected, true),
  toBeLessThan: (actual, expected) => actual < expected,
  toBeLessThanOrEqual: (actual, expected) => actual <= expected,
  toBeGreaterThan: (actual, expected) => actual > expected,
  toBeGreaterThanOrEqual: (actual, expected) => actual >= expected,
  toBeCloseTo: (actual, expected, places = 2) => Math.abs(actual - expected) < 10 ** -places / 2,
  toBeNaN: (actual) => Number.isNaN(actual),
  toBeNull: (actual) => actual === null,
  toBeUndefined: (actual) => actual === undefined,
  toBeDefined: (actual) => actual !== undefined,
  toBeInstanceOf: (actual, expected) => actual instanceof expected,
  toHaveLength: (actual, expected) => actual.length === expected,
  toContain: (actual, expected) => actual.includes(expected),
  toMatch: (actual, expected) => (typeof expected === "string" ? actual.includes(expected) : expected.test(actual)),
  toThrow: (actual, expected) => {
    try {
      actual();
    } catch (error) {
      return isThrown(error, expected);
    }
    return false;
  },
};

export function expect(actual, message) {
  const matchers = (wanted) =>
    Object.fromEntries(
      Object.entries(MATCHERS).map(([name, matches]) => [
        name,
        (...expected) => {
          if (matches(actual, ...expected) === wanted) return;
          const what = `${wanted ? "" : "not "}${name}(${expected.map(show).join(", ")})`;
          throw new Error(`${message === undefined ? "" : `${message}: `}expected ${show(actual)} ${what}`);
        },
      ]),
    );
  const rejected = async () => {
    try {
      await (typeof actual === "function" ? actual() : actual);
    } catch (error) {
      return error;
    }
    throw new Error(`${message ?? ""}: expected a rejection`);
  };
  return {
    ...matchers(true),
    not: matchers(false),
    rejects: {
      toThrow: async (expected) => {
        const error = await rejected();
        if (!isThrown(error, expected))
          throw new Error(`${message ?? ""}: rejected with ${error}, expected ${show(expected)}`);
      },
    },
  };
}

async function run(entry, path, filter, counts) {
  const name = path === "" ? entry.name : `${path} > ${entry.name}`;
  if ("entries" in entry) {
    for (const body of entry.before) await body();
    for (const one of entry.entries) await run(one, name, filter, counts);
    for (const body of entry.after) await body();
    return;
  }
  if (!name.includes(filter)) return;
  const context = {
    skip: (reason) => {
      throw new Skipped(reason);
    },
  };
  try {
    await entry.body(context);
    counts.passed++;
  } catch (error) {
    if (error instanceof Skipped) {
      counts.skipped++;
      return;
    }
    counts.failed.push(name);
    console.log(`FAILED ${name}\n  ${error.stack ?? error}`);
  }
}

const folder = new URL("../../compiled-tests/", import.meta.url);

/** Runs one file's tests here, and says how many there were. */
async function runFile(file, filter) {
  const counts = { passed: 0, skipped: 0, failed: [] };
  suite = suiteOf(file);
  await import(new URL(file, folder).href);
  await run(suite, "", filter, counts);
  console.log(JSON.stringify(counts));
  process.exit(counts.failed.length > 0 ? 1 : 0);
}

async function main() {
  const [first = "", second] = process.argv.slice(2);
  if (first === "--file") return runFile(second, process.argv[4] ?? "");
  const total = { passed: 0, skipped: 0, failed: [] };
  const files = readdirSync(fileURLToPath(folder), { recursive: true })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".test.js"));
  const named = files.filter((file) => file.includes(first));
  for (const file of (named.length > 0 ? named : files).sort()) {
    const started = performance.now();
    const args = [fileURLToPath(import.meta.url), "--file", file, named.length > 0 ? "" : first];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (text) => (output += text));
    const [status] = await once(child, "close");
    const lines = output.trim().split("\n");
    const counts = lines.at(-1).startsWith("{") ? JSON.parse(lines.pop()) : { passed: 0, skipped: 0, failed: [file] };
    if (lines.length > 0 && status !== 0) console.log(lines.join("\n"));
    for (const key of ["passed", "skipped"]) total[key] += counts[key];
    total.failed.push(...counts.failed);
    const said = `${counts.passed} passed, ${counts.skipped} skipped, ${counts.failed.length} failed`;
    console.log(`${file}: ${said}, ${((performance.now() - started) / 1e3).toFixed(1)} s`);
  }
  console.log(JSON.stringify({ ...total, failed: total.failed.length }));
  process.exit(total.failed.length > 0 || total.passed === 0 ? 1 : 0);
}

// Not awaited: the tests import this module, and would wait for its end.
if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}
