/** Warnings of a transcript or an answer, without the one that the bundled model puts into all of them. */
export function ownWarnings(warnings: readonly string[] = []): string[] {
  return warnings.filter((warning) => !warning.includes("knows synthetic speech only"));
}
