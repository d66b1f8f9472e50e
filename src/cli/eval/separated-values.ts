/** Tables as text: CSV (RFC 4180) and TSV, with names of columns in the first row. */

/**
 * Reads a table of comma separated values. Fields in quotes may hold commas, line breaks, and quotes written twice.
 *
 * @throws {SyntaxError} if a quote is never closed
 */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n][^,\r\n]*)?)(,|\r\n|\n|\r|$)/gy;
  for (let end = 0; end < text.length; end = field.lastIndex) {
    field.lastIndex = end;
    const match = field.exec(text);
    if (match === null) {
      const line = text.slice(0, end).split(/\r\n|\n|\r/).length;
      throw new SyntaxError(`the quotes of a field in line ${line} do not match`);
    }
    row.push(match[1] === undefined ? (match[2] ?? "") : match[1].replaceAll('""', '"'));
    if (match[3] === ",") {
      if (field.lastIndex === text.length)
        row.push(""); // a comma at the very end: an empty field follows
      else continue;
    }
    rows.push(row);
    row = [];
  }
  return rows.filter((fields) => fields.length > 1 || fields[0] !== "");
}

/** Reads a table of tab separated values: a row is a line. A field that is wholly in quotes is taken out of them. */
export function parseTsv(text: string): string[][] {
  return text
    .split(/\r\n|\n|\r/)
    .filter((line) => line !== "")
    .map((line) =>
      line.split("\t").map((field) => (/^".*"$/.test(field) ? field.slice(1, -1).replaceAll('""', '"') : field)),
    );
}
