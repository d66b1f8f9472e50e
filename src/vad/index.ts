/** Voice activity: which parts of a recording are speech. */
export { CONTEXT_SAMPLES, FRAME_SAMPLES } from "./constants.ts";
export { SileroVad, type SileroState } from "./silero-vad.ts";
export { SpeechSegmenter, speechSpans, type SpeechSpan } from "./speech-segmenter.ts";
export { resolveVad, VAD_OPTIONS, type ResolvedVad, type VadOptions } from "./vad-options.ts";
export { VoiceActivityDetector } from "./voice-activity-detector.ts";
