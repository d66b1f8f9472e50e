// Sounds in which nobody speaks, at 16 kHz, mono: silence, noise, hum, a tone, music. The same seed gives the same samples.
import { seededRandom } from "./random.mjs";

const SAMPLE_RATE = 16000;

/** Generators by name: (length in samples, random) to samples of any level. */
const GENERATORS = { white, pink, hum, sine, music };

export const SOUNDS = ["silence", ...Object.keys(GENERATORS)];

/**
 * @param {string} kind of SOUNDS
 * @param {number} seconds
 * @param {number} decibels root mean square, relative to full scale; peaks are clipped to [-1, 1]. Nothing to silence
 * @param {number} seed
 * @returns {Float32Array}
 */
export function makeSound(kind, seconds, decibels, seed) {
  const length = Math.round(seconds * SAMPLE_RATE);
  if (kind === "silence") return new Float32Array(length);
  const samples = GENERATORS[kind](length, seededRandom(seed));
  const power = samples.reduce((sum, value) => sum + value * value, 0) / Math.max(1, length);
  const gain = 10 ** (decibels / 20) / Math.sqrt(power || 1);
  return samples.map((value) => Math.max(-1, Math.min(1, gain * value)));
}

/** Normally distributed (Box and Muller). */
function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function white(length, random) {
  return Float32Array.from({ length }, () => normal(random));
}

/** Power falls by 3 dB an octave: Voss and McCartney, sixteen sources, source k renewed every 2^k samples. */
function pink(length, random) {
  const sources = Array.from({ length: 16 }, () => normal(random));
  let sum = sources.reduce((total, value) => total + value, 0);
  return Float32Array.from({ length }, (_, i) => {
    const source = i === 0 ? 0 : Math.min(15, 31 - Math.clz32(i & -i));
    const value = normal(random);
    sum += value - sources[source];
    sources[source] = value;
    return sum + normal(random);
  });
}

/** Mains hum: 50 or 60 Hz and its harmonics, over a little noise. */
function hum(length, random) {
  const base = random() < 0.5 ? 50 : 60;
  const partials = Array.from({ length: 8 }, (_, k) => ({
    frequency: base * (k + 1),
    amplitude: (0.3 + random()) / (k + 1),
    phase: 2 * Math.PI * random(),
  }));
  return Float32Array.from({ length }, (_, i) =>
    partials.reduce(
      (sum, { frequency, amplitude, phase }) =>
        sum + amplitude * Math.sin((2 * Math.PI * frequency * i) / SAMPLE_RATE + phase),
      0.01 * normal(random),
    ),
  );
}

function sine(length, random) {
  const frequency = 200 * 2 ** (4 * random()); // 200 to 3200 Hz
  return Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / SAMPLE_RATE));
}

const MAJOR_SCALE = [0, 2, 4, 5, 7, 9, 11];
/** Degrees of the scale that chords are built on; four bars, then again. */
const PROGRESSIONS = [
  [0, 4, 5, 3],
  [0, 5, 3, 4],
  [5, 3, 0, 4],
  [1, 4, 0, 0],
];

/** Chords, a melody, a bass and drums in 4/4, without a voice. */
function music(length, random) {
  const out = new Float32Array(length);
  const beat = 60 / (80 + 60 * random()); // seconds
  const tonic = 48 + Math.floor(12 * random()); // MIDI note
  const progression = PROGRESSIONS[Math.floor(random() * PROGRESSIONS.length)];
  const note = (degree, octave) => {
    const steps = MAJOR_SCALE[((degree % 7) + 7) % 7] + 12 * (octave + Math.floor(degree / 7));
    return 440 * 2 ** ((tonic + steps - 69) / 12);
  };
  const beats = Math.ceil(length / SAMPLE_RATE / beat);
  let melody = 7;
  for (let i = 0; i < beats; i++) {
    const at = i * beat;
    const root = progression[Math.floor(i / 4) % 4];
    if (i % 4 === 0) {
      for (const third of [0, 2, 4]) addTone(out, at, 4 * beat, note(root + third, 0), 0.12, ORGAN);
      addTone(out, at, 2 * beat, note(root, -1), 0.3, PLUCKED);
      addTone(out, at + 2 * beat, 2 * beat, note(root + 4, -1), 0.25, PLUCKED);
    }
    const notes = random() < 0.4 ? 2 : 1;
    for (let k = 0; k < notes; k++) {
      melody = Math.max(3, Math.min(16, melody + Math.floor(5 * random()) - 2));
      addTone(out, at + (k * beat) / notes, beat / notes, note(melody, 0), 0.22, PLUCKED);
    }
    addDrum(out, at, i % 2 === 0 ? "kick" : "snare", random);
    addDrum(out, at + beat / 2, "hat", random);
  }
  return out;
}

const ORGAN = { partials: [1, 0.5, 0.3, 0.15], decay: 0.3, attack: 0.05 };
const PLUCKED = { partials: [1, 0.6, 0.4, 0.25, 0.15, 0.1], decay: 3, attack: 0.005 };

/** @param decay of the amplitude, in nepers a second */
function addTone(out, start, seconds, frequency, gain, { partials, decay, attack }) {
  const from = Math.round(start * SAMPLE_RATE);
  const count = Math.min(out.length - from, Math.round(seconds * SAMPLE_RATE));
  for (let i = 0; i < count; i++) {
    const t = i / SAMPLE_RATE;
    const envelope = Math.min(1, t / attack, (seconds - t) / 0.02) * Math.exp(-decay * t);
    let value = 0;
    for (let k = 0; k < partials.length; k++) value += partials[k] * Math.sin(2 * Math.PI * frequency * (k + 1) * t);
    out[from + i] += gain * envelope * value;
  }
}

function addDrum(out, start, kind, random) {
  const from = Math.round(start * SAMPLE_RATE);
  const { seconds, gain } = {
    kick: { seconds: 0.15, gain: 0.7 },
    snare: { seconds: 0.15, gain: 0.25 },
    hat: { seconds: 0.05, gain: 0.1 },
  }[kind];
  const count = Math.min(out.length - from, Math.round(seconds * SAMPLE_RATE));
  for (let i = 0; i < count; i++) {
    const t = i / SAMPLE_RATE;
    const envelope = gain * Math.exp((-5 * t) / seconds);
    // A kick is a tone that falls, from 120 towards 40 Hz; the others are noise.
    out[from + i] +=
      envelope * (kind === "kick" ? Math.sin(2 * Math.PI * (40 * t + 4 * (1 - Math.exp(-20 * t)))) : normal(random));
  }
}
