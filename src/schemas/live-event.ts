/**
 * The JSON of live events: what `/live` sends between `ready` and `end`, and the lines that `sotto live -f jsonl` prints.
 */
import { z } from "zod";

const SECONDS = z.number().min(0);
const UTTERANCE = z.int().min(0).describe("0, 1, 2 ...: number of the utterance");
const WORD = z
  .strictObject({
    text: z.string().describe("with its leading space, where the language has spaces"),
    start: SECONDS,
    end: SECONDS,
    probability: z.number().min(0).max(1),
  })
  .describe("a word with its times");

export const LIVE_EVENT = z
  .discriminatedUnion("type", [
    z
      .strictObject({
        type: z.literal("speech_start"),
        utterance: UTTERANCE,
        time: SECONDS.describe("where the voice was first heard"),
        audio_start: SECONDS.describe("where the audio that is transcribed begins"),
      })
      .describe("somebody began to speak"),
    z
      .strictObject({
        type: z.literal("speech_end"),
        utterance: UTTERANCE,
        time: SECONDS.describe("where the voice was last heard"),
      })
      .describe("the utterance has ended; its text is on the way"),
    z
      .strictObject({
        type: z.literal("partial"),
        utterance: UTTERANCE,
        text: z.string().describe("after the committed words; replaces the last partial text of the utterance"),
      })
      .describe("text that may still change"),
    z
      .strictObject({
        type: z.literal("commit"),
        utterance: UTTERANCE,
        text: z.string().describe("of the words, with leading space, to be appended"),
        words: z.array(WORD).min(1),
      })
      .describe("words that no later commit changes"),
    z
      .strictObject({
        type: z.literal("final"),
        utterance: UTTERANCE,
        start: SECONDS.describe("of the audio that was transcribed"),
        end: SECONDS,
        text: z.string().describe("of the utterance, in place of its commits; empty if nothing was understood"),
        language: z.string().nullable().describe("code; null if nothing was understood"),
        words: z.array(WORD),
      })
      .describe("the utterance as a whole"),
  ])
  .describe("An event of live captions. Times are seconds of audio since the session began.");
