/** Live captions: samples in, partial and committed text out. */
export { Endpointer, type Endpointing, type EndpointerEvent, type VoiceOptions } from "./endpointer.ts";
export { eventObject } from "./event-json.ts";
export type { CommitEvent, FinalEvent, LiveEvent, PartialEvent, SpeechEndEvent, SpeechStartEvent } from "./events.ts";
export { HypothesisBuffer } from "./hypothesis-buffer.ts";
export type { EndpointingOptions, LiveContext, LiveOptions } from "./live-options.ts";
export { LiveSession } from "./live-session.ts";
export { OggPackets } from "./ogg-packets.ts";
export { OpusStream } from "./opus-stream.ts";
export { PCM_FORMATS, PcmDecoder, type PcmFormat } from "./pcm.ts";
export { Utterance, type Hypothesis, type TranscribeBuffer, type WholeResult, type WholeText } from "./utterance.ts";
export { WebmPackets } from "./webm-packets.ts";
