/**
 * Audio of any kind -> mono 16 kHz samples.
 */

export type { AudioGap, AudioInput, AudioStream, LoadAudioOptions, SampledAudio } from "./audio-input.ts";
export { N_SAMPLES, SAMPLE_RATE } from "./constants.ts";
export { AUDIO_OPTIONS, loadAudio, openAudio } from "./open-audio.ts";
export { padOrTrim } from "./pad-or-trim.ts";
export { resample, Resampler } from "./resample.ts";
export { encodeWav, looksLikeWav, parseWavHeader, type WavHeader } from "./wav.ts";
export type { SampleFormat } from "./channels.ts";
