// Joins recordings to a long one, with what lies between the words of real ones: pauses, silence, noise, hum, music. Deterministic.
import { seededRandom, shuffled } from "./random.mjs";
import { makeSound, SOUNDS } from "./sounds.mjs";

const SAMPLE_RATE = 16000;

/** Shares and lengths in seconds of what comes after a clip. */
const SHORT_PAUSE = { share: 0.6, least: 0.3, most: 2.5 };
const LONG_GAP = { least: 4, most: 25 };
/** Decibels of full scale that sounds between clips have. */
const QUIETEST = -55;
const LOUDEST = -12;
/** So that nothing clicks. */
const FADE_SECONDS = 0.02;

/**
 * A recording of a given length, about: all clips in random order, then again in another, each followed by a pause or by a sound without speech.
 *
 * @param {string} name
 * @param {import("./sets.mjs").Item[]} clips
 * @param {{ seconds: number, seed: number }} options
 * @returns {Promise<import("./sets.mjs").Item>} speech: the places of the clips with their texts; what is in them before the first word and
 *   after the last counts as speech
 */
export async function joinedRecording(name, clips, { seconds, seed }) {
  const random = seededRandom(seed);
  const loaded = await Promise.all(clips.map(async (clip) => ({ ...clip, samples: await clip.load() })));
  const pieces = [gapAfter(random)];
  const speech = [];
  let at = pieces[0].length;
  for (;;) {
    for (const { samples, reference, language } of shuffled(loaded, random)) {
      if ((at + samples.length) / SAMPLE_RATE > seconds) {
        const languages = [...new Set(clips.map((clip) => clip.language))];
        const joined = concatenate(pieces);
        return {
          name,
          language: languages.length === 1 ? languages[0] : null,
          reference: languages.length === 1 ? speech.map(({ text }) => text).join(" ") : null,
          speech,
          load: async () => joined,
        };
      }
      const gap = gapAfter(random);
      pieces.push(samples, gap);
      speech.push({ start: at / SAMPLE_RATE, end: (at + samples.length) / SAMPLE_RATE, text: reference, language });
      at += samples.length + gap.length;
    }
  }
}

function gapAfter(random) {
  const between = ({ least, most }) => least + (most - least) * random();
  if (random() < SHORT_PAUSE.share) {
    // Quieter than any recording's own noise, and as a room is: not digital silence.
    return makeSound("pink", between(SHORT_PAUSE), -75, Math.floor(random() * 2 ** 31));
  }
  const kind = SOUNDS[Math.floor(random() * SOUNDS.length)];
  const decibels = QUIETEST + (LOUDEST - QUIETEST) * random();
  return faded(makeSound(kind, between(LONG_GAP), decibels, Math.floor(random() * 2 ** 31)));
}

function faded(samples) {
  const length = Math.min(samples.length >> 1, Math.round(FADE_SECONDS * SAMPLE_RATE));
  for (let i = 0; i < length; i++) {
    samples[i] *= i / length;
    samples[samples.length - 1 - i] *= i / length;
  }
  return samples;
}

/** @param {Float32Array[]} pieces */
export function concatenate(pieces) {
  const joined = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
