import { describe, expect, it } from "vitest";

import { PieceQueue } from "./piece-queue.ts";

describe("PieceQueue", () => {
  it("gives samples and silence in order, in pieces of the size that is asked for", () => {
    const queue = new PieceQueue();
    queue.push(Float32Array.of(1, 2, 3));
    queue.pushSilence(3);
    queue.push(new Float32Array(0));
    queue.push(Float32Array.of(4));
    expect(queue.length).toBe(7);
    expect([...queue.take(2)]).toEqual([1, 2]);
    expect([...queue.take(3)]).toEqual([3, 0, 0]);
    expect([...queue.take(10)]).toEqual([0, 4]);
    expect(queue.take(10)).toHaveLength(0);
    expect(queue.length).toBe(0);
  });
});
