// Numbers first: whether the kernels and the engine are right on this GPU. The other stages are worth nothing where this one fails.
//
//   node bench/gpu/check.mjs [--small]
//
// 1. Every kernel against plain loops, and the engine against the reference engine: the tests of test/cuda and test/contract/cuda.test.ts.
// 2. The network at its real width, in 16 bits beside float32 on the same GPU: the kernels for large matrices have shapes that toys do not reach.
// 3. Generation again and again: captured steps give the same tokens and log-probabilities every time; float32 says the same in any company.
// 4. encodeSamples() beside encode() of log-Mel spectrograms made on the processor.
// 5. The bundled model: float32 says what the processor says, to the word.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCudaEngine } from "../../dist/engine/cuda/index.js";
import { logMelWindow } from "../../dist/features/index.js";
import { tensor } from "../../dist/tensor/index.js";
import { assertClose, normals, openGpu } from "./gpu.mjs";
import { isSmall, save } from "./report.mjs";
import { dimensionsOf } from "./sizes.mjs";
import { transcripts } from "./transcripts.mjs";
import { randomWeights } from "./weights.mjs";
import { audioOf, requestsOf, tokenCounts } from "./workload.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Relative errors of features and logits, as the engine's contract has them. */
const HALF_TOLERANCE = { float16: 0.02, bfloat16: 0.1 };
/** Share of words that 16 bits may change. */
const WORD_TOLERANCE = 0.05;

const { about } = openGpu();
const done = [];
console.log(`${about.name}, compute capability ${about.computeCapability}, driver ${about.driver}`);

async function check(name, work) {
  const started = performance.now();
  const said = await work();
  const seconds = (performance.now() - started) / 1e3;
  done.push([name, said, `${seconds.toFixed(1)} s`]);
  console.log(`${name}: ${said} (${seconds.toFixed(1)} s)`);
}

await check("tests", runTests);
for (const dtype of ["float16", "bfloat16"]) await check(`real width, ${dtype}`, () => realWidth(dtype));
for (const dtype of ["float32", "float16", "bfloat16"]) await check(`again and again, ${dtype}`, () => again(dtype));
await check("samples", samples);
await check("bundled model", bundledModel);
save("check", { gpu: about, done }, [{ title: `Checked on ${about.name}`, columns: ["what", "", ""], rows: done }]);

/** @returns what the runner counted */
async function runTests() {
  const runner = fileURLToPath(new URL("test-runner.mjs", import.meta.url));
  const isBundle = existsSync(join(root, "compiled-tests"));
  const few = isSmall ? ["test/cuda/layer-norm"] : ["test/cuda", "test/contract/cuda"];
  const [program, ...args] = isBundle
    ? [process.execPath, runner, ...(isSmall ? ["layer-norm"] : [])]
    : ["npx", "vitest", "run", ...few];
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (text) => {
    output += text;
    process.stdout.write(text);
  });
  const [status] = await once(child, "close");
  if (status !== 0) throw new Error("Tests fail");
  if (!isBundle) return /Tests\s+(.*)/.exec(output)?.[1] ?? "";
  const { passed, skipped } = JSON.parse(output.trim().split("\n").at(-1));
  return `${passed} passed, ${skipped} skipped`;
}

/** Spectrograms as loud as real ones: [batch, nMels, frames]. */
function spectrograms({ nMels, nAudioCtx }, batch, seed) {
  const dims = [batch, nMels, 2 * nAudioCtx];
  return tensor(normals(dims[0] * dims[1] * dims[2], 0.5, seed), dims);
}

async function realWidth(dtype) {
  const dimensions = { ...dimensionsOf("large-v2"), nAudioLayer: 2, nTextLayer: 2 };
  const weights = randomWeights(dimensions, 5);
  // More than are encoded at a time.
  const batch = isSmall ? 3 : 34;
  const mel = spectrograms(dimensions, batch, 6);
  const random = normals(batch * 20, 10000, 7);
  const rows = Array.from({ length: batch }, (_, window) => ({
    window,
    prompt: Array.from(random.subarray(window * 9, window * 9 + 9), (x) => Math.round(Math.abs(x)) % dimensions.nVocab),
  }));
  const run = async (type) => {
    const engine = await createCudaEngine(weights, { dtype: type });
    const audio = await engine.encode(mel, { keepFeatures: true });
    const { state, logits } = await engine.startDecoder(audio, rows);
    const stepped = await engine.step(
      state,
      Int32Array.from(rows, ({ prompt }) => prompt[3]),
    );
    state.dispose();
    await engine.dispose();
    return { features: audio.features.data, logits, stepped };
  };
  const expected = await run("float32");
  const actual = await run(dtype);
  weights.remove();
  const errors = ["features", "logits", "stepped"].map((part) => {
    const error = assertClose(part, actual[part], expected[part], HALF_TOLERANCE[dtype]);
    return `${part} ${error.toExponential(1)}`;
  });
  return `against float32: ${errors.join(", ")}`;
}

