/**
 * Seconds as subtitle files and the terminal show them. Rounding is half-to-even on the double, as Python rounds, because
 * every time in a file made by openai/whisper went through it (facts 2.6.3, 8.14).
 */
import { roundHalfEven } from "../tensor/index.ts";

export interface FormatTimestampOptions {
  /** `00:` in front even below one hour, as SubRip wants it; default false. */
  readonly alwaysIncludeHours?: boolean;
  /** Between seconds and milliseconds: `.` (WebVTT, the default) or `,` (SubRip). */
  readonly decimalMarker?: "." | ",";
}

/**
 * Seconds in whole milliseconds, rounded half to even.
 *
 * @throws {RangeError} if `seconds` is negative or not finite
 */
export function toMilliseconds(seconds: number): number {
  assertWritable(seconds);
  return roundHalfEven(seconds * 1000);
}

/**
 * Seconds in whole hundredths, rounded half to even.
 *
 * @throws {RangeError} if `seconds` is negative or not finite
 */
export function toCentiseconds(seconds: number): number {
  assertWritable(seconds);
  return roundHalfEven(seconds * 100);
}

function assertWritable(seconds: number): void {
  if (!(seconds >= 0) || seconds === Infinity) {
    throw new RangeError(`Cannot write timestamp "${seconds}": expected seconds from 0 on`);
  }
}

/**
 * Writes seconds as `MM:SS.mmm`, or `HH:MM:SS.mmm` from one hour on; hours may pass 99. Rounded before it is split, so
 * 59.9995 s is `01:00.000`.
 *
 * @throws {RangeError} if `seconds` is negative or not finite
 * @see openai/whisper utils.py `format_timestamp` (v20250625)
 */
export function formatTimestamp(seconds: number, options: FormatTimestampOptions = {}): string {
  const { alwaysIncludeHours = false, decimalMarker = "." } = options;
  const total = toMilliseconds(seconds);
  const hours = Math.floor(total / 3_600_000);
  const minutes = Math.floor(total / 60_000) % 60;
  const wholeSeconds = Math.floor(total / 1000) % 60;
  const pad = (value: number, width = 2): string => String(value).padStart(width, "0");
  const prefix = alwaysIncludeHours || hours > 0 ? `${pad(hours)}:` : "";
  return `${prefix}${pad(minutes)}:${pad(wholeSeconds)}${decimalMarker}${pad(total % 1000, 3)}`;
}
