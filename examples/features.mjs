// Draws the log-Mel spectrogram of a recording in a terminal, high tones above: what the model hears. No model is needed.
//
//   node examples/features.mjs samples/en-short.wav

import { loadAudio } from "sotto/audio";
import { logMelSpectrogram } from "sotto/features";

const SHADES = " .:-=+*#%@";
const COLUMNS = 100;
const BINS_PER_LINE = 4;

const { data, dims } = logMelSpectrogram(await loadAudio(process.argv[2]), 80);
const [nMels, nFrames] = dims;

for (let mel = nMels - BINS_PER_LINE; mel >= 0; mel -= BINS_PER_LINE) {
  let line = "";
  for (let column = 0; column < COLUMNS; column++) {
    const value = data[mel * nFrames + Math.floor((column * nFrames) / COLUMNS)]; // about -1 to 1
    line += SHADES[Math.max(0, Math.min(SHADES.length - 1, Math.floor(((value + 1) / 2) * SHADES.length)))];
  }
  console.log(line);
}
