import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { completedMessage, progressMessage } from "./messages.ts";
import { Sessions, type SessionSink } from "./sessions.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const DONE = completedMessage({ ok: true, data: ["text", 1], seconds: 1 });

function sink() {
  const messages: { msg?: string }[] = [];
  let ended = false;
  const one: SessionSink = { send: (message) => messages.push(message), end: () => (ended = true) };
  return { one, messages, isEnded: () => ended, kinds: () => messages.map(({ msg }) => msg) };
}

describe("Sessions", () => {
  it("keeps messages until the client connects, and closes after the last call", () => {
    const sessions = new Sessions();
    sessions.open("s", "a", () => undefined);
    sessions.open("s", "b", () => undefined);
    sessions.send("s", "a", DONE);
    const stream = sink();
    expect(sessions.connect("s", stream.one)).toBe(true);
    expect(stream.kinds()).toEqual(["process_completed"]);
    expect(stream.isEnded()).toBe(false);
    sessions.send("s", "b", DONE);
    expect(stream.kinds()).toEqual(["process_completed", "process_completed", "close_stream"]);
    expect(stream.isEnded()).toBe(true);
    expect(sessions.size).toBe(0);
  });

  it("closes at once where all calls ended before the client connected", () => {
    const sessions = new Sessions();
    sessions.open("s", "a", () => undefined);
    sessions.send("s", "a", DONE);
    const stream = sink();
    sessions.connect("s", stream.one);
    expect(stream.kinds()).toEqual(["process_completed", "close_stream"]);
  });

  it("cancels the calls of a client that never connects, or does not come back", () => {
    const sessions = new Sessions();
    const cancelled: string[] = [];
    sessions.open("never", "a", () => cancelled.push("a"));
    sessions.open("gone", "b", () => cancelled.push("b"));
    sessions.open("back", "c", () => cancelled.push("c"));
    const [gone, before, after] = [sink(), sink(), sink()];
    sessions.connect("gone", gone.one);
    sessions.connect("back", before.one);
    sessions.disconnect("gone", gone.one);
    sessions.disconnect("back", before.one);
    sessions.connect("back", after.one);
    vi.advanceTimersByTime(11_000);
    expect(cancelled).toEqual(["b"]);
    vi.advanceTimersByTime(60_000);
    expect(cancelled).toEqual(["b", "a"]);
    expect(sessions.size).toBe(1);
  });

  it("keeps a bounded number of messages, and the end among them", () => {
    const sessions = new Sessions();
    sessions.open("s", "a", () => undefined);
    for (let i = 0; i < 10_000; i++) sessions.send("s", "a", progressMessage("Transcribing...", i, 10_000));
    sessions.send("s", "a", DONE);
    const stream = sink();
    sessions.connect("s", stream.one);
    expect(stream.messages.length).toBeLessThan(400);
    expect(stream.kinds().slice(-2)).toEqual(["process_completed", "close_stream"]);
  });

  it("cancels a call only for the session it belongs to", () => {
    const sessions = new Sessions();
    const cancelled: string[] = [];
    sessions.open("mine", "a", () => cancelled.push("a"));
    sessions.open("theirs", "b", () => cancelled.push("b"));
    sessions.cancel("theirs", "a");
    sessions.cancel("nobody", "a");
    expect(cancelled).toEqual([]);
    sessions.cancel("mine", "a");
    expect(cancelled).toEqual(["a"]);
  });
});
