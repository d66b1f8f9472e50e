import { describe, expect, it } from "vitest";
import { PromptContext, type PromptContextOptions } from "./prompt-context.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** The prompt of the window after these: tokens and the temperature of each. */
function promptAfter(
  windows: readonly (readonly [tokens: readonly number[], temperature?: number])[],
  options: Partial<PromptContextOptions> = {},
): readonly number[] {
  const context = new PromptContext({
    initialPrompt: [],
    carryInitialPrompt: false,
    conditionOnPreviousText: true,
    limit: 5,
    ...options,
  });
  for (const [tokens, temperature = 0] of windows) context.add(tokens, temperature);
  return context.prompt();
}

const START = { initialPrompt: [91, 92] };
const CARRY = { initialPrompt: [91, 92], carryInitialPrompt: true };
const ALONE = { conditionOnPreviousText: false };

describe("PromptContext.prompt() (facts 2.3.3, 2.3.11, 2.3.12)", () => {
  it.each<[string, [readonly number[], number?][], Partial<PromptContextOptions>, number[]]>([
    ["is empty at first", [], {}, []],
    ["is the text so far", [[[1, 2]], [[3]]], {}, [1, 2, 3]],
    ["is the newest of it", [[range(0, 9)]], {}, [4, 5, 6, 7, 8]],
    ["is empty without conditioning", [[[1, 2]]], ALONE, []],
    ["is empty after a temperature above 0.5", [[[1, 2]], [[3], 0.6]], {}, []],
    ["is not after 0.5", [[[1, 2]], [[3], 0.5]], {}, [1, 2, 3]],
    ["goes on after it was reset", [[[1, 2]], [[3], 1], [[4]]], {}, [4]],
    ["begins with the initial prompt", [], START, [91, 92]],
    ["keeps it before the text", [[[1]]], START, [91, 92, 1]],
    ["loses it as text comes", [[[1, 2, 3, 4]]], START, [92, 1, 2, 3, 4]],
    ["loses it when it is reset", [[[1], 0.8]], START, []],
    ["loses it without conditioning", [[[1]]], { ...START, ...ALONE }, []],
    ["carries it", [], CARRY, [91, 92]],
    ["carries it before the newest text that fits", [[[1, 2, 3, 4]]], CARRY, [91, 92, 2, 3, 4]],
    ["carries it over a reset", [[[1], 0.8], [[2]]], CARRY, [91, 92, 2]],
    ["carries it without conditioning", [[[1]]], { ...CARRY, ...ALONE }, [91, 92]],
    ["carries one that leaves no room", [[[1, 2]]], { ...CARRY, initialPrompt: range(90, 95) }, range(90, 95)],
    ["carries the newest of one that is too long", [[[1]]], { ...CARRY, initialPrompt: range(90, 97) }, range(92, 97)],
  ])("%s", (_, windows, options, expected) => {
    expect(promptAfter(windows, options)).toEqual(expected);
  });
});

it("PromptContext.written is all text, whatever the model is told of it", () => {
  const context = new PromptContext({ ...CARRY, conditionOnPreviousText: false, limit: 3 });
  context.add([1, 2, 3, 4], 0);
  context.add([], 1);
  context.add([5], 1);
  expect(context.written).toEqual([1, 2, 3, 4, 5]);
});
