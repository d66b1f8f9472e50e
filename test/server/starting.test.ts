/** What is asked while the server starts, at each of its stages. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PROTOCOLS } from "../../src/server/app.ts";
import { resolveConfig, type ServerConfig } from "../../src/server/config.ts";
import { startServer } from "../../src/server/server.ts";
import type { ServerPlugin } from "../../src/server/service.ts";
import { MODEL } from "./start.ts";

let folder: string;
let config: ServerConfig;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sotto-test-"));
  config = resolveConfig({ port: 0, models: [MODEL], uploadDir: folder, store: folder, logLevel: "silent" });
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends a request as it stands, on a connection of its own, and takes what comes until the server ends it. */
function exchange(url: string, request: string): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(request));
    let text = "";
    socket.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      // An upgraded connection stays open.
      if (text.startsWith("HTTP/1.1 101")) socket.end();
    });
    socket.on("error", reject).on("close", () => {
      const [head, body = ""] = text.split("\r\n\r\n");
      resolve({ status: Number(head.split(" ")[1]), head: head.toLowerCase(), body });
    });
  });
}

const get = (path: string, headers = ""): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`;
const PAGE = get("/", "Accept: text/html,application/xhtml+xml\r\n");
const UPGRADE = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const POST =
  "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" +
  "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const PATHS = ["/health", "/v1/models", "/jobs", "/metrics", "/openapi.json", "/docs", "/nothing", "/config", "/live"];

/** Everything at once. */
async function askAll(url: string): Promise<Record<string, Answer>> {
  const asked: [name: string, request: string][] = [
    ...PATHS.map((path): [string, string] => [path, get(path)]),
    ["page", PAGE],
    ["post", POST],
    ["broken", "what is this\r\n\r\n"],
    ["upgrade /live", UPGRADE("/live")],
    ["upgrade /v1/realtime", UPGRADE("/v1/realtime")],
    ["upgrade /nothing", UPGRADE("/nothing")],
  ];
  return Object.fromEntries(
    await Promise.all(asked.map(async ([name, request]) => [name, await exchange(url, request)] as const)),
  );
}

describe("startServer() while it starts", () => {
  it("answers every request and upgrade with 503 until the application is ready, at each stage", async () => {
    const stages: [stage: string, answers: Record<string, Answer>][] = [];
    let url = "";
    let opened: Promise<void> = Promise.resolve();
    const ask = async (stage: string): Promise<void> => void stages.push([stage, await askAll(url)]);
    // Each stage is held back until all has been answered.
    const held: ServerPlugin = async (app) => {
      await opened;
      await ask("the application is built");
      app.addHook("onReady", () => ask("the application gets ready"));
    };
    const server = await startServer(config, {
      plugins: [...PROTOCOLS, held],
      onListening: (at) => {
        url = at;
        opened = ask("models are loaded");
      },
    });
    try {
      expect(stages.map(([stage]) => stage)).toEqual([
        "models are loaded",
        "the application is built",
        "the application gets ready",
      ]);
      for (const [stage, { page, broken, ...others }] of stages) {
        expect(page.status, stage).toBe(503);
        expect(page.head, stage).toMatch(/^content-type: text\/html/m);
        expect(page.head, stage).toMatch(/^retry-after: 2$/m);
        expect(page.body, stage).toContain('<meta http-equiv="refresh" content="2">');
        expect(broken.status, stage).toBe(400);
        for (const [name, answer] of Object.entries(others)) {
          expect(answer.status, `${name}, ${stage}`).toBe(503);
          expect(answer.head, `${name}, ${stage}`).toMatch(/^retry-after: 2$/m);
          expect(JSON.parse(answer.body), `${name}, ${stage}`).toMatchObject(
            name === "/health" ? { status: "loading model" } : { error: { type: "server_error", code: "loading" } },
          );
        }
      }
      const ready = await askAll(url);
      expect(Object.fromEntries(Object.entries(ready).map(([name, { status }]) => [name, status]))).toMatchObject({
        "/health": 200,
        "/v1/models": 200,
        "/jobs": 200,
        broken: 400,
        "upgrade /live": 101,
        "upgrade /v1/realtime": 101,
      });
    } finally {
      await server.close();
    }
  });
});
