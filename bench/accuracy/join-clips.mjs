// Clips whose speech begins and ends where they do, and random joins of them with pauses.
import { concatenate } from "./joined.mjs";
import { shuffled } from "./random.mjs";
import { makeSound } from "./sounds.mjs";

const SAMPLE_RATE = 16000;
/** Seconds; longer ones hold pauses of their own, which segments may rightly leave out. */
const LONGEST_CLIP = 12;
/** Samples: 20 ms. */
const FRAME = 320;
/** Speech is where several frames in a row are at most this much below the loud ones, in decibels: breath and clicks are not. */
const SPEECH_RANGE = 22;
const RUN = 5;

/** Clips in one join. */
const CLIPS = { least: 1, most: 6 };
/** Seconds between them, and before the first and behind the last. */
const PAUSES = { least: 0.2, most: 8 };
/** Decibels of the pink noise in pauses: from a quiet room's down to almost nothing. */
const ROOM = { quietest: -85, loudest: -60 };

/**
 * The short ones of some recordings, cut to where their speech begins and ends.
 *
 * @param {import("./sets.mjs").Item[]} items
 * @returns {Promise<{ name: string, language: string, text: string, samples: Float32Array }[]>}
 */
export async function usableClips(items) {
  const short = items.filter(({ seconds }) => seconds <= LONGEST_CLIP);
  return Promise.all(
    short.map(async ({ name, language, reference, load }) => ({
      name,
      language,
      text: reference,
      samples: trimmed(await load()),
    })),
  );
}

/** Without what is quiet at the beginning and the end. */
function trimmed(samples) {
  const energies = Array.from({ length: Math.floor(samples.length / FRAME) }, (_, i) =>
    samples.subarray(i * FRAME, (i + 1) * FRAME).reduce((sum, value) => sum + value * value, 0),
  );
  const loud = [...energies].sort((a, b) => a - b)[Math.floor(0.95 * energies.length)];
  const isLoud = (energy) => energy > loud * 10 ** (-SPEECH_RANGE / 10);
  const isSpeech = (_, i) => i + RUN <= energies.length && energies.slice(i, i + RUN).every(isLoud);
  return samples.slice(energies.findIndex(isSpeech) * FRAME, (energies.findLastIndex(isSpeech) + RUN) * FRAME);
}

/**
 * Some clips of one language in a row, with pauses.
 *
 * @param {Awaited<ReturnType<typeof usableClips>>} clips
 * @param {() => number} random
 * @returns {{ samples: Float32Array, language: string, clips: { name: string, text: string, start: number, end: number }[] }} seconds
 */
export function makeJoin(clips, random) {
  const between = (least, most) => least + (most - least) * random();
  const pause = () => {
    const decibels = between(ROOM.quietest, ROOM.loudest);
    // Short pauses are the hard ones, and the frequent ones: uniform in the logarithm.
    const seconds = PAUSES.least * (PAUSES.most / PAUSES.least) ** random();
    return makeSound("pink", seconds, decibels, Math.floor(random() * 2 ** 31));
  };
  const { language } = clips[Math.floor(random() * clips.length)];
  // Each once: what is said twice would not be told from what is written twice.
  const choice = shuffled(
    clips.filter((clip) => clip.language === language),
    random,
  );
  const pieces = [pause()];
  const placed = [];
  let at = pieces[0].length;
  const count = Math.floor(between(CLIPS.least, CLIPS.most + 1));
  for (const { name, text, samples } of choice.slice(0, count)) {
    const gap = pause();
    placed.push({ name, text, start: at / SAMPLE_RATE, end: (at + samples.length) / SAMPLE_RATE });
    pieces.push(samples, gap);
    at += samples.length + gap.length;
  }
  return { samples: concatenate(pieces), language, clips: placed };
}
