// Recordings that programs stumble over: silence before speech, sounds without speech, streams that begin late or have holes.
import { existsSync } from "node:fs";
import { join } from "node:path";

const JFK =
  "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.";
const GERMAN =
  "Guten Tag, meine Damen und Herren. Heute sprechen wir über das Wetter in Berlin und über die Geschichte der Stadt. " +
  "Morgen wird es regnen, aber am Wochenende scheint wieder die Sonne.";

/**
 * What is in each file. Where a container shifts sound in time, samples as sotto's loader gives them go to all programs: what is compared is the
 * text, and the loader has tests of its own.
 */
const FAULTS = [
  { file: "digital_silence_10s.flac", reference: "", speech: [] },
  { file: "tone_0.05s.wav", reference: "", speech: [] },
  { file: "pink_noise_60s.ogg", reference: "", speech: [] },
  { file: "silence40_then_german.flac", language: "de", reference: GERMAN, speech: [{ start: 40, end: 52.21 }] },
  { file: "jfk_4s.wav", language: "en", reference: "And so, my fellow Americans, ask", speech: [{ start: 0, end: 4 }] },
  { file: "antiphase_stereo.mp3", language: "en", reference: JFK, speech: [{ start: 0, end: 11 }] },
  { file: "audio_starts_at_4s.mp4", language: "en", reference: JFK, speech: [{ start: 4, end: 15.01 }] },
  {
    file: "gap_of_5s_at_5s.m4a",
    language: "en",
    reference: JFK,
    speech: [
      { start: 0, end: 5 },
      { start: 10, end: 16 },
    ],
  },
  { file: "two_tracks_tone_then_speech.mkv", language: "en", reference: JFK, speech: [{ start: 0, end: 11 }] },
];

/**
 * @param {Pick<import("./sets.mjs").Sources, "faults" | "loadAudio">} sources
 * @returns {Promise<import("./sets.mjs").Item[]>}
 * @throws {Error} if there is no such folder
 */
export async function faultItems({ faults, loadAudio }) {
  if (!existsSync(faults)) throw new Error(`There is no folder "${faults}"; --faults names it`);
  return FAULTS.filter(({ file }) => existsSync(join(faults, file))).map(({ file, language = null, ...rest }) => ({
    name: file,
    language,
    ...rest,
    load: () => loadAudio(join(faults, file)),
  }));
}
