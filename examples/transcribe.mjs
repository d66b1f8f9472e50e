// Prints a recording's segments as they are ready, each with its times.
//
//   node examples/transcribe.mjs talk.mp3 [MODEL [DTYPE]]
//   node examples/transcribe.mjs samples/en-long.flac nano

import { WhisperPipeline } from "sotto";

const [file, model, dtype = "auto"] = process.argv.slice(2);

const pipeline = await WhisperPipeline.fromPretrained(model, { dtype });
for await (const { start, end, text } of pipeline.segments(file)) {
  console.log(`[${start.toFixed(2)} - ${end.toFixed(2)}]${text}`);
}
await pipeline.dispose();
