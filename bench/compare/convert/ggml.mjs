// Writes a checkpoint as a ggml file of whisper.cpp: float16 matrices, float32 for the rest; its own tool quantises further.
// The format is that of whisper.cpp's models/README.md and src/whisper.cpp `whisper_model_load`: int32 header, mel filters,
// vocabulary, then tensors of (dims, name length, type, dims reversed, name, data), all little-endian.
import { melFilters } from "../../../dist/features/index.js";
import { toFloat16 } from "../../../dist/tensor/index.js";
import { byteSpelling, bytesOf, parameterList, vocabulary, writeWhole } from "./parameters.mjs";

const MAGIC = 0x67676d6c;
const FLOAT32 = 0;
const FLOAT16 = 1;
const FIRST_SPECIAL = 50257;

const int32 = (...values) => bytesOf(Int32Array.from(values));

/** whisper.cpp wants these in float32 whatever the rest is in. */
const keepsFloat32 = (name, dims) => dims.length < 2 || name.endsWith("positional_embedding");

/** @param {string} folder of the checkpoint, for its vocabulary */
export async function writeGgml(checkpoint, folder, path) {
  const d = checkpoint.dimensions;
  const spelled = byteSpelling();
  const tokens = (await vocabulary(folder)).slice(0, FIRST_SPECIAL);
  await writeWhole(path, async (write) => {
    await write(
      int32(
        MAGIC,
        d.nVocab,
        d.nAudioCtx,
        d.nAudioState,
        d.nAudioHead,
        d.nAudioLayer,
        d.nTextCtx,
        d.nTextState,
        d.nTextHead,
        d.nTextLayer,
        d.nMels,
        FLOAT16,
      ),
    );
    const filters = melFilters(d.nMels);
    await write(int32(d.nMels, filters.length / d.nMels));
    await write(bytesOf(Float32Array.from(filters)));
    const texts = tokens.map((text) => Buffer.from([...text].map((character) => spelled.get(character))));
    await write(int32(texts.length));
    await write(Buffer.concat(texts.flatMap((text) => [int32(text.length), text])));
    for (const { name, dims } of parameterList(checkpoint)) {
      const values = await checkpoint.read(name);
      // The convolutions' biases are stored as columns.
      const shape = /conv\d\.bias$/.test(name) ? [dims[0], 1] : dims;
      const half = !keepsFloat32(name, dims);
      const label = Buffer.from(name);
      await write(int32(shape.length, label.length, half ? FLOAT16 : FLOAT32, ...shape.toReversed()));
      await write(label);
      await write(bytesOf(half ? toFloat16(values) : values));
    }
  });
}
