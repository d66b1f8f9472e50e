/**
 * The server that listens, in front of the application. Until the application is ready it answers by itself: /health, a page that
 * reloads itself, and 503 to everything else. Fastify's handlers are attached to a server of their own, which never listens: a
 * request that reaches them before `ready()` has resolved throws, and would end the process.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Longer than load balancers keep theirs (60 s), so that none sends a request into a connection that is being closed. */
const KEEP_ALIVE_MS = 72_000;

/** After which a client may ask again, while models are loaded. */
const RETRY_SECONDS = "2";

export class Entrance {
  /** The one that listens. */
  readonly server: Server;
  /** The one for the application's handlers; to be opened with `open()` once they may be called. */
  readonly inner = createServer();
  readonly #sockets = new Set<Socket>();
  #isOpen = false;

  constructor() {
    this.server = createServer((request, response) => {
      if (this.#isOpen) this.inner.emit("request", request, response);
      else answerLoading(request, response);
    });
    this.server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // The application stops listening when it closes.
      if (this.#isOpen && this.inner.emit("upgrade", request, socket, head)) return;
      refuseUpgrade(socket as Socket, this.#isOpen ? "shutting_down" : "loading");
    });
    this.server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** From now on the application answers. Its `ready()` must have resolved. */
  open(): void {
    this.#isOpen = true;
    this.server.on("clientError", (error: Error, socket: Duplex) => this.inner.emit("clientError", error, socket));
  }

  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen({ host, port }, () => {
        this.server.removeListener("error", reject);
        resolve();
      });
    });
  }

  /** Ends all connections, whatever they are doing. */
  destroyConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

const MESSAGES = { loading: "The models are being loaded", shutting_down: "The server is shutting down" };

function bodyOf(code: keyof typeof MESSAGES): string {
  return JSON.stringify({ error: { message: MESSAGES[code], type: "server_error", param: null, code } });
}

function answerLoading(request: IncomingMessage, response: ServerResponse): void {
  const isHealth = (request.url ?? "/").split("?")[0] === "/health";
  const isPage = !isHealth && request.method === "GET" && /\btext\/html\b/i.test(request.headers.accept ?? "");
  const body = isHealth ? JSON.stringify({ status: "loading model" }) : isPage ? LOADING_PAGE : bodyOf("loading");
  // What is sent is dropped.
  request.resume();
  response.writeHead(503, {
    "retry-after": RETRY_SECONDS,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-type": `${isPage ? "text/html" : "application/json"}; charset=utf-8`,
    ...(isPage && { "content-security-policy": PAGE_POLICY }),
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

function refuseUpgrade(socket: Socket, code: keyof typeof MESSAGES): void {
  // Node has taken its own listener away.
  socket.on("error", () => socket.destroy());
  const body = bodyOf(code);
  socket.write(
    [
      `HTTP/1.1 503 ${STATUS_CODES[503]}`,
      "Connection: close",
      `Retry-After: ${RETRY_SECONDS}`,
      "Content-Type: application/json; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n"),
  );
  socket.destroySoon();
}

const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";

const LOADING_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${RETRY_SECONDS}">
<title>sotto is starting</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.1rem system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; text-align: center; }
</style>
</head>
<body>
<main>
<h1>sotto is starting</h1>
<p>The models are being loaded. This page reloads by itself.</p>
</main>
</body>
</html>
`;
