/** What a live session reports. Times are seconds of audio since the session began; nothing here knows the clock on the wall. */
import type { Word } from "../transcription/index.ts";

/** Somebody began to speak. */
export interface SpeechStartEvent {
  readonly type: "speechStart";
  /** 0, 1, 2 ...: the utterance that begins. */
  readonly utterance: number;
  /** Where the voice was first heard. */
  readonly time: number;
  /** Where the audio that is transcribed begins: some of what came before the voice is kept. */
  readonly audioStart: number;
}

/** Nobody speaks any more: the utterance has ended, and its text is on the way. */
export interface SpeechEndEvent {
  readonly type: "speechEnd";
  readonly utterance: number;
  /** Where the voice was last heard. */
  readonly time: number;
}

/** Text after the committed words that may still change: it replaces that of the last `partial` of the utterance. */
export interface PartialEvent {
  readonly type: "partial";
  readonly utterance: number;
  readonly text: string;
}

/**
 * Words that two transcriptions agree on: no later commit changes them. They follow those of the utterance's commits before,
 * and lie no earlier.
 */
export interface CommitEvent {
  readonly type: "commit";
  readonly utterance: number;
  /** The words joined, with the leading space. */
  readonly text: string;
  /** At least one. */
  readonly words: readonly Word[];
}

/**
 * The end of an utterance, and its text: what transcribing the same audio as a file gives, whatever its length. Where it differs from what
 * was committed before the end was known, it replaces that. No words if nothing was understood.
 */
export interface FinalEvent {
  readonly type: "final";
  readonly utterance: number;
  /** Of the audio that was transcribed. */
  readonly start: number;
  readonly end: number;
  /** Without spaces around it. */
  readonly text: string;
  readonly words: readonly Word[];
  /** Code of the language; null if nothing was understood. */
  readonly language: string | null;
}

export type LiveEvent = SpeechStartEvent | SpeechEndEvent | PartialEvent | CommitEvent | FinalEvent;
