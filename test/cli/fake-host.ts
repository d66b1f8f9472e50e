/**
 * A process for the command line program that is none: what it writes is kept, and its pipeline says what it is told to, so
 * that the program's own behaviour can be tested without a model.
 */

import { Writable } from "node:stream";
import type { CliHost, CliPipeline } from "../../src/cli/index.ts";
import { main } from "../../src/cli/index.ts";
import type { Segment, Transcript } from "../../src/transcription/index.ts";

export type Settings = Parameters<CliPipeline["transcribe"]>[1];
export type Input = Parameters<CliPipeline["transcribe"]>[0];

/** What the fake pipeline does with one input; throws to fail. */
export type Transcribe = (input: Input, settings: Settings, index: number) => Promise<Transcript>;

export function segment(id: number, start: number, end: number, text: string): Segment {
  return { id, start, end, text, tokens: [], temperature: 0, avgLogprob: -0.5, compressionRatio: 1, noSpeechProb: 0 };
}

export function transcript(...texts: string[]): Transcript {
  const segments = texts.map((text, i) => segment(i, 2 * i, 2 * i + 1.5, ` ${text}`));
  const text = segments.map((one) => one.text).join("");
  return { text, language: "en", languageProbability: null, duration: 2 * texts.length, segments, warnings: [] };
}

export class FakeHost implements CliHost {
  out = "";
  err = "";
  time = 0;
  /** [model, settings] of each pipeline made. */
  readonly made: [string, Parameters<CliHost["createPipeline"]>[1]][] = [];
  readonly asked: { input: Input; settings: Settings }[] = [];
  disposed = 0;
  readonly stdout: CliHost["stdout"];
  readonly stderr: CliHost["stderr"];
  readonly stdin = (async function* () {})();
  readonly #closed = new AbortController();
  readonly outputClosed = this.#closed.signal;
  #listeners: ((signal: "SIGINT" | "SIGTERM") => void)[] = [];

  /** Called before a pipeline is made; may throw, or say something of a download. */
  onCreate: CliHost["createPipeline"] | undefined;

  constructor(
    readonly transcribe: Transcribe = () => Promise.resolve(transcript("one", "two")),
    options: { terminal?: boolean } = {},
  ) {
    const sink = (take: (text: string) => void): CliHost["stdout"] =>
      Object.assign(
        new Writable({
          decodeStrings: false,
          write(text: string, _encoding, done) {
            take(text);
            done();
          },
        }),
        options.terminal === true ? { isTTY: true, columns: 100 } : {},
      );
    this.stdout = sink((text) => (this.out += text));
    this.stderr = sink((text) => (this.err += text));
  }

  async createPipeline(...[model, settings]: Parameters<CliHost["createPipeline"]>): Promise<CliPipeline> {
    this.made.push([model, settings]);
    await this.onCreate?.(model, settings);
    const run = async (input: Input, given: Settings, index: number): Promise<Transcript> => {
      this.asked.push({ input, settings: given });
      return this.transcribe(input, given, index);
    };
    return {
      transcribe: (input, given) => run(input, given, 0),
      transcribeMany: (inputs, given) => inCompletionOrder(inputs.map((input, i) => run(input, given, i))),
      dispose: () => {
        this.disposed++;
        return Promise.resolve();
      },
    };
  }

  onStop(listener: (signal: "SIGINT" | "SIGTERM") => void): () => void {
    this.#listeners.push(listener);
    return () => (this.#listeners = this.#listeners.filter((one) => one !== listener));
  }

  /** Signals that ended the process at once. */
  readonly died: string[] = [];
  graceMs = 20;

  die(signal: "SIGINT" | "SIGTERM"): void {
    this.died.push(signal);
  }

  now(): number {
    return this.time;
  }

  /** Ctrl-C. */
  interrupt(signal: "SIGINT" | "SIGTERM" = "SIGINT"): void {
    for (const listener of this.#listeners) listener(signal);
  }

  get listening(): boolean {
    return this.#listeners.length > 0;
  }

  closeOutput(): void {
    this.#closed.abort();
  }

  run(...argv: string[]): Promise<number> {
    return main(argv, this);
  }
}

async function* inCompletionOrder(
  work: Promise<Transcript>[],
): AsyncGenerator<{ index: number; transcript?: Transcript; error?: Error }> {
  const pending = new Map(
    work.map((one, index) => [
      index,
      one.then(
        (result) => ({ index, transcript: result }),
        (error: Error) => ({ index, error }),
      ),
    ]),
  );
  while (pending.size > 0) {
    const outcome = await Promise.race(pending.values());
    pending.delete(outcome.index);
    yield outcome;
  }
}

/** A promise that is settled by hand. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
