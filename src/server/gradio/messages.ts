/** The messages of Gradio's event stream, protocol sse_v3 (facts ecosystem 5.8, step 5). */

export type GradioMessage =
  | { readonly msg: "estimation"; readonly rank: number; readonly queue_size: number; readonly rank_eta: null }
  | { readonly msg: "process_starts"; readonly eta: null }
  | { readonly msg: "progress"; readonly progress_data: readonly ProgressUnit[] }
  | LogMessage
  | { readonly msg: "process_completed"; readonly output: object; readonly success: boolean };

/** What a person should know: Gradio's pages show it for a while, and clients hand it on. */
interface LogMessage {
  readonly msg: "log";
  readonly log: string;
  readonly level: "info" | "warning";
  readonly title: string;
  /** Seconds that a page shows it; null until it is closed. */
  readonly duration: number | null;
  readonly visible: boolean;
}

interface ProgressUnit {
  readonly index: number | null;
  readonly length: number | null;
  readonly unit: string;
  /** 0 to 1; null where the length is not known. */
  readonly progress: number | null;
  readonly desc: string;
}

/** How a call ended. */
export type Outcome =
  | { readonly ok: true; readonly data: readonly unknown[]; readonly seconds: number }
  | { readonly ok: false; readonly error: string };

/** The texts that Whisper JAX's app shows while it works (facts 1.16.7). */
export const LOADING = "Loading audio file...";
export const PREPARING = "Pre-processing audio file...";
export const TRANSCRIBING = "Transcribing...";

export function progressMessage(desc: string, seconds = 0, duration: number | null = null): GradioMessage {
  const known = duration !== null && duration > 0;
  return {
    msg: "progress",
    progress_data: [
      {
        index: known ? Math.round(seconds) : null,
        length: known ? Math.round(duration) : null,
        unit: known ? "s" : "steps",
        progress: known ? Math.min(1, seconds / duration) : desc === TRANSCRIBING ? null : 0,
        desc,
      },
    ],
  };
}

/** A warning, as `gr.Warning` of Gradio sends it. */
export function warningMessage(log: string): GradioMessage {
  return { msg: "log", log, level: "warning", title: "Warning", duration: 10, visible: true };
}

export function completedMessage(outcome: Outcome): GradioMessage {
  if (outcome.ok) {
    const { data, seconds } = outcome;
    const output = {
      data,
      is_generating: false,
      duration: seconds,
      average_duration: seconds,
      render_config: null,
      changed_state_ids: [],
    };
    return { msg: "process_completed", output, success: true };
  }
  const output = { error: outcome.error, title: "Error", visible: true, duration: 10 };
  return { msg: "process_completed", output, success: false };
}
