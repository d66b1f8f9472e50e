/**
 * Ending a run before its work is done: at Ctrl-C, at a polite request to end, or when nobody reads stdout any more. Work
 * gets time to end by itself; native code cannot be interrupted, so what has not ended by then is left alone, and the signal
 * itself ends the process.
 */

import { type CliHost, type StopSignal, stopExitCode } from "./host.ts";
import type { Report } from "./report.ts";

/** What may stop one run. */
export class Stopping {
  readonly #host: CliHost;
  readonly #report: Report;
  readonly #abort = new AbortController();
  readonly #deadline: Promise<never>;
  #startGrace: () => void = () => undefined;
  #stoppedBy: StopSignal | undefined;
  #abandoned = false;

  constructor(host: CliHost, report: Report) {
    this.#host = host;
    this.#report = report;
    this.#deadline = new Promise((_resolve, reject) => {
      this.#startGrace = () => {
        setTimeout(() => {
          this.#abandoned = true;
          reject(this.#abort.signal.reason as Error);
        }, host.graceMs).unref();
      };
    });
    this.#deadline.catch(() => undefined);
  }

  /** Aborted when the run is to stop. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * Does the work, listening for what may stop it. What the stop breaks off is no error, and work that does not end in time is left.
   *
   * @param needsOutput whether the work is for nothing without stdout
   */
  async during(work: () => Promise<void>, { needsOutput }: { readonly needsOutput: boolean }): Promise<void> {
    const { outputClosed } = this.#host;
    const removeStop = this.#host.onStop((signal) => {
      this.#stoppedBy = signal;
      this.#abort.abort();
      this.#startGrace();
      this.#report.clear();
      this.#report.note("stopping; once more ends it at once");
    });
    const onClosed = (): void => {
      if (needsOutput) this.#abort.abort();
    };
    outputClosed.addEventListener("abort", onClosed);
    try {
      await this.wait(work());
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    } finally {
      this.#report.clear();
      outputClosed.removeEventListener("abort", onClosed);
      removeStop();
    }
  }

  /** @throws the signal's reason, if the run was to stop and the work has not ended in time */
  wait<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#deadline]);
  }

  /** Frees what the work has used, unless the work may still be using it. */
  async release(free: () => Promise<unknown> | undefined): Promise<void> {
    if (!this.#abandoned) await this.wait(Promise.resolve(free()));
  }

  /** Whether a failure is only what the stop broke off. */
  brokeOff(failure: unknown): boolean {
    const { aborted, reason } = this.#abort.signal as { readonly aborted: boolean; readonly reason: unknown };
    if (!aborted) return false;
    return (
      failure === reason || (failure instanceof Error && (failure.name === "AbortError" || failure.cause === reason))
    );
  }

  /**
   * To be asked at the end of a run: says what was finished, if a signal stopped it, and ends the process if work was left.
   *
   * @param finished `1 of 2 recordings were finished`
   * @returns the exit code; null if no signal stopped the run
   */
  conclude(finished: string): number | null {
    if (this.#stoppedBy === undefined) return null;
    this.#report.failure(`interrupted; ${finished}`);
    if (this.#abandoned) this.#host.die(this.#stoppedBy);
    return stopExitCode(this.#stoppedBy);
  }
}
