/** Rows that the native kernels generate side by side; rows of later calls join those under way. */
import type { AudioState, Generated, GenerateRequest, Generation } from "../engine.ts";
import type { GenerationHandle, Kernels, NativeGenerated, NativeRequest } from "./kernels.ts";

/** What a generation needs of its engine. */
interface Host {
  /** @throws {RangeError} {TypeError} for requests and states that the engine refuses */
  requestsOf(audio: AudioState, requests: readonly GenerateRequest[]): NativeRequest[];
  /** @throws {NotFiniteError} if a probability is no number */
  checked(generated: Generated[]): Generated[];
  /** Runs the kernels when it is their turn. */
  advance(generation: GenerationHandle, steps: number): Promise<NativeGenerated[]>;
}

export class NativeGeneration implements Generation {
  readonly #kernels: Kernels;
  readonly #handle: GenerationHandle;
  readonly #host: Host;
  readonly #running = new Set<number>();
  /** Asked for while the kernels run, when rows must be left alone. */
  readonly #later: (() => void)[] = [];
  /** Requests added so far, those that are still to be handed over included. */
  #count = 0;
  #isAdvancing = false;
  #isDisposed = false;

  constructor(kernels: Kernels, handle: GenerationHandle, host: Host) {
    this.#kernels = kernels;
    this.#handle = handle;
    this.#host = host;
  }

  get rows(): number {
    return this.#running.size;
  }

  add(audio: AudioState, requests: readonly GenerateRequest[]): number {
    const rows = this.#host.requestsOf(audio, requests);
    const first = this.#count;
    for (const row of rows) {
      this.#running.add(this.#count++);
      this.#whenIdle(() => this.#kernels.addRequest(this.#handle, row));
    }
    return first;
  }

  async advance(steps: number): Promise<{ index: number; generated: Generated }[]> {
    this.#isAdvancing = true;
    let ended: NativeGenerated[];
    try {
      ended = await this.#host.advance(this.#handle, steps);
    } finally {
      this.#isAdvancing = false;
      for (const act of this.#later.splice(0)) act();
    }
    return ended.flatMap(({ number, tokens, logprobs, noSpeechProb, ended: isEot }) => {
      if (!this.#running.delete(number)) return []; // cancelled meanwhile
      const stop = isEot ? "eot" : "length";
      const [generated] = this.#host.checked([{ tokens, tokenLogprobs: logprobs, noSpeechProb, stop }]);
      return { index: number, generated };
    });
  }

  cancel(index: number): void {
    if (!this.#running.delete(index)) return;
    this.#whenIdle(() => this.#kernels.cancelRequest(this.#handle, index));
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#running.clear();
    this.#later.length = 0;
    this.#kernels.releaseGeneration(this.#handle); // a call at hand holds what it needs
  }

  #whenIdle(act: () => void): void {
    if (this.#isDisposed) return;
    if (this.#isAdvancing) this.#later.push(act);
    else act();
  }
}
