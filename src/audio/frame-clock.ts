/**
 * Where decoded frames belong, by the time stamps of their container: audio that begins later than the film, and pauses in which nothing was
 * recorded. What is missing becomes silence, so that all that follows keeps its time.
 *
 * Stamps are rounded, jitter, and drift against the count of samples: a tenth of a second is let be. Audio is never dropped: where stamps go
 * back, or leap further than a recording pauses, they count on from there.
 */

/** Less than this is no gap, in seconds: packets of live recordings are stamped when they arrive. */
export const MIN_GAP_SECONDS = 0.1;

/** Longest silence put in for a leap of the stamps, in seconds. Somebody may be muted for most of an hour; a day is a clock that was set. */
export const MAX_GAP_SECONDS = 3600;

/** Latest start of a file that is believed to be silence and not the middle of a broadcast, in seconds. */
const MAX_START_SECONDS = 60;

/** FFmpeg's names of formats whose time 0 is when they start to play; others start at any time. */
const STARTS_AT_ZERO = /^(mov|matroska|avi|flv|asf|wtv)(,|$)/;

/**
 * The stamp at which a file starts to play.
 *
 * @param format FFmpeg's name
 * @param firstStamp the least of all streams, video included, in seconds; NaN where it is not known
 */
export function startStamp(format: string, firstStamp: number): number {
  return STARTS_AT_ZERO.test(format) && Math.abs(firstStamp) <= MAX_START_SECONDS ? 0 : firstStamp;
}

/** Follows the frames of one recording. */
export class FrameClock {
  /** Stamp of the recording's time 0; NaN before the first frame with a stamp. */
  private zero = NaN;
  /** Seconds of audio so far, silence included. */
  private time = 0;

  /** @param start `startStamp` of the file */
  constructor(private readonly start: number) {}

  /** Whether any frame had a stamp. */
  get knowsStamps(): boolean {
    return !Number.isNaN(this.zero);
  }

  /** Seconds by which a frame comes later than the audio so far ends; below 0 if it overlaps, NaN where nothing tells. */
  missingBefore(stamp: number): number {
    return stamp - (this.knowsStamps ? this.zero : this.start) - this.time;
  }

  /**
   * Takes note of the next frame.
   *
   * @param stamp in seconds; NaN if it has none
   * @returns seconds of silence that belong before it
   */
  next(stamp: number): number {
    if (Number.isNaN(stamp)) return 0;
    const missing = this.missingBefore(stamp);
    if (!(missing >= -MIN_GAP_SECONDS && missing <= MAX_GAP_SECONDS)) {
      this.countFrom(stamp);
      return 0;
    }
    if (missing <= MIN_GAP_SECONDS) {
      if (!this.knowsStamps) this.countFrom(stamp);
      return 0;
    }
    if (!this.knowsStamps) this.zero = this.start;
    this.advance(missing);
    return missing;
  }

  /** A frame with this stamp comes right after the audio so far. */
  countFrom(stamp: number): void {
    if (!Number.isNaN(stamp)) this.zero = stamp - this.time;
  }

  /** So much audio was added. */
  advance(seconds: number): void {
    this.time += seconds;
  }
}
