import { describe, expect, it } from "vitest";
import { readChunkingStrategy } from "./chunking-strategy.ts";

const read = (fields: Record<string, string>) =>
  readChunkingStrategy(new Map(Object.entries(fields).map(([name, value]) => [name, [value]])));

describe("readChunkingStrategy()", () => {
  const settings = { type: "server_vad", threshold: 0.6, prefix_padding_ms: 300, silence_duration_ms: 500 };
  const options = { vadThreshold: 0.6, vadSpeechPadMs: 300, vadMinSilenceDurationMs: 500 };

  it.each<[what: string, fields: Record<string, string>, expected: object | null]>([
    ["none", { language: "en" }, null],
    ["auto", { chunking_strategy: "auto" }, {}],
    ["one without settings", { "chunking_strategy[type]": "server_vad" }, {}],
    ["JSON", { chunking_strategy: JSON.stringify(settings) }, options],
    [
      "fields of its own",
      Object.fromEntries(Object.entries(settings).map(([name, value]) => [`chunking_strategy[${name}]`, `${value}`])),
      options,
    ],
  ])("reads %s", (_, fields, expected) => {
    expect(read(fields)).toEqual(expected);
  });

  it.each<[what: string, fields: Record<string, string>, message: string]>([
    ["no JSON", { chunking_strategy: "server_vad" }, "chunking_strategy"],
    ["another type", { "chunking_strategy[type]": "words" }, "chunking_strategy.type"],
    ["no type", { "chunking_strategy[threshold]": "0.5" }, "chunking_strategy.type"],
    [
      "a threshold above 1",
      { chunking_strategy: '{"type":"server_vad","threshold":2}' },
      "chunking_strategy.threshold",
    ],
    ["an unknown setting", { chunking_strategy: '{"type":"server_vad","speed":2}' }, "speed"],
  ])("refuses %s", (_, fields, message) => {
    expect(() => read(fields)).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }));
  });
});
