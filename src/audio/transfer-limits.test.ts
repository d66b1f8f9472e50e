import { describe, expect, it } from "vitest";
import { TransferLimits } from "./transfer-limits.ts";

const limits = (patience: Partial<ConstructorParameters<typeof TransferLimits>[0]> = {}): TransferLimits =>
  new TransferLimits({ timeoutMs: 30_000, totalTimeoutMs: 600_000, minBytesPerSecond: 1000, ...patience });

describe("TransferLimits", () => {
  it("gives up on a server that sends too little, though it is never silent", () => {
    const slow = limits();
    for (let i = 0; i < 5; i++) expect(slow.received(5000, 2)).toBeNull();
    expect(slow.received(5000, 2)).toBe("the server sent 12 bytes in 30 s, expected at least 1000 a second");
  });

  it("counts each span anew: a quick beginning does not excuse what follows", () => {
    const fading = limits();
    expect(fading.received(30_000, 1e9)).toBeNull();
    expect(fading.received(30_000, 29_000)).toMatch(/sent 29000 bytes in 30 s/);
  });

  it("does not blame the server for a reader who takes his time: only waits count", () => {
    const patient = limits();
    for (let i = 0; i < 10_000; i++) expect(patient.received(0, 10)).toBeNull();
    expect(patient.nextWaitMs).toBe(30_000);
  });

  it("gives up when all takes too long, however fast it comes", () => {
    const endless = limits({ totalTimeoutMs: 60_000 });
    endless.connected(25_000);
    expect(endless.received(10_000, 1e9)).toBeNull();
    expect([endless.nextWaitMs, endless.impatience]).toEqual([25_000, "the server took longer than 60 s"]);
    expect(endless.received(25_000, 1e9)).toBe("the server took longer than 60 s");
  });

  it("waits for the first byte as long as for any other, and in all for ever if told so", () => {
    const free = limits({ totalTimeoutMs: Infinity, minBytesPerSecond: 0 });
    expect([free.nextWaitMs, free.impatience]).toEqual([30_000, "the server sent nothing for 30 s"]);
    for (let i = 0; i < 1000; i++) expect(free.received(29_000, 1)).toBeNull();
  });
});
