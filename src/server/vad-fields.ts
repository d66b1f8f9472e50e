/** Form fields of voice activity detection, under faster-whisper's names, and the options that they stand for. */
import type { z } from "zod";
import type { VadTranscriptionOptions } from "../transcription/index.ts";
import { numberField } from "./forms.ts";

/** Above a minute nothing would ever end. */
const MAX_MS = 60_000;

export const VAD_FIELDS = {
  vad_threshold: numberField({ min: 0, max: 1 }).optional().describe("probability at which speech begins; default 0.5"),
  vad_neg_threshold: numberField({ min: 0, max: 1 }).optional().describe("probability below which it ends"),
  vad_min_speech_duration_ms: numberField({ min: 0, max: MAX_MS }).optional().describe("shorter speech is ignored"),
  vad_min_silence_duration_ms: numberField({ min: 0, max: MAX_MS }).optional().describe("silence that ends speech"),
  vad_speech_pad_ms: numberField({ min: 0, max: 7500 }).optional().describe("silence kept around a window's speech"),
};

type VadForm = Partial<z.output<z.ZodObject<typeof VAD_FIELDS>>>;

/** The options that a form gives; none where it is silent. */
export function vadOptions(form: VadForm): Partial<VadTranscriptionOptions> {
  const options = {
    vadThreshold: form.vad_threshold,
    vadNegThreshold: form.vad_neg_threshold,
    vadMinSpeechDurationMs: form.vad_min_speech_duration_ms,
    vadMinSilenceDurationMs: form.vad_min_silence_duration_ms,
    vadSpeechPadMs: form.vad_speech_pad_ms,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
