// What is transcribed: sets of recordings with what is said in them, and where.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { faultItems } from "./faults.mjs";
import { concatenate, joinedRecording } from "./joined.mjs";
import { makeSound, SOUNDS } from "./sounds.mjs";

/**
 * @typedef {object} Stretch a part of a recording in which somebody speaks
 * @property {number} start seconds
 * @property {number} end
 * @property {string} [text] what is said in it
 * @property {string} [language] code
 *
 * @typedef {object} Item a recording
 * @property {string} name
 * @property {string | null} language code; null where nothing is said or several languages are
 * @property {string | null} reference what is said; "" if nothing; null if it is not known or stands in `speech`
 * @property {Stretch[] | null} speech where, in order; null if not known
 * @property {() => Promise<Float32Array>} load samples at 16 kHz, mono
 *
 * @typedef {object} Sources
 * @property {string} audio folder of real recordings with a manifest.json
 * @property {string} faults folder of recordings that programs stumble over
 * @property {number} joinedSeconds length of what is joined, about
 * @property {(path: string) => Promise<Float32Array>} loadAudio
 */

/** A recording of at least this length is long: it needs more than one window. */
const LONG_SECONDS = 50;

export const SETS = {
  short: "real recordings below 50 s",
  long: "real recordings of 50 s and more",
  hour: "the English recordings, joined to an hour with pauses, music, noise, hum and silence between them",
  "hour-mixed": "the recordings of all languages, joined in the same way",
  silence:
    "a minute each of silence, noise, hum, a tone and music without a voice at four levels, and ten minutes of all of them",
  faults: "recordings that programs stumble over",
};

/**
 * @param {keyof typeof SETS} name
 * @param {Sources} sources
 * @returns {Promise<Item[]>}
 * @throws {Error} if the files that it is made of are not there
 */
export async function loadSet(name, sources) {
  switch (name) {
    case "short":
      return realItems(sources).filter(({ seconds }) => seconds < LONG_SECONDS);
    case "long":
      return realItems(sources).filter(({ seconds }) => seconds >= LONG_SECONDS);
    case "hour":
    case "hour-mixed": {
      const clips = realItems(sources).filter(({ language }) => name === "hour-mixed" || language === "en");
      return [await joinedRecording(name, clips, { seconds: sources.joinedSeconds, seed: 1 })];
    }
    case "silence":
      return silenceItems();
    case "faults":
      return faultItems(sources);
  }
  throw new Error(`There is no set "${name}", expected one of ${Object.keys(SETS).join(", ")}`);
}

/** The recordings of which it is known what is said. */
function realItems({ audio, loadAudio }) {
  const manifest = join(audio, "manifest.json");
  if (!existsSync(manifest)) throw new Error(`There is no "${manifest}"; --audio names the folder that has it`);
  return JSON.parse(readFileSync(manifest, "utf8"))
    .filter(({ text }) => typeof text === "string")
    .map(({ file, language, seconds, text }) => ({
      name: file,
      language,
      seconds,
      reference: text,
      speech: null,
      load: () => loadAudio(join(audio, file)),
    }));
}

/** Decibels below full scale. */
const LEVELS = [-60, -40, -25, -10];
const MINUTE = 60;

function silenceItems() {
  const minutes = SOUNDS.flatMap((kind, k) =>
    (kind === "silence" ? [0] : LEVELS).map((decibels, l) => ({
      name: kind === "silence" ? kind : `${kind} ${decibels} dB`,
      language: null,
      reference: "",
      speech: [],
      load: async () => makeSound(kind, MINUTE, decibels, 100 * k + l),
    })),
  );
  const tenMinutes = {
    name: "ten minutes",
    language: null,
    reference: "",
    speech: [],
    async load() {
      const parts = Array.from({ length: 30 }, (_, i) =>
        makeSound(SOUNDS[i % SOUNDS.length], 20, LEVELS[Math.floor(i / SOUNDS.length) % LEVELS.length], 1000 + i),
      );
      return concatenate(parts);
    },
  };
  return [...minutes, tenMinutes];
}
