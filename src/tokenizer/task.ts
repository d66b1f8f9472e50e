/** What the model is asked to write. */

/** `transcribe`: the words in their own language; `translate`: their meaning in English. */
export type Task = "transcribe" | "translate";

/** Every task. */
export const TASKS: readonly Task[] = ["transcribe", "translate"];
