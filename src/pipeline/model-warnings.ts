/** What a reader of a transcript should know about the model that wrote it. */
import type { Checkpoint } from "../checkpoint/index.ts";

/** What the bundled model's config.json calls it. A copy of its folder, under whatever name, keeps this. */
const BUNDLED_ORIGIN = "sotto-test-whisper";

/** Warnings that belong in every transcript of a model; empty for models that understand people. */
export function modelWarnings({ origin }: Pick<Checkpoint, "origin">): readonly string[] {
  if (origin !== BUNDLED_ORIGIN) return [];
  return [
    'The model "nano" knows synthetic speech only: what it writes for the speech of people is invented; "base" and larger models understand them',
  ];
}
