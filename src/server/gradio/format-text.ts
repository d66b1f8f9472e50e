/** The text that Whisper JAX's app shows (facts 1.16.5). */
import { formatTimestamp } from "../../outputs/index.ts";
import type { Transcript } from "../../transcription/index.ts";

/**
 * Lines `[00:00.000 -> 00:06.560]  text` with times; without, the text as the model gave it. An end that the model never gave
 * is Python's `None`, and the text keeps its leading space, as in the original.
 */
export function gradioText({ text, chunks = [] }: Pick<Transcript, "text" | "chunks">, withTimes: boolean): string {
  if (!withTimes) return text;
  const time = (seconds: number | null): string => (seconds === null ? "None" : formatTimestamp(seconds));
  return chunks.map(({ timestamp: [start, end], text: line }) => `[${time(start)} -> ${time(end)}] ${line}`).join("\n");
}
