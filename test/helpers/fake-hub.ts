/**
 * A Hugging Face hub on the loopback interface: the part of its HTTP interface that downloads use. Files of weights are
 * sent by a second server, the "cdn", as the real hub does, so that what crosses hosts can be seen. Failures on demand.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What goes wrong with a request, instead of the right answer. */
export type Failure =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Sends so many bytes of the body, then breaks the connection. */
  | { readonly truncateAfter: number }
  /** Sends the right number of bytes, one of them changed. */
  | { readonly corrupt: true }
  /** Sends more than it announced elsewhere. */
  | { readonly extra: number }
  /** Sends so many bytes, then nothing more. */
  | { readonly stallAfter: number };

interface PlannedFailure {
  readonly matches: (request: SeenRequest) => boolean;
  readonly failure: Failure;
  times: number;
}

export interface SeenRequest {
  readonly server: "hub" | "cdn";
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface FakeRepository {
  /** Contents by path; weights (*.safetensors) are kept as large files: sha256, sent by the cdn. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  /** Only for those who send this token. */
  readonly token?: string;
  /** As `token`, with the hub's code for conditions to be accepted. */
  readonly gated?: boolean;
  /** Hub id it is now called: asked for the old one, the hub redirects. */
  readonly renamedTo?: string;
}

const bytesOf = (content: Uint8Array | string): Uint8Array =>
  typeof content === "string" ? new TextEncoder().encode(content) : content;

/** Name of a blob in the cache: what the hub gives as etag. */
export function etagOf(file: string, content: Uint8Array | string): string {
  const bytes = bytesOf(content);
  if (file.endsWith(".safetensors")) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

/** A commit id that changes with the contents. */
export function commitOf(repository: FakeRepository): string {
  const hash = createHash("sha1");
  for (const [file, content] of Object.entries(repository.files)) hash.update(file).update(bytesOf(content));
  return hash.digest("hex");
}

const addressOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

export class FakeHub {
  readonly repositories = new Map<string, FakeRepository>();
  readonly requests: SeenRequest[] = [];
  /** Whether byte ranges are served. */
  ranges = true;
  /** For `HubOptions.endpoint`; nobody answers there once the hub has stopped. */
  endpoint = "";
  private cdnEndpoint = "";
  private readonly planned: PlannedFailure[] = [];
  private readonly hub: Server;
  private readonly cdn: Server;

  private constructor() {
    this.hub = createServer((request, response) => this.answerHub(request, response));
    this.cdn = createServer((request, response) => this.answerCdn(request, response));
  }

  static async start(): Promise<FakeHub> {
    const fake = new FakeHub();
    for (const server of [fake.hub, fake.cdn]) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    fake.endpoint = addressOf(fake.hub);
    fake.cdnEndpoint = addressOf(fake.cdn);
    return fake;
  }

  /** The next so many requests that match fail; later plans wait until earlier ones that match are used up. */
  fail(matches: (request: SeenRequest) => boolean, failure: Failure, times = 1): void {
    this.planned.push({ matches, failure, times });
  }

  /** Requests for one file: of its bytes with "GET". */
  requestsFor(file: string, method: string): SeenRequest[] {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(`/${file}`));
  }

  async stop(): Promise<void> {
    for (const server of [this.hub, this.cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  private note(server: "hub" | "cdn", request: IncomingMessage): { seen: SeenRequest; failure: Failure | undefined } {
    const seen: SeenRequest = {
      server,
      method: request.method ?? "",
      path: decodeURIComponent(request.url ?? ""),
      range: request.headers.range,
      authorization: request.headers.authorization,
    };
    this.requests.push(seen);
    const plan = this.planned.find(({ matches, times }) => times > 0 && matches(seen));
    if (plan !== undefined) plan.times--;
    return { seen, failure: plan?.failure };
  }

  private answerHub(request: IncomingMessage, response: ServerResponse): void {
    const { seen, failure } = this.note("hub", request);
    const refuse = (status: number, code?: string): void => {
      response.writeHead(status, code === undefined ? {} : { "x-error-code": code }).end();
    };
    if (failure !== undefined && "status" in failure) {
      response.writeHead(failure.status, failure.headers).end();
      return;
    }
    const match = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+(?:\/pr\/\d+)?)\/(.+)$/.exec(seen.path);
    const repository = match === null ? undefined : this.repositories.get(match[1]);
    if (match === null || repository === undefined) return refuse(401, "RepoNotFound");
    const [, id, revision, file] = match;
    if (repository.renamedTo !== undefined) {
      response.writeHead(307, { location: seen.path.replace(id, repository.renamedTo) }).end();
      return;
    }
    if (repository.token !== undefined && seen.authorization !== `Bearer ${repository.token}`) {
      return refuse(repository.gated === true ? 403 : 401, repository.gated === true ? "GatedRepo" : "RepoNotFound");
    }
    const commit = commitOf(repository);
    if (revision !== "main" && revision !== commit) return refuse(404, "RevisionNotFound");
    if (!Object.hasOwn(repository.files, file)) return refuse(404, "EntryNotFound");

    const bytes = bytesOf(repository.files[file]);
    const etag = etagOf(file, bytes);
    if (file.endsWith(".safetensors")) {
      response.writeHead(302, {
        location: `${this.cdnEndpoint}/${id}/${file}`,
        "x-repo-commit": commit,
        "x-linked-etag": `"${etag}"`,
        "x-linked-size": String(bytes.length),
        etag: `"of-the-redirect"`,
      });
      response.end();
      return;
    }
    response.setHeader("x-repo-commit", commit);
    response.setHeader("etag", `"${etag}"`);
    this.send(request, response, bytes, failure);
  }

  private answerCdn(request: IncomingMessage, response: ServerResponse): void {
    const { seen, failure } = this.note("cdn", request);
    if (failure !== undefined && "status" in failure) {
      response.writeHead(failure.status, failure.headers).end();
      return;
    }
    const match = /^\/([^/]+\/[^/]+)\/(.+)$/.exec(seen.path);
    const bytes = bytesOf(this.repositories.get(match?.[1] ?? "")?.files[match?.[2] ?? ""] ?? "");
    this.send(request, response, bytes, failure);
  }

  private send(
    request: IncomingMessage,
    response: ServerResponse,
    whole: Uint8Array,
    failure: Failure | undefined,
  ): void {
    const from = this.ranges ? Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    if (from > 0 && from >= whole.length) {
      response.writeHead(416).end();
      return;
    }
    let bytes = whole.subarray(from);
    if (failure !== undefined && "corrupt" in failure) {
      bytes = bytes.slice();
      bytes[bytes.length >> 1] ^= 0xff;
    }
    if (failure !== undefined && "extra" in failure) {
      bytes = new Uint8Array([...bytes, ...new Uint8Array(failure.extra)]);
    }
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": bytes.length,
      ...(from > 0 ? { "content-range": `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    });
    if (request.method === "HEAD") {
      response.end();
    } else if (failure !== undefined && "truncateAfter" in failure) {
      response.write(bytes.subarray(0, failure.truncateAfter), () => response.destroy());
    } else if (failure !== undefined && "stallAfter" in failure) {
      response.flushHeaders();
      response.write(bytes.subarray(0, failure.stallAfter));
    } else {
      response.end(bytes);
    }
  }
}
