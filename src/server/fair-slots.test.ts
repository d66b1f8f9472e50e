import { describe, expect, it } from "vitest";
import { FairSlots } from "./fair-slots.ts";

const never = new AbortController().signal;

/** Lets clients take places in order; gives who has one, and what gives each back. */
async function crowd(slots: FairSlots, clients: readonly string[]) {
  const holders: { readonly client: string; readonly release: () => void }[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (const client of clients) {
    void slots.take(client, never).then((release) => holders.push({ client, release }));
  }
  await settle();
  return {
    who: () => holders.map(({ client }) => client).join(""),
    release: async (at: number) => {
      holders[at].release();
      await settle();
    },
  };
}

describe("FairSlots", () => {
  it("gives places to all clients by turns, whoever came with many", async () => {
    const { who, release } = await crowd(new FairSlots({ slots: 2, perClient: 2 }), [..."aaaabc"]);
    expect(who()).toBe("aa");
    for (let i = 0; i < 4; i++) await release(i);
    expect(who()).toBe("aabcaa");
  });

  it("lets nobody wait behind a client that came first with many, where there is one place", async () => {
    const { who, release } = await crowd(new FairSlots({ slots: 1, perClient: 1 }), [..."aaaab"]);
    await release(0);
    expect(who()).toBe("ab");
    await release(1);
    await release(2);
    expect(who()).toBe("abaa");
  });

  it("lets nobody wait for ever behind two that come again and again", async () => {
    const slots = new FairSlots({ slots: 1, perClient: 1 });
    const order: string[] = [];
    const serve = async (client: string): Promise<void> => {
      const release = await slots.take(client, never);
      order.push(client);
      // The next one comes while this one has the place.
      if (order.length < 6) void serve(client === "a" ? "c" : "a");
      await new Promise((resolve) => setImmediate(resolve));
      release();
    };
    const first = serve("a");
    await Promise.all([first, serve("b")]);
    expect(order.indexOf("b")).toBeLessThan(3);
  });

  it("never gives one client all places, if it may not have them", async () => {
    const slots = new FairSlots({ slots: 4, perClient: 2 });
    const { who } = await crowd(slots, [..."aaaab"]);
    expect(who()).toBe("aab");
    expect([slots.used, slots.waiting]).toEqual([3, 2]);
  });

  it("forgets who waits with the signal, and counts a place that is given back twice once", async () => {
    const slots = new FairSlots({ slots: 1, perClient: 1 });
    const release = await slots.take("a", never);
    const leaving = new AbortController();
    const waits = slots.take("b", leaving.signal);
    leaving.abort(new Error("gone"));
    await expect(waits).rejects.toThrow("gone");
    await expect(slots.take("b", leaving.signal)).rejects.toThrow("gone");
    release();
    release();
    expect([slots.used, slots.waiting]).toEqual([0, 0]);
    (await slots.take("b", never))();
  });
});
