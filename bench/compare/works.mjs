// What is compared: each work is a model, an amount of audio and a number of tokens, the same for every system.

/** @type {Record<string, { what: string, size: string, windows: number, tokens: number, kind: "run" | "steps" | "long", busy?: boolean }>} */
export const WORKS = {
  "base-1x100": { what: "base, one window of 30 s, 100 tokens", size: "base", windows: 1, tokens: 100, kind: "run" },
  "tiny-1x100": { what: "tiny, one window of 30 s, 100 tokens", size: "tiny", windows: 1, tokens: 100, kind: "run" },
  "small-8x100": { what: "small, 8 windows, 100 tokens each", size: "small", windows: 8, tokens: 100, kind: "run" },
  step: { what: "base, one token of one window", size: "base", windows: 1, tokens: 100, kind: "steps" },
  "step-busy": {
    what: "base, one token of one window, all other cores kept busy",
    size: "base",
    windows: 1,
    tokens: 100,
    kind: "steps",
    busy: true,
  },
  long: {
    what: "base, a recording of 10 minutes, 100 tokens a window",
    size: "base",
    windows: 20,
    tokens: 100,
    kind: "long",
  },
};

/** Tokens of the shorter of two generations whose difference is a step: neither the prompt nor the first token is in it. */
export const STEPS_BEFORE = 20;
