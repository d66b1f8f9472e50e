import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { LiveDisplay } from "../../src/cli/live/display.ts";
import { eventObject, type LiveEvent } from "../../src/live/index.ts";

class Output extends Writable {
  text = "";
  constructor(
    readonly isTTY: boolean,
    readonly columns = 20,
  ) {
    super();
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }

  /** What a terminal of these columns shows, by row: text wraps, and escapes move, erase or colour. */
  get rows(): string[] {
    const rows: string[][] = [[]];
    let [row, column] = [0, 0];
    for (const [, count, code, letter] of this.text.matchAll(/\x1b\[(\d*)([A-Za-z])|([^\x1b])/gs)) {
      if (letter === "\n") [row, column] = [row + 1, 0];
      else if (letter === "\r") column = 0;
      else if (letter !== undefined) {
        if (column === this.columns) [row, column] = [row + 1, 0];
        (rows[row] ??= [])[column++] = letter;
      } else if (code === "A") row -= Number(count);
      else if (code === "D")
        column = Math.min(column, this.columns - 1) - Number(count) + (column === this.columns ? 1 : 0);
      else if (code === "K") (rows[row] ??= []).length = column;
      else if (code === "J") {
        rows.length = row + 1;
        rows[row].length = column;
      }
    }
    return rows.map((letters) => Array.from(letters, (letter) => letter ?? " ").join(""));
  }
}

const word = (text: string, start: number) => ({ word: text, start, end: start + 0.5, probability: 1 });
const commit = (text: string, start = 0): LiveEvent => ({
  type: "commit",
  utterance: 0,
  text,
  words: [word(text, start)],
});
const final = (text: string): LiveEvent => ({
  type: "final",
  utterance: 0,
  start: 0,
  end: 9,
  text,
  words: [],
  language: "en",
});
const partial = (text: string): LiveEvent => ({ type: "partial", utterance: 0, text });

function show(output: Output, ...events: LiveEvent[]): Output {
  const display = new LiveDisplay("text", output, eventObject);
  for (const event of events) display.show(event);
  display.end();
  return output;
}

describe("LiveDisplay", () => {
  it.each([19, 20, 21, 40, 41, 55])("writes an utterance's final text over %i columns of committed text", (length) => {
    const committed = "x".repeat(length);
    const before = [commit("Before."), final("Before.")];
    const output = show(new Output(true), ...before, commit(committed), partial(" more"), final("In the end."));
    expect(output.rows.filter((row) => row !== "")).toEqual(["Before.", "In the end."]);
  });

  it("leaves committed text that is final as it is", () => {
    const output = show(new Output(true, 80), commit(" All"), commit(" of it."), final("All of it."));
    expect(output.text).toContain("\x1b[KAll\x1b[K of it.\x1b[K\n");
    expect(output.rows.filter((row) => row !== "")).toEqual(["All of it."]);
  });

  it("prints final text alone where nothing can be written over", () => {
    const events = [commit(" And so."), partial(" ask"), commit(" Ask not"), final("And so, ask not")];
    expect(show(new Output(false), ...events).text).toBe("And so, ask not\n");
  });

  it("prints an utterance that goes on and on as it is committed", () => {
    const output = new Output(false);
    const display = new LiveDisplay("text", output, eventObject);
    for (let i = 0; i < 32; i++) display.show(commit(` w${i}`, i));
    expect(output.text).toContain("w0 w1 ");
    expect(output.text.endsWith(" w31")).toBe(true);
    display.show(final(Array.from({ length: 32 }, (_, i) => `w${i}`).join(" ")));
    expect(output.text.match(/w\d+/g)).toHaveLength(32);
  });

  it.each([true, false])(
    "prints nothing of an utterance in which nothing was understood, on a terminal: %s",
    (isTTY) => {
      const events = [
        final("Before."),
        partial(" Thank"),
        final(""),
        final(""),
        commit(" you"),
        final(""),
        final("After."),
      ];
      expect(show(new Output(isTTY, 80), ...events).rows.filter((row) => row !== "")).toEqual(["Before.", "After."]);
      const srt = new Output(false);
      new LiveDisplay("srt", srt, eventObject).show(final(""));
      expect(srt.text).toBe("");
    },
  );

  it("prints what was committed of an utterance that was broken off", () => {
    expect(show(new Output(false), commit(" Half of")).text).toBe("Half of\n");
  });
});
