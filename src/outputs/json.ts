/**
 * JSON with openai/whisper's names and exactly its bytes: what Python's `json.dump` writes. Names are snake_case here and
 * nowhere else, because outside programs read them.
 */

import type { Coverage, Segment, Transcript } from "../transcription/index.ts";
import { segmentTimes } from "./cues.ts";
import { roundHalfEven } from "../tensor/index.ts";

const FRAMES_PER_SECOND = 100;

/**
 * A transcript as JSON: `{"text", "segments", "language"}`, on one line, no newline at its end, everything beyond ASCII
 * escaped, floats with a fraction (`0.0`).
 *
 * `seek` is the position of the segment's window in frames of 10 ms. Where the algorithm has no such position it is the
 * segment's start, so that readers that require an integer find one. `language` and `speaker` of a segment follow
 * openai/whisper's fields where they are known, as does `coverage` of the transcript. A figure that is not finite is `null` (Python writes `NaN`, which is no JSON).
 *
 * @see openai/whisper utils.py `WriteJSON`, transcribe.py (v20250625; facts 2.3.13, 2.6.1)
 */
export function toJson(transcript: Transcript): string {
  const segments = transcript.segments.map((segment) => segmentObject(segment, transcript.duration));
  return object([
    ["text", string(transcript.text)],
    ["segments", list(segments)],
    ["language", string(transcript.language)],
    ...(transcript.coverage === undefined ? [] : [["coverage", coverageJson(transcript.coverage)] as const]),
  ]);
}

function coverageJson({ speechSeconds, transcribedSeconds, untranscribed }: Coverage): string {
  const spans = untranscribed.map(({ start, end }) =>
    object([
      ["start", float(start)],
      ["end", float(end)],
    ]),
  );
  return object([
    ["speech_seconds", float(speechSeconds)],
    ["transcribed_seconds", float(transcribedSeconds)],
    ["untranscribed", list(spans)],
  ]);
}

function segmentObject(segment: Segment, duration: number): string {
  const { start, end } = segmentTimes(segment, duration);
  const fields: [string, string][] = [
    ["id", integer(segment.id)],
    ["seek", integer(segment.seek ?? roundHalfEven(start * FRAMES_PER_SECOND))],
    ["start", float(start)],
    ["end", float(end)],
    ["text", string(segment.text)],
    ["tokens", list(segment.tokens.map(integer))],
    ["temperature", float(segment.temperature)],
    ["avg_logprob", float(segment.avgLogprob)],
    ["compression_ratio", float(segment.compressionRatio)],
    ["no_speech_prob", float(segment.noSpeechProb)],
  ];
  if (segment.words !== undefined) {
    const words = segment.words.map((word) =>
      object([
        ["word", string(word.word)],
        ["start", float(word.start)],
        ["end", float(word.end)],
        ["probability", float(word.probability)],
      ]),
    );
    fields.push(["words", list(words)]);
  }
  if (segment.language !== undefined) fields.push(["language", string(segment.language)]);
  if (segment.speaker !== undefined) fields.push(["speaker", string(segment.speaker)]);
  return object(fields);
}

function object(fields: readonly (readonly [name: string, json: string])[]): string {
  return `{${fields.map(([name, json]) => `${string(name)}: ${json}`).join(", ")}}`;
}

function list(items: readonly string[]): string {
  return `[${items.join(", ")}]`;
}

/** As `json.dumps` with ensure_ascii: lower-case `\uXXXX`, one for each UTF-16 unit. */
function string(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function integer(value: number): string {
  return Number.isFinite(value) ? String(value) : "null";
}

/**
 * `repr(float)` of Python: the shortest digits that read back as the same double, as JavaScript's, but with a fraction always
 * and an exponent below 1e-4 and from 1e16 on.
 */
function float(value: number): string {
  if (!Number.isFinite(value)) return "null";
  const magnitude = Math.abs(value);
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  if (magnitude >= 1e-4 && magnitude < 1e16) {
    const text = String(value);
    return Number.isInteger(value) ? `${text}.0` : text;
  }
  const [digits, exponent] = value.toExponential().split("e");
  const power = Number(exponent);
  return `${digits}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}
