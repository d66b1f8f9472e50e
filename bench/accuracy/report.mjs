// Tables of what was measured.
import { totalScore } from "./scores.mjs";

const COLUMNS = [
  "system",
  "WER",
  "sub",
  "del",
  "ins",
  "lost",
  "repeats",
  "invented",
  "misplaced",
  "words",
  "seconds",
  "x real time",
  "CPU s",
];

/** A table in Markdown, one system a row; what was skipped and what failed follow with the reason. */
export function table(rows) {
  const cells = rows.filter(({ results }) => results !== undefined).map(rowOf);
  const skipped = rows.filter(({ skipped }) => skipped !== undefined);
  const lines = cells.length === 0 ? [] : layOut([COLUMNS, ...cells]);
  const failed = rows.flatMap(({ system, failures = [] }) =>
    failures.map((failure) => `${system}: failed: ${failure}`),
  );
  return [
    ...lines,
    ...(lines.length > 0 ? [""] : []),
    ...failed,
    ...skipped.map(({ system, skipped }) => `${system}: skipped: ${skipped}`),
  ].join("\n");
}

function rowOf({ system, results }) {
  const { errors, lost, repeats, invented, misplaced } = totalScore(results.map(({ score }) => score));
  const sum = (of) => results.reduce((total, one) => total + of(one), 0);
  const seconds = sum(({ result }) => result.seconds);
  const counts = [errors.substitutions, errors.deletions, errors.insertions, lost, repeats, invented, misplaced];
  return [
    system,
    percent(errors),
    ...counts.map(String),
    String(errors.hypothesisLength),
    seconds.toFixed(1),
    (sum(({ item }) => item.seconds) / seconds).toFixed(1),
    sum(({ result }) => result.cpuSeconds).toFixed(1),
  ];
}

function percent({ rate, referenceLength }) {
  return referenceLength === 0 ? "-" : `${(100 * rate).toFixed(2)} %`;
}

function layOut(rows) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (row) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)];
}

/** Each recording of each system, with what differs. */
export function details(rows) {
  return rows
    .filter(({ results }) => results !== undefined)
    .map(({ system, results }) => [`\n### ${system}`, ...results.flatMap(fileLines)].join("\n"))
    .join("\n");
}

function fileLines({ item, result, score: { errors, lost, repeats, invented, misplaced, differences } }) {
  const counts = errors === null ? "?" : `${percent(errors)} (${errors.errors} of ${errors.referenceLength})`;
  const faults = Object.entries({ lost, repeats, invented, misplaced }).filter(([, count]) => count > 0);
  const told = faults.map(([name, count]) => `, ${name} ${count}`).join("");
  const text = item.reference === "" || errors === null ? ` "${result.text.trim()}"` : "";
  return [
    `${item.name}: ${counts}${told}, ${result.language ?? "?"}, ${result.seconds.toFixed(1)} s${text}`,
    ...differences
      .filter(() => item.reference !== "")
      .map(
        ({ kind, reference, hypothesis }) => `    ${kind.slice(0, 3)}  ${reference || "-"}  ->  ${hypothesis || "-"}`,
      ),
  ];
}
