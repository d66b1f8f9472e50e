/**
 * Samples between a decoder and its reader. Silence is kept as a number: an hour of it takes no memory until it is read.
 */

/** First in, first out. */
export class PieceQueue {
  private parts: (Float32Array | number)[] = [];
  /** Samples in it. */
  length = 0;
  /** Samples that were ever in it. */
  pushed = 0;

  push(samples: Float32Array): void {
    if (samples.length > 0) this.parts.push(samples);
    this.length += samples.length;
    this.pushed += samples.length;
  }

  /** @param count samples of 0 */
  pushSilence(count: number): void {
    if (count > 0) this.parts.push(count);
    this.length += count;
    this.pushed += count;
  }

  /** @returns the next samples, at most `count` of them, in a new array */
  take(count: number): Float32Array<ArrayBuffer> {
    const taken = new Float32Array(Math.min(count, this.length));
    let at = 0;
    while (at < taken.length) {
      const part = this.parts[0];
      const size = typeof part === "number" ? part : part.length;
      const used = Math.min(size, taken.length - at);
      if (typeof part !== "number") taken.set(part.subarray(0, used), at);
      if (used === size) this.parts.shift();
      else this.parts[0] = typeof part === "number" ? part - used : part.subarray(used);
      at += used;
    }
    this.length -= taken.length;
    return taken;
  }
}
