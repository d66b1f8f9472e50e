/** Which parts of a recording are transcribed (openai/whisper's `clip_timestamps`, facts 2.3.2). */
import { roundHalfEven } from "../tensor/index.ts";
import { OptionError, quote } from "../errors.ts";

/** Frames of 10 ms in a second. */
export const FRAMES_PER_SECOND = 100;

/** More clips than anybody lists, and few enough for a warning about each. */
const MAX_CLIPS = 10_000;

/** A part of a recording, in frames. */
export interface Clip {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads the option.
 *
 * @param clips "start,end,start,end ..." or numbers; nothing for the whole recording
 * @returns starts and ends in turn, in seconds; the last end may be missing
 * @throws {OptionError} for what is no time, and for an end before its start, of which openai/whisper makes an empty clip
 */
export function parseClipTimes(clips: string | readonly number[] | undefined): readonly number[] {
  if (clips === undefined) return [];
  const isText = typeof clips === "string";
  const times = isText ? (clips.trim() === "" ? [] : clips.split(",").map(parseTime)) : clips;
  if (!Array.isArray(times) || times.length > 2 * MAX_CLIPS || !times.every((time) => time >= 0 && time < Infinity)) {
    throw new OptionError(
      "clipTimestamps",
      `Clips cannot be ${quote(clips)}, expected seconds, none below 0: start,end,start,end ...`,
    );
  }
  for (let i = 1; i < times.length; i += 2) {
    if (times[i] < times[i - 1]) {
      throw new OptionError("clipTimestamps", `A clip cannot end at ${times[i]} s when it starts at ${times[i - 1]} s`);
    }
  }
  return times as readonly number[];
}

function parseTime(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}

/**
 * Clips in frames, cut at the end of the recording, where openai/whisper goes on for ever.
 *
 * @param times from `parseClipTimes`
 * @param contentFrames of the recording
 * @returns clips in the order given, none of them empty, and a warning for each that was cut
 */
export function clipFrames(times: readonly number[], contentFrames: number): { clips: Clip[]; warnings: string[] } {
  const points = times.map((seconds) => roundHalfEven(seconds * FRAMES_PER_SECOND));
  if (points.length === 0) points.push(0);
  const clips: Clip[] = [];
  const warnings: string[] = [];
  const duration = (contentFrames / FRAMES_PER_SECOND).toFixed(2);
  for (let i = 0; i < points.length; i += 2) {
    const start = points[i];
    const end = i + 1 < points.length ? points[i + 1] : contentFrames;
    const cut = Math.min(end, contentFrames);
    if (end > contentFrames || start > contentFrames) {
      const asked = `The clip from ${times[i]} s`;
      warnings.push(
        start >= contentFrames
          ? `${asked} lies past the end of the recording at ${duration} s and was left out`
          : `${asked} to ${times[i + 1]} s was cut at the end of the recording at ${duration} s`,
      );
    }
    if (start < cut) clips.push({ start, end: cut });
  }
  return { clips, warnings };
}
