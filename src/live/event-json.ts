/** Live events as programs outside read them, over `/live` and in the lines of `sotto live -f jsonl`: snake_case, times to the millisecond. */
import type { Word } from "../transcription/index.ts";
import type { LiveEvent } from "./events.ts";

/** @see src/schemas/live-event.ts, which says what the fields are */
export function eventObject(event: LiveEvent): object {
  const { type, utterance } = event;
  switch (type) {
    case "speechStart":
      return { type: "speech_start", utterance, time: round(event.time), audio_start: round(event.audioStart) };
    case "speechEnd":
      return { type: "speech_end", utterance, time: round(event.time) };
    case "partial":
      return { type, utterance, text: event.text };
    case "commit":
      return { type, utterance, text: event.text, words: event.words.map(wordObject) };
    case "final": {
      const { start, end, text, language, words } = event;
      return {
        type,
        utterance,
        start: round(start),
        end: round(end),
        text,
        language,
        words: words.map(wordObject),
      };
    }
  }
}

function wordObject({ word, start, end, probability }: Word): object {
  return { text: word, start: round(start), end: round(end), probability: round(probability) };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
