import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyTokenRules, argmax, logSumExp, max, type TokenRules } from "./token-rules.ts";

const N_VOCAB = 51865;
const EOT = 50257;
const NO_TIMESTAMPS = 50363;
const BEGIN = 50364;
const A = 1000;
const B = 2000;
/** Id of a time in seconds. */
const at = (seconds: number): number => BEGIN + Math.round(seconds / 0.02);

const RULES: TokenRules = {
  eot: EOT,
  timestampBegin: BEGIN,
  suppress: Array.from({ length: BEGIN - EOT - 1 }, (_, i) => EOT + 1 + i), // the specials
  suppressAtBegin: [220, EOT],
  timestamps: { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: 50 },
};

/** Logits in which the text tokens are so likely that the sum rule never speaks. */
function textLikely(): Float32Array {
  return new Float32Array(N_VOCAB).fill(-20, BEGIN);
}

/** What stays possible, as counts and ranges. */
function possible(generated: number[], rules = RULES, logits = textLikely()): Record<string, unknown> {
  applyTokenRules(logits, generated, rules);
  const timestamps = [...logits.keys()].filter((id) => id >= BEGIN && logits[id] > -Infinity);
  return {
    text: logits.subarray(0, EOT).filter((x) => x > -Infinity).length,
    eot: logits[EOT] > -Infinity,
    timestamps: timestamps.length,
    first: timestamps.length > 0 ? timestamps[0] - BEGIN : null,
  };
}

describe("applyTokenRules() with timestamps (facts 6.9)", () => {
  const text = EOT;
  it.each<[string, number[], Record<string, unknown>]>([
    ["R1: first a timestamp up to 1.00", [], { text: 0, eot: false, timestamps: 51, first: 0 }],
    ["R2: after the first timestamp text or the end", [at(0)], { text, eot: true, timestamps: 0, first: null }],
    ["R3: in a segment anything later", [at(0), A], { text, eot: true, timestamps: 1500, first: 1 }],
    ["R4: after a closing timestamp no text", [at(0), A, at(2)], { text: 0, eot: true, timestamps: 1401, first: 100 }],
    ["R5: after a pair text or the end", [at(0), A, at(2), at(2)], { text, eot: true, timestamps: 0, first: null }],
    ["R6: later than the pair", [at(0), A, at(2), at(2), B], { text, eot: true, timestamps: 1400, first: 101 }],
    ["a pair may leave a gap", [at(0), A, at(2), at(5), B], { text, eot: true, timestamps: 1250, first: 251 }],
    ["the last time closes", [at(0), A, at(30)], { text: 0, eot: true, timestamps: 1, first: 1500 }],
    ["none is left", [at(0), A, at(30), at(30), B], { text, eot: true, timestamps: 0, first: null }],
  ])("%s", (_, generated, expected) => {
    expect(possible(generated)).toEqual(expected);
  });

  it("R8: without a limit the first timestamp is any", () => {
    const timestamps = { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: null };
    expect(possible([], { ...RULES, timestamps })).toEqual({ text: 0, eot: false, timestamps: 1501, first: 0 });
  });

  it.each([[[]], [[at(0)]], [[at(0), A]]])("notimestamps is impossible after %j", (generated) => {
    const logits = textLikely();
    logits[NO_TIMESTAMPS] = 30;
    applyTokenRules(logits, generated, { ...RULES, suppress: [] });
    expect(logits[NO_TIMESTAMPS]).toBe(-Infinity);
    expect(logits[NO_TIMESTAMPS - 1] > -Infinity).toBe(generated.length > 0);
  });

  it("a limit past the last timestamp is none", () => {
    const timestamps = { noTimestamps: NO_TIMESTAMPS, maxInitialTimestampIndex: 9999 };
    expect(possible([], { ...RULES, timestamps })).toMatchObject({ timestamps: 1501 });
  });

  describe("R7: timestamps that are together likelier than any text token", () => {
    /** 1500 timestamps are possible after [0.00, A]; together they weigh log(1500) = 7.31 more than one. */
    const logits = (timestamp: number): Float32Array => {
      const values = new Float32Array(N_VOCAB).fill(timestamp, BEGIN);
      values.fill(-50, 0, BEGIN);
      values[B] = 10;
      return values;
    };

    it.each([
      [10 - Math.log(1500) + 0.01, 0, false],
      [10 - Math.log(1500) - 0.01, EOT, true],
    ])("each at %d: %d text tokens stay", (timestamp, text, eot) => {
      expect(possible([at(0), A], RULES, logits(timestamp))).toEqual({ text, eot, timestamps: 1500, first: 1 });
    });

    it("weigh only as far as they are possible themselves", () => {
      // After [0.00 A 29.98 29.98 B] one timestamp is left: together it weighs as much as one.
      const generated = [at(0), A, at(29.98), at(29.98), B];
      expect(possible(generated, RULES, logits(9.99))).toEqual({ text: EOT, eot: true, timestamps: 1, first: 1500 });
      expect(possible(generated, RULES, logits(10.01))).toEqual({ text: 0, eot: false, timestamps: 1, first: 1500 });
    });

    it("are compared with text that is not suppressed, endoftext among it", () => {
      const suppressed = { ...RULES, suppress: [...RULES.suppress, B] };
      expect(possible([at(0), A], suppressed, logits(0))).toMatchObject({ text: 0, eot: false });
      const ending = logits(0);
      ending[EOT] = 8;
      expect(possible([at(0), A], suppressed, ending)).toMatchObject({ text: EOT - 1, eot: true });
    });
  });
});

