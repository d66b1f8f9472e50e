// The systems, the variants each is run in, and where they are found: environment variables, since they are built by whoever
// compares (README.md of this folder says how).
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { PeerProcess } from "./peer-process.mjs";
import { writeCTranslate2 } from "./convert/ctranslate2.mjs";
import { writeGgml } from "./convert/ggml.mjs";
import { writeOpenai } from "./convert/openai.mjs";
import { writeTransformersJs } from "./convert/transformers-js.mjs";

const run = promisify(execFile);
const driver = (name) => fileURLToPath(new URL(`drivers/${name}`, import.meta.url));

/**
 * @typedef {object} Model a checkpoint, and the folder for what is made from it
 * @property {import("../../dist/checkpoint/index.js").Checkpoint} checkpoint
 * @property {string} folder
 * @property {string} cache
 *
 * @typedef {object} Variant
 * @property {string} name
 * @property {boolean} exact its numbers are close enough to float32 for the same tokens
 * @property {boolean} [shares] spreads windows over replicas of one thread: for works of several windows only
 * @property {(model: Model) => Promise<string>} prepare makes the model file, gives its path
 * @property {(model: string, options: Record<string, string | number>) => { command: string, args: string[], env?: Record<string, string> }} launch
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {string | null} missing how to point to it, where it is not found
 * @property {Variant[]} variants
 */

const pairs = (options) => Object.entries(options).map(([key, value]) => `${key}=${value}`);

/** Makes a file or folder once. */
async function once(path, make) {
  if (!existsSync(path)) await make(path);
  return path;
}

/** @returns {Peer} */
export function sotto(dtypes) {
  const launch = (dtype) => (model, options) => ({
    command: process.execPath,
    args: [driver("sotto.mjs"), ...pairs({ ...options, model, dtype })],
  });
  return {
    name: "sotto",
    missing: null,
    variants: dtypes.map((dtype) => ({
      name: `sotto ${dtype}`,
      exact: dtype === "float32",
      launch: launch(dtype),
      // The first process packs the weights into the cache, once in a checkpoint's life: that is not what is measured.
      async prepare({ folder }) {
        const none = join(folder, "config.json");
        const options = { threads: 1, batch: 1, mels: 80, mel: none, prompt: "", suppress: "" };
        const process = await PeerProcess.start(launch(dtype)(folder, options));
        await process.end();
        return folder;
      },
    })),
  };
}

const GGML_TYPES = ["f16", "q8_0", "q5_1"];

async function ggmlFile({ checkpoint, folder, cache }, type, quantize) {
  const half = await once(join(cache, "ggml-f16.bin"), (path) => writeGgml(checkpoint, folder, path));
  if (type === "f16") return half;
  return once(join(cache, `ggml-${type}.bin`), async (path) => {
    await run(quantize, [half, `${path}.part`, type]);
    await rename(`${path}.part`, path);
  });
}

/** @returns {Peer[]} */
function whisperCpp(env) {
  const quantize = env.WHISPER_CPP_QUANTIZE;
  const builds = [
    { name: "whisper.cpp", variable: "WHISPER_CPP_DRIVER", types: GGML_TYPES },
    // A matrix library is of use to float16 matrices only: quantised ones are multiplied by whisper.cpp's own kernels.
    { name: "whisper.cpp+OpenBLAS", variable: "WHISPER_CPP_BLAS_DRIVER", types: ["f16"] },
  ];
  return builds.map(({ name, variable, types }) => {
    const path = env[variable];
    if (path === undefined)
      return { name, missing: `set ${variable} to the program built from drivers/whisper-cpp.cpp`, variants: [] };
    const missing =
      quantize === undefined && types.length > 1 ? "quantised: set WHISPER_CPP_QUANTIZE to whisper-quantize" : null;
    const usable = types.filter((type) => type === "f16" || quantize !== undefined);
    const variants = usable.flatMap((type) =>
      [
        { flash: 0, shares: false },
        { flash: 1, shares: false },
        { flash: 1, shares: true },
      ].map(({ flash, shares }) => ({
        name: `${name} ${type}${flash ? " flash" : ""}${shares ? " split" : ""}`,
        exact: type === "f16",
        shares,
        prepare: (model) => ggmlFile(model, type, quantize),
        launch: (model, options) => ({
          command: path,
          args: pairs({ ...options, model, flash, workers: shares ? options.threads : 1 }),
          env: { OPENBLAS_NUM_THREADS: String(shares ? 1 : options.threads) },
        }),
      })),
    );
    return { name, missing, variants };
  });
}

