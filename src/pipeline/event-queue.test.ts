import { describe, expect, it } from "vitest";
import { EventQueue } from "./event-queue.ts";

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("EventQueue", () => {
  it("gives what the job pushes, in order, whether it pushes at once or later", async () => {
    const queue = new EventQueue<number>();
    const items = queue.drain(undefined, async () => {
      queue.push(1);
      queue.push(2);
      await Promise.resolve();
      queue.push(3);
    });
    expect(await collect(items)).toEqual([1, 2, 3]);
  });

  it("gives what was pushed before it throws the job's error", async () => {
    const queue = new EventQueue<number>();
    const seen: number[] = [];
    const items = queue.drain(undefined, async () => {
      queue.push(1);
      throw new Error("broken");
    });
    await expect(
      (async () => {
        for await (const item of items) seen.push(item);
      })(),
    ).rejects.toThrow("broken");
    expect(seen).toEqual([1]);
  });

  it("aborts the job and waits for its end when the reader stops", async () => {
    const queue = new EventQueue<number>();
    let ended = false;
    for await (const _ of queue.drain(undefined, async (signal) => {
      queue.push(1);
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      await Promise.resolve();
      ended = true;
    })) {
      break;
    }
    expect(ended).toBe(true);
  });

  it("passes the caller's abort on to the job", async () => {
    const queue = new EventQueue<number>();
    const caller = new AbortController();
    const items = queue.drain(caller.signal, async (signal) => {
      caller.abort(new Error("enough"));
      signal.throwIfAborted();
    });
    await expect(collect(items)).rejects.toThrow("enough");
  });
});
