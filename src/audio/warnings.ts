/**
 * What went wrong without stopping the reading: a list of sentences that grows while a recording is decoded.
 */

/** Samples that were no numbers: counted over all pieces, said once. */
export class WarningList {
  readonly texts: string[] = [];
  private replacedAt: number | undefined;
  private replaced = 0;

  add(text: string): void {
    if (!this.texts.includes(text)) this.texts.push(text);
  }

  /** Counts samples that were replaced by 0, in one warning that is kept up to date. */
  addReplaced(count: number): void {
    if (count === 0) return;
    this.replaced += count;
    this.replacedAt ??= this.texts.length;
    const noun = this.replaced === 1 ? "1 sample was" : `${this.replaced} samples were`;
    this.texts[this.replacedAt] = `${noun} NaN, infinite or absurdly loud: replaced by 0`;
  }
}

/** Seconds for a message: two decimals. */
export function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(2)} s`;
}
