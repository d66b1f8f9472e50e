/**
 * A server with the answers that the page needs and no model behind them: for working on the page, and for the moments
 * that a real server passes through too fast or too seldom to be tested on (a queue, a failure, a refused key). Every
 * sentence it "hears" is made up.
 *
 *   node test/web/mock-server.ts [port]     (Node 22; for `npx vite web` and `npx vite build web`)
 */

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

/** What the page must live with: nothing inline, nothing from elsewhere. */
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self' blob: https: http:; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wav": "audio/wav",
};

type Json = Record<string, unknown>;

/** What a job does, step by step, once somebody listens; a step may wait for the test. */
export type Script = (send: (event: Json) => void, form: Record<string, string>) => Promise<void> | void;

export interface MockServer {
  readonly url: string;
  /** Of jobs from now on. */
  script: Script;
  /** If set, requests without it are refused. */
  apiKey: string | null;
  /** Forms that were posted, without their files. */
  readonly forms: Record<string, string>[];
  /** Ids of jobs, in the order of the forms. */
  readonly ids: string[];
  /** Ids of jobs that were deleted. */
  readonly deleted: string[];
  /** Every request to the API since it was emptied: method and path. */
  readonly requests: string[];
  /** While set, the API answers nothing else: with a status and perhaps Retry-After, or by hanging up. */
  outage: "hang up" | { readonly status: number; readonly retryAfter?: number } | null;
  /** Uploads are read when it resolves. */
  reading: Promise<void>;
  /** Cuts all connections, as the end of a server does. */
  cut(): void;
  /** Loses all jobs, as a server that was started anew. */
  forget(): void;
  close(): Promise<void>;
  /** What the server offers. */
  models: Json[];
  /** Live captions hear speech and say nothing of it before the end. */
  isSlow: boolean;
}

export function sentence(id: number, start: number, text: string, isTimed = true): Json {
  const words = text.split(" ");
  const step = 0.4;
  const end = start + words.length * step;
  return {
    ...{ id, start, end, text: ` ${text}`, tokens: [], temperature: 0, avg_logprob: -0.2 },
    ...{ compression_ratio: 1.1, no_speech_prob: 0.01 },
    ...(isTimed && {
      words: words.map((word, i) => ({
        ...{ word: ` ${word}`, probability: 0.9 },
        ...{ start: start + i * step, end: start + (i + 1) * step },
      })),
    }),
  };
}

export function transcript(segments: Json[], duration: number): Json {
  const text = segments.map((segment) => segment["text"] as string).join("");
  return { text, language: "en", language_probability: 0.98, duration, segments, warnings: [] };
}

/** Hears two sentences in five seconds. */
export const twoSentences: Script = (send, form) => {
  const isTimed = form["word_timestamps"] === "true";
  const segments = [
    sentence(0, 0.3, "Clara likes to sing.", isTimed),
    sentence(1, 2.5, "The station is next to the museum.", isTimed),
  ];
  send({ type: "queued", position: 0, size: 1 });
  send({ type: "started" });
  for (const segment of segments) {
    send({ type: "segment", segment });
    send({ type: "progress", seconds: segment["end"], duration: 4.9 });
  }
  send({ type: "done", transcript: transcript(segments, 4.9), seconds: 0.5 });
};

/** How far a job is that has told these events. */
function view(events: readonly Json[]): Json {
  const last = (type: string): Json | undefined => events.findLast((event) => event["type"] === type);
  const end = events.find(({ type }) => ["done", "failed", "cancelled"].includes(type as string));
  const { seconds = null, duration = null } = last("progress") ?? {};
  return {
    status: end?.["type"] ?? (last("started") === undefined ? "queued" : "running"),
    position: last("queued")?.["position"] ?? null,
    progress: { seconds, duration },
    error: end?.["error"] ?? null,
  };
}

function fields(body: Buffer, type: string): Record<string, string> {
  const boundary = /boundary=(.+)$/.exec(type)?.[1] ?? "";
  const form: Record<string, string> = {};
  for (const part of body.toString("latin1").split(`--${boundary}`)) {
    const [, name, file, value] =
      /name="([^"]*)"(?:; filename="([^"]*)")?[\s\S]*?\r\n\r\n([\s\S]*?)\r\n$/.exec(part) ?? [];
    if (name !== undefined) form[name] = file === undefined ? value : Buffer.from(file, "latin1").toString();
  }
  return form;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

export const MODELS: Json[] = [{ id: "nano" }, { id: "base.en", is_multilingual: false }];