/** @returns {Peer} */
function ctranslate2(env) {
  const name = "CTranslate2";
  const path = env.CTRANSLATE2_DRIVER;
  if (path === undefined) {
    return { name, missing: "set CTRANSLATE2_DRIVER to the program built from drivers/ctranslate2.cpp", variants: [] };
  }
  const variant = (label, dtype, variables = {}, shares = false) => ({
    name: `${name} ${label}`,
    exact: dtype === "float32",
    shares,
    prepare: ({ checkpoint, folder, cache }) => {
      const target = join(cache, `ctranslate2-${dtype}`);
      return once(join(target, "model.bin"), () => writeCTranslate2(checkpoint, folder, target, dtype)).then(
        () => target,
      );
    },
    launch: (model, options) => ({
      command: path,
      args: pairs({ ...options, model, dtype, workers: shares ? options.threads : 1 }),
      env: { OMP_NUM_THREADS: String(shares ? 1 : options.threads), ...variables },
    }),
  });
  return {
    name,
    missing: null,
    variants: [
      variant("int8", "int8"),
      variant("int8 split", "int8", {}, true),
      variant("int8 AVX512", "int8", { CT2_FORCE_CPU_ISA: "AVX512" }),
      variant("float32", "float32"),
    ],
  };
}

/** @returns {Peer} */
function openaiWhisper(env) {
  const name = "openai/whisper";
  const python = env.OPENAI_WHISPER;
  if (python === undefined) return { name, missing: "set OPENAI_WHISPER to a python that has it", variants: [] };
  const variant = {
    name: `${name} float32`,
    exact: true,
    prepare: ({ checkpoint, cache }) => {
      const target = join(cache, "openai");
      return once(join(target, "index.json"), () => writeOpenai(checkpoint, target)).then(() => target);
    },
    launch: (model, options) => ({
      command: python,
      args: [driver("openai-whisper.py"), ...pairs({ ...options, model })],
    }),
  };
  return { name, missing: null, variants: [variant] };
}

/** @returns {Peer} */
function transformersJs(env) {
  const name = "transformers.js";
  const library = env.TRANSFORMERS_JS;
  if (library === undefined)
    return { name, missing: "set TRANSFORMERS_JS to a folder with node_modules", variants: [] };
  const variant = (dtype) => ({
    name: `${name} ${dtype}`,
    exact: dtype === "fp32",
    prepare: ({ checkpoint, folder, cache }) => {
      const target = join(cache, `transformers-js-${dtype}`);
      const last = join(target, "onnx", `decoder_model_merged${dtype === "fp32" ? "" : "_quantized"}.onnx`);
      return once(last, () => writeTransformersJs(checkpoint, folder, target, dtype)).then(() => target);
    },
    launch: (model, options) => ({
      command: process.execPath,
      args: [driver("transformers-js.mjs"), ...pairs({ ...options, model, dtype, library })],
    }),
  });
  return { name, missing: null, variants: [variant("q8"), variant("fp32")] };
}

/** @returns {Peer[]} all systems, sotto first */
export function peers(dtypes, env = process.env) {
  return [sotto(dtypes), ...whisperCpp(env), ctranslate2(env), openaiWhisper(env), transformersJs(env)];
}

/** Folder for what is made from a checkpoint. */
export async function modelCache(root, name) {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  return folder;
}
