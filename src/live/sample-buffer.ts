/** Samples that grow at one end and are dropped at the other. */
export class SampleBuffer {
  #held: Float32Array;
  #length = 0;

  /** @param capacity samples that there is room for at first */
  constructor(capacity: number) {
    this.#held = new Float32Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Adds samples; they are copied. */
  append(samples: Float32Array): void {
    const needed = this.#length + samples.length;
    if (needed > this.#held.length) {
      const larger = new Float32Array(Math.max(needed, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(samples, this.#length);
    this.#length = needed;
  }

  /** A copy of the samples from this one on. */
  from(index: number): Float32Array {
    return this.#held.slice(index, this.#length);
  }

  /** Forgets the first samples. */
  drop(count: number): void {
    this.#held.copyWithin(0, count, this.#length);
    this.#length -= count;
  }
}