describe("applyTokenRules() without timestamps", () => {
  const plain: TokenRules = { ...RULES, timestamps: null };

  it("R9: leaves timestamps and their order free", () => {
    expect(possible([at(5), at(3), A], plain)).toEqual({ text: EOT, eot: true, timestamps: 1501, first: 0 });
  });

  it("R11: forbids what is not to begin, at the beginning only", () => {
    expect(possible([], plain)).toEqual({ text: EOT - 1, eot: false, timestamps: 1501, first: 0 });
    expect(possible([A], plain)).toMatchObject({ text: EOT, eot: true });
    expect(possible([at(0)], RULES), "nor after the first timestamp").toMatchObject({ text: EOT, eot: true });
  });

  it("changes no logit that it does not forbid", () => {
    const logits = Float32Array.from({ length: N_VOCAB }, (_, i) => Math.sin(i));
    const before = logits.slice();
    applyTokenRules(logits, [], { ...plain, suppress: [7, 50000] });
    const changed = [...logits.keys()].filter((id) => logits[id] !== before[id]);
    expect(changed).toEqual([7, 220, 50000, EOT]);
  });
});

describe("applyTokenRules() properties", () => {
  const small: TokenRules = {
    eot: 20,
    timestampBegin: 24,
    suppress: [21, 22, 23, 3],
    suppressAtBegin: [5, 20],
    timestamps: { noTimestamps: 23, maxInitialTimestampIndex: 4 },
  };
  const nVocab = 44;

  /** The rules but the last, said of one token: openai/whisper's conditions turned round. */
  function allowed(id: number, generated: readonly number[]): boolean {
    const isTime = (token: number | undefined): boolean => token !== undefined && token >= small.timestampBegin;
    if (small.suppress.includes(id)) return false;
    if (generated.length === 0) return isTime(id) && id <= small.timestampBegin + 4;
    const [last, before] = [generated.at(-1), generated.at(-2)];
    const open = generated.length === 1 || isTime(before);
    if (isTime(last) && open) return !isTime(id);
    const times = generated.filter(isTime);
    if (isTime(last)) return isTime(id) ? id >= times.at(-1)! : id >= small.eot;
    return !isTime(id) || times.length === 0 || id > times.at(-1)!;
  }

  const logits = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: nVocab, maxLength: nVocab });

  it("allow what their definition allows, and then text unless timestamps outweigh it", () => {
    fc.assert(
      fc.property(logits, fc.array(fc.nat(nVocab - 1), { maxLength: 8 }), (values, generated) => {
        const actual = Float32Array.from(values);
        applyTokenRules(actual, generated, small);
        const expected = Float32Array.from(values, (value, id) => (allowed(id, generated) ? value : -Infinity));
        let timestamps = 0;
        for (const value of expected.subarray(24)) timestamps += Math.exp(value);
        const text = Math.exp(Math.max(...expected.subarray(0, 24)));
        fc.pre(Math.abs(timestamps - text) > 1e-6 * text); // a tie is decided by rounding
        if (timestamps > text) expected.fill(-Infinity, 0, 24);
        expect(actual).toEqual(expected);
      }),
    );
  });

  it("lead any model along timestamps that never decrease, in segments longer than nothing", () => {
    fc.assert(
      fc.property(fc.array(logits, { minLength: 1, maxLength: 30 }), (steps) => {
        const generated: number[] = [];
        for (const step of steps) {
          const values = Float32Array.from(step);
          applyTokenRules(values, generated, small);
          const token = argmax(values);
          expect(values[token]).toBeGreaterThan(-Infinity);
          if (token === small.eot) break;
          generated.push(token);
        }
        const times = generated.filter((token) => token >= 24);
        expect(times).toEqual([...times].sort((a, b) => a - b));
        for (let i = 1; i < generated.length; i++) {
          if (generated[i] < 24 || generated[i - 1] >= 24) continue; // a closing timestamp:
          const opening = generated
            .slice(0, i)
            .filter((token) => token >= 24)
            .at(-1)!;
          expect(generated[i]).toBeGreaterThan(opening);
        }
      }),
    );
  });
});

describe("max(), logSumExp(), argmax()", () => {
  const values = Float32Array.of(1, 3, -Infinity, 3, 2);

  it("max() takes a range, and is -Infinity of nothing", () => {
    expect([max(values, 0, 5), max(values, 0, 1), max(values, 2, 3), max(values, 4, 4)]).toEqual([
      3,
      1,
      -Infinity,
      -Infinity,
    ]);
  });

  it("logSumExp() sums a range without overflow", () => {
    expect(logSumExp(values)).toBeCloseTo(Math.log(Math.exp(1) + 2 * Math.exp(3) + Math.exp(2)), 12);
    expect(logSumExp(Float32Array.of(1000, 1000))).toBeCloseTo(1000 + Math.log(2), 9);
    expect(logSumExp(values, 2, 3)).toBe(-Infinity);
  });

  it("argmax() takes the first of equals", () => {
    expect([argmax(values), argmax(values, 2), argmax(values, 2, 3)]).toEqual([1, 3, 2]);
  });
});
