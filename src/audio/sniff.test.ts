import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { sniff, SNIFF_BYTES } from "./sniff.ts";

const FIXTURES = new URL("../../test/fixtures/audio/", import.meta.url);
const AUDIO = readdirSync(FIXTURES).filter((name) => !name.endsWith(".sh"));

describe("sniff()", () => {
  it.each(AUDIO)("lets %s through, by its bytes", (name) => {
    const head = readFileSync(new URL(name, FIXTURES)).subarray(0, SNIFF_BYTES);
    expect(sniff(head).kind).toBe(name.startsWith("wav-") ? "wav" : "encoded");
  });

  it.each([
    ["Dear Sir or Madam,\r\n\tplease find", "it is text"],
    ["Größe: ½ €, 日本語", "it is text"],
    ["#EXTM3U\nhttp://example.com/secret.ts\n", "it is text"],
    ["  <!DOCTYPE html><html>", "it is a web page"],
    ["%PDF-1.7 ...", "it is a PDF document"],
    ["\0\0\0\0\0\0\0\0", "it holds only zero bytes"],
  ])("calls %j what it is", (text, reason) => {
    expect(sniff(Buffer.from(text))).toMatchObject({
      kind: "other",
      reason: expect.stringContaining(reason) as string,
    });
  });

  it("knows text that is cut within a character", () => {
    expect(sniff(Buffer.from("日本語").subarray(0, 8)).kind).toBe("other");
  });

  it.each([
    ["89504e470d0a1a0a0000000d", "PNG"],
    ["ffd8ffe000104a464946", "JPEG"],
    ["504b030414000600", "ZIP"],
    ["1f8b0800000000000003", "gzip"],
  ])("knows the signature %s", (hex, word) => {
    expect(sniff(Buffer.from(hex, "hex"))).toMatchObject({
      kind: "other",
      reason: expect.stringContaining(word) as string,
    });
  });
});
