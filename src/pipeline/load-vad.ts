/** Loads the bundled voice activity network. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { SileroVad } from "../vad/index.ts";

/** At the same distance from the sources as from the built modules. */
const WEIGHTS = fileURLToPath(new URL("../../models/silero-vad/silero_vad_16k.safetensors", import.meta.url));

let loaded: Promise<SileroVad> | undefined;

/**
 * Silero's voice activity network with the weights that come with sotto, 1.2 MB. It is loaded once and shared: what belongs to a
 * stream is in its {@link VoiceActivityDetector}.
 *
 * @throws {CheckpointError} if the file is damaged
 */
export function loadSileroVad(): Promise<SileroVad> {
  loaded ??= readFile(WEIGHTS).then((bytes) => SileroVad.fromBytes(bytes, WEIGHTS));
  loaded.catch(() => (loaded = undefined)); // the next call tries again
  return loaded;
}
