// What the bundled model says of some recordings, on any device.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WhisperPipeline } from "../../dist/pipeline/index.js";

const nano = fileURLToPath(new URL("../../models/nano", import.meta.url));

/**
 * @param folder of WAV files
 * @param options device and dtype
 * @returns segments of each file: [start, end, text]
 */
export async function transcripts(folder, options) {
  const pipeline = await WhisperPipeline.fromPretrained(nano, options);
  const results = {};
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".wav"))) {
    const { segments } = await pipeline.transcribe(readFileSync(join(folder, file)));
    results[file] = segments.map(({ start, end, text }) => [start, end, text]);
  }
  await pipeline.dispose();
  return results;
}
