/** How a stream of frames becomes probabilities: as the network was trained, or so that noise does not make it deaf. */
import type { SileroState, SileroVad } from "./silero-vad.ts";

/** Hears the frames of one stream. */
export interface Listener {
  /**
   * @param samples the 64 before the first frame, then whole frames
   * @returns probabilities of the next frames that are certain, in order
   */
  hear(samples: Float32Array): Float32Array;
  /** Ends the stream. @returns the probabilities that are left */
  finish(): Float32Array;
}

/** The probabilities of Python's silero-vad. */
export class PlainListener implements Listener {
  private readonly state: SileroState;

  constructor(private readonly network: SileroVad) {
    this.state = network.initialState();
  }

  hear(samples: Float32Array): Float32Array {
    return this.network.run(samples, this.state);
  }

  finish(): Float32Array {
    return new Float32Array(0);
  }
}

/** A frame below this probability is silence. */
const SILENCE = 0.35;
/** A frame of at least this probability is speech. */
const SPEECH = 0.5;
/** Frames of silence after which the second state begins anew: 2 s. */
const FORGOTTEN_AFTER = 63;
/** Frames that are looked at for speech that the first state does not hear: 1.5 s. */
const WINDOW = 48;
/**
 * How many of them the second state must take for speech. Where a voice begins it takes nearly all of them; of instruments, which it takes for a voice
 * more easily than the first state, up to 24.
 */
const SURELY_SPEECH = 38;
/** The first state is deaf if it takes at most this share of the frames that the second one does for speech. */
const DEAF = 0.5;
/** Frames that are held back: 2 s. */
const DELAY = 64;

/**
 * What the network remembers of noise or music can hide speech from it for as long as half a minute, though it hears the same speech without them. So
 * a second state hears the same frames, and forgets what it has heard after 2 s of silence. It is believed only where it hears a voice that goes on,
 * as it takes single notes for speech; then the first state goes on from it.
 */
export class RecoveringListener implements Listener {
  private first: SileroState;
  private second: SileroState;
  private silentFrames = 0;
  /** Probabilities by both states that are held back, and of a window before. */
  private heard: { first: number; second: number }[] = [];
  /** How many of `heard` are given already. */
  private given = 0;

  /** @param isDelayed whether probabilities are given 2 s late, so that the beginning of speech that was not heard at once is there too */
  constructor(
    private readonly network: SileroVad,
    private readonly isDelayed: boolean,
  ) {
    this.first = network.initialState();
    this.second = network.initialState();
  }

  hear(samples: Float32Array): Float32Array {
    const certain: number[] = [];
    const states = [this.first, this.second];
    this.network.runStates(samples, states, ([first, second]) => {
      this.heard.push({ first, second });
      this.silentFrames = second < SILENCE ? this.silentFrames + 1 : 0;
      if (this.silentFrames === FORGOTTEN_AFTER) {
        this.silentFrames = 0;
        states[1] = this.second = this.network.initialState();
      }
      if (second >= SPEECH && this.isDeaf()) {
        states[0] = this.first = { hidden: this.second.hidden.slice(), cell: this.second.cell.slice() };
        for (const frame of this.heard) frame.first = Math.max(frame.first, frame.second);
      }
      certain.push(...this.take(this.isDelayed ? DELAY : 0));
      if (this.heard.length > DELAY + WINDOW) this.given -= this.heard.splice(0, WINDOW).length;
    });
    return Float32Array.from(certain);
  }

  finish(): Float32Array {
    return Float32Array.from(this.take(0));
  }

  private take(held: number): number[] {
    const taken = this.heard.slice(this.given, Math.max(this.given, this.heard.length - held));
    this.given += taken.length;
    return taken.map(({ first }) => first);
  }

  private isDeaf(): boolean {
    const last = this.heard.slice(-WINDOW);
    const second = last.filter((frame) => frame.second >= SPEECH).length;
    return second >= SURELY_SPEECH && last.filter((frame) => frame.first >= SPEECH).length <= DEAF * second;
  }
}
