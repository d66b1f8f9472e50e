/** How the server ends: `sotto serve` as a process, and `close()`. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { LiveClient } from "./live-client.ts";
import { CHUNKED, formOf, MODEL, ROOT, sample, startTestServer, until, wavOf } from "./start.ts";

const recording = (): FormData => formOf({ bytes: readFileSync(sample("en-short.wav")), name: "a.wav" });
const post = (url: string, path: string, body: FormData): Promise<Response> =>
  fetch(url + path, { method: "POST", body });
const upgradeStatus = (url: string): Promise<number> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.on("error", () => undefined);
    socket.on("open", () => resolve(101));
    socket.on("unexpected-response", (_, { statusCode = 0 }) => resolve(statusCode));
  });

describe("RunningServer.close()", () => {
  it("answers /health and new work with 503 for a while, and lets what runs end", async () => {
    const server = await startTestServer();
    const running = post(
      server.url,
      "/v1/audio/transcriptions",
      formOf({ bytes: wavOf(60), name: "long.wav" }, CHUNKED),
    );
    const live = await LiveClient.connect(`${server.url.replace("http", "ws")}/live`);
    live.send({});
    await live.until("ready");
    await until(() => server.service.load.running === 1);
    let goOn = (): void => undefined;
    const closed = server.close({ after: new Promise<void>((resolve) => (goOn = resolve)) });
    const health = await fetch(`${server.url}/health`);
    expect([health.status, await health.json()]).toEqual([503, { status: "shutting down" }]);
    for (const path of ["/v1/audio/transcriptions", "/v1/audio/translations", "/inference", "/jobs", "/upload"]) {
      const refused = await post(server.url, path, recording());
      expect([refused.status, refused.headers.get("retry-after")], path).toEqual([503, "5"]);
    }
    for (const path of ["/gradio_api/queue/join", "/gradio_api/call/predict", "/run/predict"]) {
      expect((await fetch(server.url + path, { method: "POST" })).status, path).toBe(503);
    }
    for (const path of ["/live", "/v1/realtime"]) expect(await upgradeStatus(server.url + path), path).toBe(503);
    expect((await fetch(`${server.url}/v1/models`)).status).toBe(200);
    live.send({ type: "ping" });
    await live.until("pong");
    expect((await running).status).toBe(200);
    goOn();
    await closed;
    await live.rest();
    await expect(fetch(`${server.url}/health`)).rejects.toThrow();
  });
});

describe("/favicon.ico", () => {
  it("is an icon, also without the page", async () => {
    const server = await startTestServer({ staticDir: "/nowhere", apiKeys: ["k"] });
    try {
      const icon = await fetch(`${server.url}/favicon.ico`);
      expect([icon.status, icon.headers.get("content-type")]).toEqual([200, "image/x-icon"]);
      const bytes = Buffer.from(await icon.arrayBuffer());
      expect([bytes.readUInt16LE(2), bytes.readUInt16LE(4), bytes.readUInt32LE(14)]).toEqual([1, 1, bytes.length - 22]);
      expect(bytes.subarray(23, 26).toString()).toBe("PNG");
    } finally {
      await server.close();
    }
  });
});

describe("sotto serve", () => {
  /** Starts it, sends a signal, and says how it ended and whether the port was open then. */
  async function ended(first: NodeJS.Signals, delay: string, second?: NodeJS.Signals): Promise<unknown[]> {
    const folder = await mkdtemp(join(tmpdir(), "sotto-test-"));
    const argv = [
      "--port",
      "0",
      "--model",
      MODEL,
      "--store",
      folder,
      "--upload_dir",
      folder,
      "--shutdown_delay",
      delay,
    ];
    const child = spawn(process.execPath, [join(ROOT, "dist/cli/main.js"), "serve", ...argv], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const exit = new Promise<number | string | null>((resolve) =>
      child.once("exit", (code, signal) => resolve(code ?? signal)),
    );
    try {
      const url = await new Promise<string>((resolve, reject) => {
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          const at = /Listening on (\S+)/.exec(text)?.[1];
          if (at !== undefined) resolve(at);
        });
        child.once("exit", () => reject(new Error("The server has ended")));
      });
      child.kill(first);
      // Until it has noticed.
      let health = 200;
      while (health === 200) {
        health = await fetch(`${url}/health`).then(
          ({ status }) => status,
          () => 0,
        );
      }
      if (second !== undefined) child.kill(second);
      return [health, await exit];
    } finally {
      child.kill("SIGKILL");
      await exit;
      await rm(folder, { recursive: true, force: true });
    }
  }

  it("keeps the port open for a while after SIGTERM, with 503 from /health, and ends with 0", async () => {
    expect(await ended("SIGTERM", "5")).toEqual([503, 0]);
  });

  it("ends at once at a second signal", async () => {
    expect(await ended("SIGTERM", "600", "SIGINT")).toEqual([503, "SIGINT"]);
  });

  it("does not wait after Ctrl-C", async () => {
    const [, exit] = await ended("SIGINT", "600");
    expect(exit).toBe(0);
  });
});
