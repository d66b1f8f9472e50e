/** Transcripts as OpenAI's audio API answers them. */
import { coverageObject, toSrt, toVtt } from "../../outputs/index.ts";
import { languageName, type Task } from "../../tokenizer/index.ts";
import type { Transcript } from "../../transcription/index.ts";
import type { ServedModel } from "../service.ts";
import { subtitleOptions } from "../subtitles.ts";
import type { AudioForm, ResponseFormat } from "./form.ts";

/** What the body of a format is sent as. */
export const CONTENT_TYPES: Readonly<Record<ResponseFormat, string>> = {
  json: "application/json; charset=utf-8",
  verbose_json: "application/json; charset=utf-8",
  text: "text/plain; charset=utf-8",
  srt: "text/plain; charset=utf-8",
  vtt: "text/vtt; charset=utf-8",
};

/** The body: an object for the JSON formats, else text. */
export function answerOf(
  transcript: Transcript,
  format: ResponseFormat,
  task: Task,
  { algorithm = "vad", timestamp_granularities: granularities = ["segment"] }: AudioForm,
): object | string {
  switch (format) {
    case "json":
      return { text: transcript.text.trim(), usage: usageOf(transcript) };
    case "text":
      return `${transcript.text.trim()}\n`;
    case "srt":
      return toSrt(transcript, subtitleOptions(algorithm));
    case "vtt":
      return toVtt(transcript, subtitleOptions(algorithm));
    case "verbose_json":
      return verbose(transcript, task, granularities);
  }
}

/** Seconds begun are counted whole. */
export function usageOf({ duration }: Transcript): object {
  return { type: "duration", seconds: Math.ceil(duration) };
}

function verbose(transcript: Transcript, task: Task, granularities: readonly string[]): object {
  return {
    task,
    language: task === "translate" ? "english" : languageName(transcript.language),
    duration: transcript.duration,
    text: transcript.text.trim(),
    ...(granularities.includes("segment") && {
      segments: transcript.segments.map((segment) => ({
        id: segment.id,
        seek: segment.seek ?? 0,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        tokens: segment.tokens,
        temperature: segment.temperature,
        avg_logprob: segment.avgLogprob,
        compression_ratio: segment.compressionRatio,
        no_speech_prob: segment.noSpeechProb,
      })),
    }),
    ...(granularities.includes("word") && {
      words: transcript.segments.flatMap(({ words = [] }) =>
        words.map(({ word, start, end }) => ({ word: word.trim(), start, end })),
      ),
    }),
    ...(transcript.coverage !== undefined && { coverage: coverageObject(transcript.coverage) }),
    usage: usageOf(transcript),
  };
}

/** A model as /v1/models has it; `is_multilingual` is sotto's own. */
export function modelObject({ id, isMultilingual }: ServedModel, created: number): object {
  return { id, object: "model", created, owned_by: "sotto", is_multilingual: isMultilingual };
}
