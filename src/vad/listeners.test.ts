import { describe, expect, it } from "vitest";
import { RecoveringListener } from "./listeners.ts";
import type { SileroState, SileroVad } from "./silero-vad.ts";

/**
 * A network whose samples are probabilities: a state that has heard noise (a negative sample) is deaf to everything after it.
 */
function network(): SileroVad {
  const advance = (state: SileroState, sample: number): number => {
    if (sample < 0) state.hidden[0] = 1;
    return state.hidden[0] === 1 ? 0 : Math.max(0, sample);
  };
  return {
    initialState: (): SileroState => ({ hidden: new Float32Array(1), cell: new Float32Array(1) }),
    runStates: (
      samples: Float32Array,
      states: readonly SileroState[],
      onFrame: (probabilities: readonly number[]) => void,
    ): void => {
      for (const sample of samples) onFrame(states.map((state) => advance(state, sample)));
    },
  } as unknown as SileroVad;
}

const frames = (count: number, value: number): number[] => new Array<number>(count).fill(value);

function heard(isDelayed: boolean, ...parts: readonly number[][]): number[] {
  const listener = new RecoveringListener(network(), isDelayed);
  return [...listener.hear(Float32Array.from(parts.flat())), ...listener.finish()];
}

const SPEECH = Math.fround(0.9);

describe("RecoveringListener", () => {
  it("finds speech that noise before it hides, from its first frame on", () => {
    const parts = [frames(100, -1), frames(70, 0), frames(60, SPEECH), frames(30, 0)];
    expect(heard(true, ...parts)).toEqual([...frames(170, 0), ...frames(60, SPEECH), ...frames(30, 0)]);
  });

  it("finds it late where nothing may be held back", () => {
    const parts = [frames(100, -1), frames(70, 0), frames(60, SPEECH)];
    const found = heard(false, ...parts);
    expect(found.slice(0, 170 + 37)).toEqual(frames(170 + 37, 0));
    expect(found.slice(170 + 37)).toEqual(frames(60 - 37, SPEECH));
  });

  it("does not believe in short sounds", () => {
    expect(heard(true, frames(100, -1), frames(70, 0), frames(30, SPEECH), frames(90, 0))).toEqual(frames(290, 0));
  });

  it("leaves what the first state hears as it is", () => {
    const parts = [frames(200, SPEECH), frames(80, 0), frames(30, Math.fround(0.4)), frames(90, SPEECH)];
    expect(heard(true, ...parts)).toEqual(parts.flat());
    expect(heard(false, ...parts)).toEqual(parts.flat());
  });
});
