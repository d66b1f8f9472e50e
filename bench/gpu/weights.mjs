// Random weights for speed alone: every parameter lies somewhere in one file of a few blocks of random numbers that repeat, so that 1.5 G
// parameters need 0.2 GB and a second to make. They are scaled as scripts/make-random-checkpoint.mjs scales its own; what the network says is
// nonsense, what it costs is right.
import { mkdtempSync, openSync, closeSync, writeSync, rmSync, realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFrom } from "../../dist/decoding/random.js";
import { parameterDims } from "../../dist/model/index.js";
import { toFloat32 } from "../../dist/tensor/index.js";
import { normals } from "./gpu.mjs";

/** A prime: no row of a matrix is a row of another place. */
const BLOCK = 1048573;

/** What a parameter is like: those of one kind share their numbers. */
function kindOf(name, dims, { nTextState, nMels }) {
  const root = (n) => 1 / Math.sqrt(n);
  if (name === "encoder.positional_embedding") return { kind: "sinusoids" };
  if (/embedding/.test(name)) return { kind: "embedding", mean: 0, deviation: 0.45 * root(nTextState) };
  if (/(^|_|\.)(ln|ln_post)\.weight$/.test(name)) return { kind: "norm", mean: 1, deviation: 0.1 };
  if (name.endsWith(".bias")) return { kind: "bias", mean: 0, deviation: 0.02 };
  if (name === "encoder.conv1.weight") return { kind: "conv1", mean: 0, deviation: root(3 * nMels) };
  if (name === "encoder.conv2.weight") return { kind: "conv2", mean: 0, deviation: root(3 * dims[1]) };
  return { kind: "linear", mean: 0, deviation: 0.9 * root(nTextState) };
}

function bfloat16(values) {
  const bits = new Uint32Array(values.buffer);
  return Uint16Array.from(bits, (x) => (x + 0x7fff + ((x >>> 16) & 1)) >>> 16);
}

function sinusoids([positions, state]) {
  const half = state / 2;
  const increment = Math.log(10000) / Math.max(half - 1, 1);
  return Float32Array.from({ length: positions * state }, (_, i) => {
    const angle = Math.floor(i / state) * Math.exp(-increment * (i % half));
    return i % state < half ? Math.sin(angle) : Math.cos(angle);
  });
}

/**
 * Makes bfloat16 weights for a network.
 *
 * @returns a ParameterSource that can also `remove()` its file
 */
export function randomWeights(dimensions, seed = 1) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "sotto-weights-")));
  const file = join(folder, "weights.bin");
  const kinds = new Map();
  for (const [name, dims] of parameterDims(dimensions)) {
    const kind = kindOf(name, dims, dimensions);
    const count = dims.reduce((product, n) => product * n, 1);
    const known = kinds.get(kind.kind) ?? { ...kind, dims, count: 0 };
    known.count = Math.max(known.count, count);
    kinds.set(kind.kind, known);
  }

  const out = openSync(file, "w");
  let written = 0;
  for (const [index, kind] of [...kinds.values()].entries()) {
    kind.byteOffset = written;
    if (kind.kind === "sinusoids") {
      written += writeSync(out, bfloat16(sinusoids(kind.dims)));
      continue;
    }
    const block = bfloat16(normals(BLOCK, kind.deviation, 1000 * seed + index, kind.mean));
    // One block more than the largest needs, as each parameter begins elsewhere in the first.
    for (let done = 0; done < kind.count + BLOCK; done += BLOCK) written += writeSync(out, block);
  }
  closeSync(out);

  const random = randomFrom(seed);
  const stored = new Map();
  for (const [name, dims] of parameterDims(dimensions)) {
    const { kind, byteOffset } = kinds.get(kindOf(name, dims, dimensions).kind);
    const start = kind === "sinusoids" ? 0 : Math.floor(random() * BLOCK);
    const byteLength = 2 * dims.reduce((product, n) => product * n, 1);
    stored.set(name, { name, dtype: "bfloat16", dims, file, byteOffset: byteOffset + 2 * start, byteLength });
  }
  return {
    dimensions,
    path: folder,
    fingerprint: `random weights ${seed} of ${JSON.stringify(dimensions)}`,
    stored: (name) => stored.get(name),
    read: async (name) => {
      const { byteOffset, byteLength } = stored.get(name);
      const bytes = (await readFile(file)).subarray(byteOffset, byteOffset + byteLength);
      return toFloat32(Uint8Array.from(bytes), "bfloat16");
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
