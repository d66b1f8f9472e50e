/**
 * The audio state of every engine: what an engine keeps of each window, in the engine's own form, with an end; and whether a state
 * that a caller gives is the engine's own.
 */
import type { Tensor } from "../tensor/index.ts";
import type { AudioState } from "./engine.ts";

export class KeptAudio<W> implements AudioState {
  readonly batch: number;
  #windows: readonly (() => W)[] | null;
  readonly #release: () => void;

  /**
   * @param owner the engine
   * @param windows what it keeps of each window, looked up when it is used
   * @param release called once, at the first `dispose`
   */
  private constructor(
    readonly owner: object,
    windows: readonly (() => W)[],
    readonly features: Tensor | null,
    release: () => void,
  ) {
    this.batch = windows.length;
    this.#windows = windows;
    this.#release = release;
  }

  /**
   * Windows that the engine has encoded.
   *
   * @param release frees them; called once
   */
  static of<W>(owner: object, windows: readonly W[], features: Tensor | null, release: () => void): KeptAudio<W> {
    const kept = windows.map((window) => () => window);
    return new KeptAudio(owner, kept, features, release);
  }

  /** Windows of other states, which own them: see `Engine.combine`. */
  static combine<W>(
    owner: object,
    parts: readonly { readonly audio: KeptAudio<W>; readonly window: number }[],
  ): KeptAudio<W> {
    const kept = parts.map((part) => () => part.audio.window(part.window));
    return new KeptAudio(owner, kept, null, () => {});
  }

  /** @throws {Error} if the state, or the one that owns the window, has been disposed */
  window(index: number): W {
    if (this.#windows === null) throw new Error("Cannot use an audio state after its dispose()");
    return this.#windows[index]();
  }

  dispose(): void {
    if (this.#windows === null) return;
    this.#windows = null;
    this.#release();
  }
}

/**
 * An audio state as the one that the engine made.
 *
 * @throws {TypeError} for a state that another engine made
 */
export function ownAudio<W>(owner: object, state: AudioState): KeptAudio<W> {
  if (!(state instanceof KeptAudio) || state.owner !== owner) {
    throw new TypeError("Cannot use an audio state that another engine made");
  }
  return state as KeptAudio<W>;
}

/**
 * A decoder state as the one that the engine made.
 *
 * @throws {TypeError} for a state that another engine made
 */
export function ownDecoder<D extends { readonly owner: object }>(
  owner: object,
  state: object,
  type: abstract new (...given: never[]) => D,
): D {
  if (!(state instanceof type) || state.owner !== owner) {
    throw new TypeError("Cannot use a decoder state that another engine made");
  }
  return state;
}
