/** Two texts above one another, word over word, with a mark under each that differs. */

import type { AlignedErrors, EditKind } from "../../evaluation/index.ts";

type Paint = (text: string) => string;

/** How changed words look; the marks below them are there without colours too. */
export interface DifferenceColours {
  readonly substitution: Paint;
  readonly deletion: Paint;
  readonly insertion: Paint;
}

/** Words that are the same, shown on each side of a change; what is further away is left out. */
const CONTEXT = 3;
const MARKS: Record<EditKind, string> = { hit: "", substitution: "S", deletion: "D", insertion: "I" };
const ELLIPSIS: Cell = { kind: "hit", reference: "…", hypothesis: "…" };

interface Cell {
  readonly kind: EditKind;
  readonly reference: string;
  readonly hypothesis: string;
}

/**
 * The changes of a text in blocks of three lines: reference, hypothesis, and S, D or I under the words that were substituted,
 * deleted or inserted. A word that the other text lacks stands over stars.
 *
 * @param width columns of a line
 * @returns lines without line breaks; none if nothing differs
 */
export function alignedText(errors: AlignedErrors, width: number, colours: DifferenceColours): string[] {
  const lines: string[] = [];
  let block: Cell[] = [];
  let used = 0;
  const flush = (): void => {
    if (block.some(({ kind }) => kind !== "hit")) lines.push(...blockLines(block, colours));
    block = [];
    used = 0;
  };
  for (const cell of cellsOf(errors)) {
    const cost = cellWidth(cell) + 1;
    if (used + cost > Math.max(20, width - 5)) flush();
    block.push(cell);
    used += cost;
  }
  flush();
  return lines;
}

function cellsOf({ edits, reference, hypothesis }: AlignedErrors): Cell[] {
  return edits.flatMap(({ kind, reference: [r0, r1], hypothesis: [h0, h1] }, i) => {
    if (kind !== "hit") {
      return Array.from({ length: Math.max(r1 - r0, h1 - h0) }, (_, k) =>
        cell(kind, kind === "insertion" ? "" : reference[r0 + k], kind === "deletion" ? "" : hypothesis[h0 + k]),
      );
    }
    const hits = (from: number, to: number): Cell[] => reference.slice(from, to).map((word) => cell(kind, word, word));
    const head = i === 0 ? 0 : CONTEXT;
    const tail = i === edits.length - 1 ? 0 : CONTEXT;
    if (r1 - r0 <= head + tail + 1) return hits(r0, r1);
    return [...hits(r0, r0 + head), ELLIPSIS, ...hits(r1 - tail, r1)];
  });
}

function cell(kind: EditKind, reference: string, hypothesis: string): Cell {
  const clean = (word: string): string => word.replace(/\p{Cc}/gu, "");
  return { kind, reference: clean(reference), hypothesis: clean(hypothesis) };
}

function blockLines(cells: readonly Cell[], colours: DifferenceColours): string[] {
  const column = (write: (cell: Cell) => [text: string, colour?: Paint]): string =>
    cells
      .map((cell) => {
        const [text, colour] = write(cell);
        const padding = " ".repeat(Math.max(0, cellWidth(cell) - displayWidth(text)));
        return (colour === undefined ? text : colour(text)) + padding;
      })
      .join(" ")
      .trimEnd();
  const colourOf = (kind: EditKind): Paint | undefined => (kind === "hit" ? undefined : colours[kind]);
  const shown = (cell: Cell, word: string): [string, Paint?] => {
    if (word === "" && cell.kind !== "hit") return ["*".repeat(cellWidth(cell))];
    const colour = colourOf(cell.kind);
    return colour === undefined ? [word] : [word, colour];
  };
  return [
    `REF: ${column((cell) => shown(cell, cell.reference))}`,
    `HYP: ${column((cell) => shown(cell, cell.hypothesis))}`,
    `     ${column(({ kind }) => [MARKS[kind]])}`,
  ];
}

function cellWidth({ reference, hypothesis }: Cell): number {
  return Math.max(1, displayWidth(reference), displayWidth(hypothesis));
}

/** Columns of a terminal that a text takes: marks take none, East Asian letters two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}|\p{Cf}/u.test(character)) continue;
    width += /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}！-｠]/u.test(character) ? 2 : 1;
  }
  return width;
}
