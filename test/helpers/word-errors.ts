/** Word error rate by Levenshtein distance, on lower-case words without punctuation. */

export const words = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s]/gu, " ")
    .split(/\s+/)
    .filter((word) => word !== "");

/** Fewest insertions, deletions and substitutions of words that turn one text into the other. */
export function wordErrors(reference: string, hypothesis: string): number {
  const from = words(reference);
  const to = words(hypothesis);
  let above = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1));
    }
    above = row;
  }
  return above[to.length];
}
