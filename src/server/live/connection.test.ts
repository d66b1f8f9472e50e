import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Connection, type Protocol } from "./connection.ts";
import { MAX_HELD_BYTES, MAX_QUEUED_SECONDS } from "./limits.ts";

let server: WebSocketServer;
/** The server's side, what it was told, and whether its client has gone. */
let socket: WebSocket;
let connection: Connection;
let taken: string[];
let hasLeft: boolean;
/** What the next messages take their time by. */
let work: Promise<void> | undefined;
let client: WebSocket;

beforeEach(async () => {
  [taken, hasLeft, work] = [[], false, undefined];
  const protocol: Protocol = {
    onText: (text) => {
      taken.push(text);
      return work;
    },
    onBinary: (bytes) => {
      taken.push(`${bytes.length} bytes`);
      return work;
    },
    onClose: () => (hasLeft = true),
    refuse: () => undefined,
  };
  server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (opened) => (connection = new Connection((socket = opened), () => protocol)));
  await once(server, "listening");
  client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(client, "open");
  await vi.waitUntil(() => server.clients.size === 1);
});
afterEach(() => {
  client.terminate();
  for (const one of server.clients) one.terminate();
  server.close();
});

const isTrue = { timeout: 20_000 };

/** An engine that will not get any further. */
const fallBehind = (): void => connection.regulate(MAX_QUEUED_SECONDS + 1);

describe("Connection", () => {
  it.each<[what: string, stop: () => void]>([
    ["that is behind", fallBehind],
    ["that waits for a message", () => (work = new Promise(() => undefined))],
  ])("notices a client that closes one %s", async (_, stop) => {
    stop();
    client.send("one");
    client.send(new Uint8Array(1000));
    client.close();
    await vi.waitUntil(() => hasLeft, isTrue);
  });

  it("notices a client that goes away while nothing is read from it", async () => {
    fallBehind();
    for (let i = 0; i < 64; i++) client.send(new Uint8Array(2 ** 20));
    await vi.waitUntil(() => socket.isPaused, isTrue);
    expect(hasLeft).toBe(false);
    client.terminate();
    await vi.waitUntil(() => hasLeft, isTrue);
  });

  it("holds some messages, and takes them in order once it is no longer behind", async () => {
    fallBehind();
    const sizes = Array.from({ length: 40 }, (_, i) => MAX_HELD_BYTES / 8 + i);
    for (const size of sizes) client.send(new Uint8Array(size));
    client.send("end");
    await vi.waitUntil(() => socket.isPaused, isTrue);
    expect(taken).toEqual([]);
    connection.regulate(0);
    await vi.waitUntil(() => taken.at(-1) === "end", isTrue);
    expect(taken).toEqual([...sizes.map((size) => `${size} bytes`), "end"]);
    expect(socket.isPaused).toBe(false);
  });
});
