/** The playing of a recording: one for the page, so that shortcuts, waveform and transcript speak of the same second. */

/** Seconds that the keys and buttons for "back" and "forward" move. */
export const SKIP = 5;
export const RATES = [0.5, 0.75, 1, 1.25, 1.5, 2] as const;

export class Player {
  time = $state(0);
  duration = $state(0);
  isPlaying = $state(false);
  rate = $state(1);
  /** Counts the seeks, so that the transcript can follow one even while it does not follow the playing. */
  seeks = $state(0);
  private element: HTMLMediaElement | null = null;
  private frame = 0;

  get isReady(): boolean {
    return this.element !== null;
  }

  /**
   * Takes an element, until the function it gives is called.
   *
   * @param known length of the audio in seconds: recordings of the browser do not say it themselves
   */
  attach(element: HTMLMediaElement, known: number): () => void {
    this.element = element;
    this.time = 0;
    this.duration = known;
    const update = (): void => {
      this.time = element.currentTime;
      if (Number.isFinite(element.duration) && element.duration > 0) this.duration = element.duration;
    };
    const tick = (): void => {
      update();
      this.frame = requestAnimationFrame(tick);
    };
    const listeners: Record<string, () => void> = {
      play: () => {
        this.isPlaying = true;
        cancelAnimationFrame(this.frame);
        tick();
      },
      pause: () => {
        this.isPlaying = false;
        cancelAnimationFrame(this.frame);
        update();
      },
      seeked: update,
      timeupdate: update,
      loadedmetadata: () => {
        element.playbackRate = this.rate;
        update();
      },
    };
    for (const [name, listener] of Object.entries(listeners)) element.addEventListener(name, listener);
    return () => {
      cancelAnimationFrame(this.frame);
      for (const [name, listener] of Object.entries(listeners)) element.removeEventListener(name, listener);
      element.pause();
      this.isPlaying = false;
      this.element = null;
    };
  }

  toggle(): void {
    if (this.element === null) return;
    if (this.element.paused) this.play();
    else this.element.pause();
  }

  play(): void {
    // Refused where the browser wants a click first: then nothing plays, and the button still says so.
    this.element?.play().catch(() => undefined);
  }

  pause(): void {
    this.element?.pause();
  }

  seek(seconds: number): void {
    if (this.element === null) return;
    const time = Math.max(0, Math.min(seconds, this.duration));
    this.element.currentTime = time;
    this.time = time;
    this.seeks++;
  }

  setRate(rate: number): void {
    this.rate = rate;
    if (this.element !== null) this.element.playbackRate = rate;
  }
}
