/** How far jobs are that this tab does not follow: those of other tabs, and of tabs that were closed. */

import { ApiError, type JobView, readJob, splitHint } from "./api.ts";
import type { Entry, Failure } from "./lib/history.ts";

/** Milliseconds between two looks. */
const EVERY_MS = 4000;

export class JobWatch {
  /** In words, by the id of the entry. */
  states = $state<Record<string, string>>({});

  constructor(
    private readonly onLost: (entry: Entry) => Promise<void>,
    private readonly onFailure: (entry: Entry, failure: Failure) => Promise<void>,
  ) {}

  /** Looks at the jobs of some entries, until the function that it gives is called. */
  watch(entries: readonly Entry[]): () => void {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      await Promise.all(entries.map((entry) => this.look(entry, abort.signal)));
      if (!abort.signal.aborted) timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }

  private async look(entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      const job = await readJob(entry.jobId ?? "", signal);
      if (job.status === "failed" || job.status === "cancelled") {
        await this.onFailure(
          entry,
          job.error === null ? { message: "The transcription was cancelled" } : splitHint(job.error.message),
        );
      } else this.states[entry.id] = inWords(job);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 404) await this.onLost(entry);
      else this.states[entry.id] = error instanceof ApiError ? error.message : "The server does not answer";
    }
  }
}

function inWords({ status, position, progress: { seconds, duration } }: JobView): string {
  if (status === "done") return "Ready: open it to read it";
  if (status === "queued")
    return position === null || position === 0 ? "Next in the queue" : `In the queue, ${position} before it`;
  if (seconds === null || duration === null || duration === 0) return "Transcribing";
  return `Transcribing, ${Math.floor(Math.min(1, seconds / duration) * 100)} %`;
}
