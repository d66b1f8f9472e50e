// Writes a checkpoint as one file of float32 numbers and an index of names: what drivers/openai-whisper.py fills
// openai/whisper's model with. (Its own format is a Python pickle.)
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bytesOf, parameterList, writeWhole } from "./parameters.mjs";

export async function writeOpenai(checkpoint, target) {
  await mkdir(target, { recursive: true });
  const d = checkpoint.dimensions;
  const parameters = parameterList(checkpoint);
  await writeWhole(join(target, "weights.bin"), async (write) => {
    for (const { name } of parameters) await write(bytesOf(await checkpoint.read(name)));
  });
  // In the order of openai/whisper's ModelDimensions.
  const dimensions = [
    d.nMels,
    d.nAudioCtx,
    d.nAudioState,
    d.nAudioHead,
    d.nAudioLayer,
    d.nVocab,
    d.nTextCtx,
    d.nTextState,
    d.nTextHead,
    d.nTextLayer,
  ];
  await writeFile(join(target, "index.json"), JSON.stringify({ dimensions, parameters }));
}
