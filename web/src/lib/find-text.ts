/** Search in a transcript: without regard to case and accents, across words, within a segment. */

export interface Match {
  /** Index of the segment. */
  readonly segment: number;
  /** In UTF-16 units of the segment's text. */
  readonly start: number;
  readonly end: number;
}

/** The most places that are shown: more tell nobody anything, and each is a range to paint. */
export const MAX_MATCHES = 2000;

/** Text with case and accents folded, and for each unit of it the place it came from. */
function fold(text: string): { folded: string; from: number[] } {
  let folded = "";
  const from: number[] = [];
  let at = 0;
  for (const character of text) {
    const plain = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s/gu, " ");
    for (let i = 0; i < plain.length; i++) from.push(at);
    folded += plain;
    at += character.length;
  }
  from.push(at);
  return { folded, from };
}

/** Where a text stands in segments, in order; none for a text of spaces. */
export function findText(texts: readonly string[], query: string): Match[] {
  const wanted = fold(query.trim()).folded;
  const matches: Match[] = [];
  if (wanted === "") return matches;
  for (const [segment, text] of texts.entries()) {
    const { folded, from } = fold(text);
    for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, at + wanted.length)) {
      matches.push({ segment, start: from[at], end: from[at + wanted.length] });
      if (matches.length >= MAX_MATCHES) return matches;
    }
  }
  return matches;
}
