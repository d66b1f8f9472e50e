/**
 * Settings of OpenAI's realtime transcription sessions (facts ecosystem 5.2), in the two shapes that clients send: that of the
 * general release, `session.update` with `audio.input`, and that of the beta, `transcription_session.update`.
 */
import { z } from "zod";
import type { LiveOptions, PcmFormat } from "../../live/index.ts";

/** OpenAI's names of models, which stand for the default model here. */
const OPENAI_MODELS =
  /^(whisper-1|gpt-4o(-mini)?-transcribe(-[\w-]+)?|gpt-realtime[\w-]*|gpt-4o(-mini)?-realtime[\w-]*)$/;

const VAD = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("server_vad"),
    threshold: z.number().min(0).max(1).nullish(),
    prefix_padding_ms: z.int().min(0).max(5000).nullish(),
    silence_duration_ms: z.int().min(100).max(10_000).nullish(),
    idle_timeout_ms: z.int().nullish(),
    create_response: z.boolean().nullish(),
    interrupt_response: z.boolean().nullish(),
  }),
  z.object({
    type: z.literal("semantic_vad"),
    eagerness: z.enum(["low", "medium", "high", "auto"]).nullish(),
    create_response: z.boolean().nullish(),
    interrupt_response: z.boolean().nullish(),
  }),
]);
const TRANSCRIPTION = z.object({
  model: z.string().nullish(),
  language: z.string().nullish(),
  prompt: z.string().nullish(),
  delay: z.enum(["minimal", "low", "medium", "high", "xhigh"]).nullish(),
});
const FORMAT = z.discriminatedUnion("type", [
  z.object({ type: z.literal("audio/pcm"), rate: z.int().min(8000).max(48_000).default(24_000) }),
  z.object({ type: z.literal("audio/pcmu") }),
  z.object({ type: z.literal("audio/pcma") }),
]);
const NOISE_REDUCTION = z.object({ type: z.enum(["near_field", "far_field"]) }).nullish();

/** The part of a session that may be changed, in the shape of the general release. Without a key nothing is changed. */
export const SESSION_UPDATE = z.object({
  type: z.literal("transcription"),
  audio: z
    .object({
      input: z
        .object({
          format: FORMAT.nullish(),
          noise_reduction: NOISE_REDUCTION,
          transcription: TRANSCRIPTION.nullish(),
          turn_detection: VAD.nullish(),
        })
        .nullish(),
    })
    .nullish(),
  include: z.array(z.string()).max(10).nullish(),
});
/** The same in the shape of the beta. */
export const BETA_UPDATE = z.object({
  input_audio_format: z.enum(["pcm16", "g711_ulaw", "g711_alaw"]).nullish(),
  input_audio_noise_reduction: NOISE_REDUCTION,
  input_audio_transcription: TRANSCRIPTION.nullish(),
  turn_detection: VAD.nullish(),
  include: z.array(z.string()).max(10).nullish(),
});

export type TurnDetection = z.output<typeof VAD>;

/** Settings of a session. */
export interface RealtimeSettings {
  readonly format: z.output<typeof FORMAT>;
  readonly noiseReduction: z.output<typeof NOISE_REDUCTION> | null;
  readonly transcription: z.output<typeof TRANSCRIPTION>;
  /** Null: the client says where turns end. */
  readonly turnDetection: TurnDetection | null;
  readonly include: readonly string[];
}

export const DEFAULT_SETTINGS: RealtimeSettings = {
  format: { type: "audio/pcm", rate: 24_000 },
  noiseReduction: null,
  transcription: {},
  turnDetection: { type: "server_vad", threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 },
  include: [],
};

/** The settings after an update; a key that is null sets to nothing, one that is missing changes nothing. */
export function updated(settings: RealtimeSettings, update: z.output<typeof SESSION_UPDATE>): RealtimeSettings {
  const input = update.audio?.input ?? {};
  return {
    format: input.format ?? settings.format,
    noiseReduction: input.noise_reduction === undefined ? settings.noiseReduction : input.noise_reduction,
    transcription: { ...settings.transcription, ...input.transcription },
    turnDetection: input.turn_detection === undefined ? settings.turnDetection : input.turn_detection,
    include: update.include ?? settings.include,
  };
}

/** The beta's shape in that of the general release. */
export function fromBeta(update: z.output<typeof BETA_UPDATE>): z.output<typeof SESSION_UPDATE> {
  const { input_audio_format: format, turn_detection } = update;
  return {
    type: "transcription",
    include: update.include,
    audio: {
      input: {
        ...(format === "pcm16" && { format: { type: "audio/pcm" as const, rate: 24_000 } }),
        ...(format === "g711_ulaw" && { format: { type: "audio/pcmu" as const } }),
        ...(format === "g711_alaw" && { format: { type: "audio/pcma" as const } }),
        transcription: update.input_audio_transcription,
        ...(update.input_audio_noise_reduction !== undefined && {
          noise_reduction: update.input_audio_noise_reduction,
        }),
        ...(turn_detection !== undefined && { turn_detection }),
      },
    },
  };
}

/** The session as the general release shows it. */
export function sessionDocument(id: string, settings: RealtimeSettings): object {
  return {
    id,
    object: "realtime.transcription_session",
    type: "transcription",
    audio: {
      input: {
        format: settings.format,
        noise_reduction: settings.noiseReduction,
        transcription: settings.transcription,
        turn_detection: settings.turnDetection,
      },
    },
    include: settings.include,
  };
}

/** The session as the beta shows it. */
export function betaDocument(id: string, settings: RealtimeSettings): object {
  const names = { "audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw" };
  return {
    id,
    object: "realtime.transcription_session",
    input_audio_format: names[settings.format.type],
    input_audio_noise_reduction: settings.noiseReduction,
    input_audio_transcription: settings.transcription,
    turn_detection: settings.turnDetection,
    include: settings.include,
    client_secret: null,
  };
}

/** How the samples come. */
export function wireFormat({ format }: RealtimeSettings): { readonly format: PcmFormat; readonly rate: number } {
  if (format.type === "audio/pcm") return { format: "pcm16", rate: format.rate };
  return { format: format.type === "audio/pcmu" ? "pcmu" : "pcma", rate: 8000 };
}

/** Silence that ends a turn where OpenAI's model of turns would decide, in seconds. */
const EAGERNESS = { low: 2, medium: 1, auto: 1, high: 0.5 };

/** The options of the live session. */
export function liveOptions({ transcription, turnDetection }: RealtimeSettings): LiveOptions {
  const { language, prompt } = transcription;
  return {
    ...(typeof language === "string" && language !== "" && { language }),
    ...(typeof prompt === "string" && { prompt }),
    endpointing:
      turnDetection === null
        ? null
        : turnDetection.type === "semantic_vad"
          ? { silenceSeconds: EAGERNESS[turnDetection.eagerness ?? "auto"] }
          : {
              threshold: turnDetection.threshold ?? 0.5,
              prefixSeconds: (turnDetection.prefix_padding_ms ?? 300) / 1000,
              silenceSeconds: (turnDetection.silence_duration_ms ?? 500) / 1000,
            },
  };
}

/** Id of the served model that is meant; undefined is the default one. */
export function servedModel(name: string | null | undefined): string | undefined {
  return name === null || name === undefined || name === "" || OPENAI_MODELS.test(name) ? undefined : name;
}
