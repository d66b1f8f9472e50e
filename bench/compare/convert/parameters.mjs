// What the converters share: the parameters of a checkpoint in openai/whisper's names and order, and a file written piece by piece.
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { parameterDims } from "../../../dist/model/index.js";

/** Names and dims of every parameter. */
export const parameterList = (checkpoint) =>
  [...parameterDims(checkpoint.dimensions)].map(([name, dims]) => ({ name, dims }));

/** Bytes of a typed array. */
export const bytesOf = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** Writes a file under another name first, so that a half-written one is never taken for a whole. */
export async function writeWhole(path, write) {
  const file = await open(`${path}.part`, "w");
  try {
    await write((bytes) => file.writeFile(bytes));
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
}

/** Texts of the vocabulary, by id: what vocab.json and added_tokens.json of a Hugging Face folder say. */
export async function vocabulary(folder) {
  const tokens = [];
  for (const name of ["vocab.json", "added_tokens.json"]) {
    for (const [text, id] of Object.entries(JSON.parse(await readFile(join(folder, name), "utf8")))) tokens[id] = text;
  }
  return tokens;
}

/** GPT-2's spelling of bytes in vocab.json: printable characters are themselves, the others 256 and up, in order. */
export function byteSpelling() {
  const bytes = new Map();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    bytes.set(String.fromCodePoint(printable ? byte : next++), byte);
  }
  return bytes;
}
