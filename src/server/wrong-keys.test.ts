import { describe, expect, it } from "vitest";
import { WrongKeys } from "./wrong-keys.ts";

/** Five wrong keys from an address, at a time of the test's own. */
function blocked(address: string): { wrong: WrongKeys; clock: { now: number } } {
  const clock = { now: 1000 };
  const wrong = new WrongKeys(() => clock.now);
  for (let i = 0; i < 5; i++) {
    expect(wrong.secondsToWait(address, "k")).toBe(0);
    wrong.add(address);
  }
  return { wrong, clock };
}

describe("WrongKeys", () => {
  it("lets nobody try a sixth key from there before the minute is over", () => {
    const { wrong, clock } = blocked("192.0.2.1");
    expect(wrong.secondsToWait("192.0.2.1", "k")).toBe(60);
    expect(wrong.secondsToWait("192.0.2.2", "k")).toBe(0);
    clock.now += 59_001;
    expect(wrong.secondsToWait("192.0.2.1", "k")).toBe(1);
    clock.now += 999;
    expect(wrong.secondsToWait("192.0.2.1", "k")).toBe(0);
    wrong.add("192.0.2.1");
    expect(wrong.secondsToWait("192.0.2.1", "k")).toBe(0);
  });

  it("does not shut out a key that was right there before", () => {
    const { wrong } = blocked("192.0.2.1");
    wrong.trust("192.0.2.1", "right");
    expect(wrong.secondsToWait("192.0.2.1", "right")).toBe(0);
    expect(wrong.secondsToWait("192.0.2.1", "other")).toBe(60);
  });

  it.each([
    ["2001:db8::1", "2001:db8:0:0:ffff::2", 60],
    ["2001:db8:1:2:3:4:5:6", "2001:0db8:1:2::", 60],
    ["2001:db8::1", "2001:db8:0:1::1", 0],
    ["::ffff:192.0.2.1", "192.0.2.1", 60],
    ["::1", "::1", 60],
  ])("counts %s and %s as one, or not: %i", (first, second, seconds) => {
    expect(blocked(first).wrong.secondsToWait(second, "k")).toBe(seconds);
  });

  it("remembers no more than some thousand addresses", () => {
    const { wrong } = blocked("192.0.2.1");
    for (let i = 0; i < 10_000; i++) wrong.add(`198.51.${i >> 8}.${i & 255}`);
    expect(wrong.secondsToWait("192.0.2.1", "k")).toBe(0);
  });
});
