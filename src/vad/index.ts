/** Voice activity: which parts of a recording are speech. */
export { CONTEXT_SAMPLES, FRAME_SAMPLES } from "./constants.ts";
export { SileroVad, type SileroState } from "./silero-vad.ts";
export { VoiceActivityDetector } from "./voice-activity-detector.ts";
