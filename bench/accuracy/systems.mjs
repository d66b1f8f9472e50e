// What is compared. A system's name says all of it: "sotto:vad:int8:beam5", "faster-whisper:int8:batched:vad:beam5".
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * @typedef {object} System
 * @property {string} name
 * @property {string} process those with the same share a process, so that the model is loaded once
 * @property {{ command: string, args: string[], env?: Record<string, string> }} launch
 * @property {object} options sent with each recording
 * @property {boolean} cached whether its results are kept: not sotto's, which is what changes
 * @property {string | null} missing why it cannot be run
 *
 * @typedef {object} Places
 * @property {string} model a checkpoint of Hugging Face's layout
 * @property {string} sotto a checkout with its dist
 * @property {string | null} python with the peers' packages
 * @property {number} threads
 */

const SOTTO = ["vad", "chunked", "sequential"].flatMap((algorithm) =>
  ["int8", "float32"].flatMap((dtype) => ["greedy", "beam5"].map((search) => `sotto:${algorithm}:${dtype}:${search}`)),
);
const FASTER_WHISPER = ["int8", "float32"].flatMap((dtype) =>
  ["batched", "sequential"].flatMap((way) =>
    ["vad", "no-vad"].map((vad) => `faster-whisper:${dtype}:${way}:${vad}:beam5`),
  ),
);

/** Names of all systems that are run by default. */
export const SYSTEMS = [
  "sotto:default:int8",
  ...SOTTO,
  "openai-whisper:float32:beam5",
  "openai-whisper:float32:greedy",
  ...FASTER_WHISPER,
  "transformers:float32:chunked:greedy",
  "transformers:float32:chunked:beam5",
  "transformers:float32:long-form:greedy",
  "transformers:float32:long-form:beam5",
];

/**
 * The systems of some names. A name may be the beginning of several: "faster-whisper:int8" are four.
 *
 * @param {readonly string[] | undefined} names all if undefined; algorithms of sotto that are not listed are taken as they are
 * @throws {Error} for a name that is the beginning of none
 */
export function selectSystems(names) {
  if (names === undefined) return SYSTEMS;
  return [
    ...new Set(
      names.flatMap((name) => {
        const found = SYSTEMS.includes(name) ? [name] : SYSTEMS.filter((one) => one.startsWith(`${name}:`));
        if (found.length > 0) return found;
        if (name.startsWith("sotto:") && name.split(":").length >= 3) return [name];
        throw new Error(`There is no system "${name}", expected the beginning of one of\n  ${SYSTEMS.join("\n  ")}`);
      }),
    ),
  ];
}

/**
 * @param {string} name
 * @param {Places} places
 * @returns {System}
 */
export function systemOf(name, places) {
  const [program, ...words] = name.split(":");
  return program === "sotto" ? sotto(name, words, places) : peer(name, program, words, places);
}

/** Number of beams; greedy and what does not say are 1. */
function beamOf(words) {
  const word = words.find((one) => /^beam\d+$/.test(one));
  return word === undefined ? 1 : Number(word.slice("beam".length));
}

function sotto(name, [algorithm, dtype, ...words], { model, sotto, threads }) {
  const entry = join(sotto, "dist", "index.js");
  const beam = beamOf(words);
  return {
    name,
    process: `sotto:${dtype}`,
    launch: { command: process.execPath, args: [here("sotto.mjs"), entry, model, dtype, String(threads)] },
    options: { ...(algorithm !== "default" && { algorithm }), ...(beam > 1 && { beamSize: beam }) },
    cached: false,
    missing: existsSync(entry) ? null : `there is no "${entry}": npm run build`,
  };
}

/** The same weights in each program's own layout, as they lie beside one another: MODELS/hf/whisper-base, ct2/base, pt/base.pt. */
function weightsOf(program, model) {
  const root = dirname(dirname(model));
  const size = basename(model).replace(/^whisper-/, "");
  return {
    "openai-whisper": join(root, "pt", `${size}.pt`),
    "faster-whisper": join(root, "ct2", size),
    transformers: model,
  }[program];
}

function peer(name, program, words, { model, python, threads }) {
  const weights = weightsOf(program, model);
  const missing =
    python === null
      ? "--python names no interpreter that has it"
      : existsSync(weights)
        ? null
        : `there are no weights for it at "${weights}"`;
  const beam = beamOf(words);
  const options = {
    "openai-whisper": { beam },
    "faster-whisper": { dtype: words[0], batched: words.includes("batched"), vad: words.includes("vad"), beam },
    transformers: { chunked: words.includes("chunked"), beam },
  }[program];
  return {
    name,
    process: program,
    launch: {
      command: python ?? "",
      args: [here("peers.py"), program, weights, String(threads)],
      // PyTorch's pools spin while they wait: on a busy machine two threads took four times as long as one.
      env: { OMP_NUM_THREADS: String(threads) },
    },
    options,
    cached: true,
    missing,
  };
}