/** @param page folder of the built page */
export async function startMockServer({
  page: folder,
  port = 0,
}: {
  page: string;
  port?: number;
}): Promise<MockServer> {
  const jobs = new Map<string, { form: Record<string, string>; events: Json[]; listeners: Set<ServerResponse> }>();
  let count = 0;
  const json = (
    response: ServerResponse,
    status: number,
    value: unknown,
    headers: Record<string, string> = {},
  ): void => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
  };
  const write = (response: ServerResponse, event: Json): void => {
    const { type, segment, ...body } = event as { type: string; segment?: Json };
    response.write(`event: ${type}\ndata: ${JSON.stringify(segment ?? body)}\n\n`);
    if (["done", "failed", "cancelled"].includes(type)) response.end();
  };

  const http = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://host");
    const [, id, action] = /^\/jobs\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? [];
    const isApi = pathname.startsWith("/v1/") || pathname.startsWith("/jobs");
    if (isApi) mock.requests.push(`${request.method} ${pathname}`);
    const { outage } = mock;
    if (isApi && outage === "hang up") request.socket.destroy();
    else if (isApi && outage !== null) {
      const { status, retryAfter } = outage as Exclude<MockServer["outage"], string | null>;
      request.resume();
      const headers: Record<string, string> = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
      json(response, status, { error: { message: "The models are being loaded", code: "loading" } }, headers);
    } else if (isApi && mock.apiKey !== null && request.headers.authorization !== `Bearer ${mock.apiKey}`) {
      json(response, 401, { error: { message: "The API key is missing or wrong", code: "invalid_api_key" } });
    } else if (pathname === "/v1/models") {
      json(response, 200, { object: "list", data: mock.models });
    } else if (pathname === "/jobs" && request.method === "POST") {
      await mock.reading;
      const body = await bodyOf(request).catch(() => null);
      if (body === null) return; // the page has left
      const form = fields(body, request.headers["content-type"] ?? "");
      const job = { form, events: [] as Json[], listeners: new Set<ServerResponse>() };
      const name = `job-${++count}`;
      mock.forms.push(form);
      mock.ids.push(name);
      jobs.set(name, job);
      json(response, 202, { id: name, status: "queued", position: 0 });
      const send = (event: Json): void => {
        job.events.push(event);
        for (const listener of job.listeners) write(listener, event);
      };
      await mock.script(send, form);
    } else if (id !== undefined && request.method === "DELETE") {
      mock.deleted.push(id);
      jobs.delete(id);
      response.writeHead(204).end();
    } else if (id !== undefined && action === undefined) {
      const job = jobs.get(id);
      if (job === undefined) return json(response, 404, { error: { message: "No such job" } });
      json(response, 200, view(job.events));
    } else if (id !== undefined && action === "events") {
      const job = jobs.get(id);
      if (job === undefined) return json(response, 404, { error: { message: "No such job" } });
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(": hello\n\n");
      for (const event of job.events) write(response, event);
      job.listeners.add(response);
      response.on("close", () => job.listeners.delete(response));
    } else await page(pathname, response);
  }

  async function page(pathname: string, response: ServerResponse): Promise<void> {
    const path = join(folder, normalize(pathname === "/" ? "/index.html" : pathname));
    try {
      const file = await readFile(path);
      response
        .writeHead(200, {
          "content-type": TYPES[extname(path)] ?? "application/octet-stream",
          "content-security-policy": POLICY,
          "x-content-type-options": "nosniff",
        })
        .end(file);
    } catch {
      json(response, 404, { error: { message: "Not found" } });
    }
  }

  // Live captions: a word for each half second of sound.
  const WORDS = "it was a quiet evening and nobody in the house had noticed the rain .".split(" ");
  const sockets = new WebSocketServer({ server: http, path: "/live" });
  sockets.on("connection", (socket) => {
    let bytes = 0;
    let said = 0;
    let committed = 0;
    const send = (event: Json): void => socket.send(JSON.stringify(event));
    const wordsFrom = (from: number, to: number): { text: string; start: number; end: number; probability: number }[] =>
      WORDS.slice(from, to).map((word, i) => ({
        text: word === "." ? "." : ` ${word}`,
        start: (from + i) * 0.5,
        end: (from + i) * 0.5 + 0.45,
        probability: 0.9,
      }));
    const commit = (to: number): void => {
      if (to <= committed) return;
      const words = wordsFrom(committed, to);
      send({ type: "commit", utterance: 0, text: words.map(({ text }) => text).join(""), words });
      committed = to;
    };
    socket.on("message", (data: Buffer, isBinary) => {
      if (isBinary) {
        if (bytes === 0) send({ type: "speech_start", utterance: 0, time: 0, audio_start: 0 });
        bytes += data.length;
        if (mock.isSlow) return;
        const heard = Math.min(WORDS.length, Math.floor(bytes / 16000));
        if (heard === said) return;
        said = heard;
        commit(said - 3);
        send({
          type: "partial",
          utterance: 0,
          text: WORDS.slice(committed, said)
            .map((word) => ` ${word}`)
            .join(""),
        });
      } else if ((JSON.parse(data.toString()) as Json)["type"] === "end") {
        commit(said);
        const words = wordsFrom(0, said);
        const text = words.map((word) => word.text).join("");
        send({ type: "final", utterance: 0, start: 0, end: said / 2, text: text.trim(), language: "en", words });
        socket.close(1000);
      }
    });
  });

  const mock: MockServer = {
    url: "",
    script: twoSentences,
    apiKey: null,
    models: MODELS,
    isSlow: false,
    forms: [],
    ids: [],
    deleted: [],
    requests: [],
    outage: null,
    reading: Promise.resolve(),
    cut: () => http.closeAllConnections(),
    forget: () => jobs.clear(),
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  return Object.assign(mock, { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/` });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = fileURLToPath(new URL("../../dist/web/", import.meta.url));
  console.log((await startMockServer({ page, port: Number(process.argv[2] ?? 8000) })).url);
}
