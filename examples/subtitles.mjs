// Writes English subtitles beside recordings in any language: talk.mp3 -> talk.srt. The recordings share batches.
//
//   node examples/subtitles.mjs --model=medium talk.mp3 interview.m4a

import { writeFile } from "node:fs/promises";
import { parse, join } from "node:path";
import { parseArgs } from "node:util";
import { WhisperPipeline, writeTranscript } from "sotto";

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "auto" },
    output: { type: "string" },
  },
});

const pipeline = await WhisperPipeline.fromPretrained(values.model, { dtype: values.dtype });
for await (const { index, error, transcript } of pipeline.transcribeMany(files, { task: "translate" })) {
  if (error) {
    console.error(error.message);
    process.exitCode = 1;
    continue;
  }
  const { dir, name } = parse(files[index]);
  const path = join(values.output ?? dir, `${name}.srt`);
  await writeFile(path, writeTranscript(transcript, "srt"));
  console.log(`${path}: ${transcript.segments.length} segments, from ${transcript.language}`);
  for (const warning of transcript.warnings) console.warn(`${path}: ${warning}`);
}
await pipeline.dispose();
