import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OptionError } from "../errors.ts";
import { CONFIG_FIELDS, flagOf, variableOf } from "./config-fields.ts";
import { readConfig, resolveConfig, type ServerOptions } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "sotto-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fileOf = (content: string): string => {
  const path = join(folder, "server.json");
  writeFileSync(path, content);
  return path;
};

describe("resolveConfig()", () => {
  it("has defaults for everything that needs one", () => {
    expect(resolveConfig()).toMatchObject({
      host: "127.0.0.1",
      port: 8000,
      models: ["base"],
      maxUploadBytes: 2 ** 30,
      maxSeconds: 7200,
      apiKeys: [],
      allowPrivateAddresses: false,
    });
  });

  it.each([
    [{ prot: 1 }, 'Unknown option "prot" of the server, expected one of host, port'],
    [{ port: 70000 }, 'Cannot use "70000" as option "port": too big'],
    [{ models: [] }, 'as option "models"'],
    [{ device: "gpu" }, 'Cannot use "gpu" as option "device": expected one of auto, cpu, cuda, reference'],
    [{ maxSeconds: -1 }, 'as option "maxSeconds"'],
  ])("refuses %j", (options, message) => {
    expect(() => resolveConfig(options as ServerOptions)).toThrow(OptionError);
    expect(() => resolveConfig(options as ServerOptions)).toThrow(message);
  });

  it("takes the second GPU by its number", () => {
    expect(resolveConfig({ device: "cuda:1" }).device).toBe("cuda:1");
  });

  it("knows every field that the command line offers, and no other", () => {
    const known = new Set(CONFIG_FIELDS.map(({ key }) => key as string));
    const required = Object.keys(resolveConfig());
    expect(required.filter((key) => !known.has(key))).toEqual([]);
    for (const { key } of CONFIG_FIELDS) {
      // An unknown name has another message than a wrong value.
      expect(() => resolveConfig({ [key]: {} } as ServerOptions), key).toThrow(`as option "${key}"`);
    }
  });
});

describe("readConfig()", () => {
  it("takes flags before variables, and variables before the file", async () => {
    const file = fileOf('{"port": 1, "maxQueue": 1, "threads": 1, "models": ["tiny", "base"]}');
    const environment = { SOTTO_PORT: "2", SOTTO_MAX_QUEUE: "2", SOTTO_HOST: "", SOTTO_OTHER: "x" };
    const config = await readConfig({ flags: { port: "3" }, environment, file });
    expect(config).toMatchObject({ port: 3, maxQueue: 2, threads: 1, models: ["tiny", "base"], host: "127.0.0.1" });
  });

  it("reads words by the field's kind", async () => {
    const flags = { offline: true, trustProxy: "no", models: "tiny, base ,", maxSeconds: "1.5" } as const;
    expect(await readConfig({ flags })).toMatchObject({
      offline: true,
      trustProxy: false,
      models: ["tiny", "base"],
      maxSeconds: 1.5,
    });
  });

  it.each([
    [{ flags: { port: "many" } }, 'Cannot use "many" as option "port": expected a number'],
    [{ flags: { port: "0x10" } }, 'Cannot use "0x10" as option "port": expected a number'],
    [{ flags: { offline: "perhaps" } }, "expected true or false"],
    [{ environment: { SOTTO_DEVICE: "gpu" } }, 'Cannot use "gpu" as option "device"'],
    [{ file: "/nowhere/server.json" }, 'Cannot read configuration "/nowhere/server.json"'],
  ])("refuses %j", async (sources, message) => {
    await expect(readConfig(sources)).rejects.toThrow(OptionError);
    await expect(readConfig(sources)).rejects.toThrow(message);
  });

  it.each(["[]", "1", "{"])("refuses a file with %s", async (content) => {
    await expect(readConfig({ file: fileOf(content) })).rejects.toThrow("Cannot read configuration");
  });
});

describe("names", () => {
  it("of flags and variables are those of fields, in their own spelling", () => {
    expect([flagOf({ key: "maxQueue" }), variableOf({ key: "maxQueue" })]).toEqual(["max_queue", "SOTTO_MAX_QUEUE"]);
    expect(flagOf({ key: "models", flag: "model" })).toBe("model");
  });
});