async function again(dtype) {
  const dimensions = dimensionsOf(isSmall ? "tiny" : "base");
  const weights = randomWeights(dimensions, 8);
  const engine = await createCudaEngine(weights, { dtype });
  const windows = isSmall ? 5 : 24;
  const audio = await engine.encode(spectrograms(dimensions, windows, 9));
  // All of one length: as soon as rows leave a batch, sums are made in another order, and when they do depends on when the host looks.
  const requests = requestsOf(new Array(windows).fill(isSmall ? 12 : 100), dimensions);
  const expected = await engine.generate(audio, requests);
  const runs = isSmall ? 2 : 8;
  for (let run = 0; run < runs; run++) {
    const same = await engine.generate(audio, requests);
    same.forEach((row, i) => {
      for (const part of ["tokens", "tokenLogprobs"]) {
        if (String(row[part]) !== String(expected[i][part])) throw new Error(`Run ${run}, row ${i}: other ${part}`);
      }
    });
  }
  const others = async (few) => {
    const rows = await engine.generate(audio, few);
    return rows.filter(
      (row, i) => String(row.tokens) !== String(expected[few[i].window].tokens.slice(0, row.tokens.length)),
    );
  };
  const alone = await others([requests[1]]);
  const counts = tokenCounts(windows);
  const mixed = await others(
    requests.map((request, i) => ({ ...request, maxNewTokens: Math.min(counts[i], request.maxNewTokens) })),
  );
  if (dtype === "float32" && alone.length + mixed.length > 0) throw new Error("Rows say other things in other company");
  await engine.dispose();
  weights.remove();
  const changed = `${mixed.length} of ${windows} rows other words in rows of other lengths, ${alone.length} of 1 alone`;
  return `${runs} runs of ${windows} rows the same to the bit; ${changed}`;
}

async function samples() {
  const dimensions = dimensionsOf(isSmall ? "tiny" : "base");
  const weights = randomWeights(dimensions, 10);
  const engine = await createCudaEngine(weights, { dtype: "float32" });
  const { nMels, nAudioCtx } = dimensions;
  const audio = audioOf(isSmall ? 6 : 60);
  const length = 320 * nAudioCtx;
  const windows = [audio.subarray(0, length), audio.subarray(1234, 1234 + Math.round(0.6 * length))];
  const size = nMels * 2 * nAudioCtx;
  const mel = new Float32Array(windows.length * size);
  windows.forEach((window, i) => mel.set(logMelWindow(window, nMels, 2 * nAudioCtx).data, i * size));
  const heads = [[0, 0], [1, 1]]; // prettier-ignore
  const tokens = [50258, 50259, 50359, 50363, 11, 22, 33, 50257];
  const heard = async (state) => {
    const attended = await engine.attend(
      state,
      [0, 1].map((window) => ({ window, tokens, from: 3, eot: 50257 })),
      heads,
    );
    return attended.flatMap(({ scores }) => [...scores.data]);
  };
  const expected = await heard(await engine.encode(tensor(mel, [windows.length, nMels, 2 * nAudioCtx])));
  const actual = await heard(await engine.encodeSamples(windows));
  await engine.dispose();
  weights.remove();
  return `against log-Mel on the processor: ${assertClose("attention", actual, expected, 1e-3).toExponential(1)}`;
}

async function bundledModel() {
  const carried = fileURLToPath(new URL("recordings", import.meta.url));
  const folder = existsSync(carried) ? carried : mkdtempSync(join(tmpdir(), "sotto-recordings-"));
  let expected;
  if (folder === carried) expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  else {
    writeFileSync(join(folder, "en-short.wav"), readFileSync(join(root, "samples/en-short.wav")));
    expected = await transcripts(folder, { device: "cpu", dtype: "float32" });
  }
  const said = [];
  for (const dtype of ["float32", "float16", "bfloat16"]) {
    const actual = await transcripts(folder, { device: "cuda", dtype });
    const same = JSON.stringify(actual) === JSON.stringify(expected);
    const changed = changedWords(textOf(actual), textOf(expected));
    if (dtype === "float32" && !same) {
      throw new Error(`float32 says ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
    }
    if (changed > WORD_TOLERANCE) throw new Error(`${dtype} changes ${(100 * changed).toFixed(0)} % of the words`);
    said.push(`${dtype} ${same ? "the same" : `${(100 * changed).toFixed(1)} % other words`}`);
  }
  if (folder !== carried) rmSync(folder, { recursive: true });
  return `against the processor's float32: ${said.join(", ")}`;
}

function textOf(transcript) {
  return Object.values(transcript)
    .flat()
    .map(([, , text]) => text)
    .join("");
}

/** Edits from one text to another, as a share of its words. */
function changedWords(actual, expected) {
  const [a, b] = [actual, expected].map((text) => text.trim().split(/\s+/));
  let row = b.map((_, j) => j + 1);
  a.forEach((word, i) => {
    let corner = i;
    let left = i + 1;
    row = row.map((above, j) => {
      const best = Math.min(above + 1, left + 1, corner + (word === b[j] ? 0 : 1));
      corner = above;
      return (left = best);
    });
  });
  return row.at(-1) / b.length;
}
