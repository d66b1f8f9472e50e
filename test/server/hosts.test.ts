/** Which names and pages the server answers (src/server/host-check.ts), on a real port. */
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startTestServer, type TestServer } from "./start.ts";

type Headers = Readonly<Record<string, string>>;

/** Status and body of a request with any Host. */
function ask(server: TestServer, path: string, headers: Headers, method = "GET", body = ""): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request(`${server.url}${path}`, { method, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      answer.on("end", () => resolve([answer.statusCode ?? 0, text]));
    });
    sent.on("error", reject).end(body);
  });
}
const status = async (server: TestServer, headers: Headers): Promise<number> =>
  (await ask(server, "/v1/models", headers))[0];

/** 101, or the status of the refusal. */
async function upgrade(server: TestServer, path: string, headers: Headers): Promise<number> {
  const socket = new WebSocket(server.url.replace("http", "ws") + path, { headers });
  socket.on("error", () => undefined);
  const opened = once(socket, "open").then(() => 101);
  const refused = once(socket, "unexpected-response").then(
    ([, answer]) => (answer as { statusCode: number }).statusCode,
  );
  const code = await Promise.race([opened, refused]);
  socket.terminate();
  return code;
}

const FORM = '--x\r\ncontent-disposition: form-data; name="url"\r\n\r\nhttp://127.0.0.1:9/none.wav\r\n--x--\r\n';
const MULTIPART = { "content-type": "multipart/form-data; boundary=x" };
const postJob = async (server: TestServer, headers: Headers): Promise<number> =>
  (await ask(server, "/jobs", { ...MULTIPART, ...headers }, "POST", FORM))[0];

describe("a server without keys", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({
      allowedHosts: ["speech.example.org", ".lan.example"],
      corsOrigins: ["https://app.example.com"],
    });
  });
  afterAll(() => server.close());

  it.each([
    ["127.0.0.1", 200],
    ["127.0.0.1:1234", 200],
    ["localhost:8000", 200],
    ["LOCALHOST.", 200],
    ["sotto.localhost", 200],
    ["192.168.1.7:8000", 200],
    ["[::1]:8000", 200],
    ["[2001:db8::1]", 200],
    ["speech.example.org", 200],
    ["Speech.Example.org:443", 200],
    ["box.lan.example", 200],
    ["evil.example", 403],
    ["evil.example:8000", 403],
    ["xspeech.example.org", 403],
    ["speech.example.org.evil.example", 403],
    ["xlan.example", 403],
    ["127.0.0.1.evil.example", 403],
    ["localhost.evil.example", 403],
    ["127.0.0.1@evil.example", 403],
    ["notlocalhost", 403],
    ["app.example.com", 403],
  ])("answers host %s with %i", async (host, expected) => {
    expect(await status(server, { host })).toBe(expected);
  });

  it.each([
    ["https://speech.example.org", 200],
    ["https://box.lan.example:8443", 200],
    ["https://app.example.com", 200],
    ["http://localhost:5173", 200],
    ["http://192.168.1.7:8000", 200],
    ["https://evil.example", 403],
    ["https://evil.example:8000", 403],
    ["http://203.0.113.9", 403],
    ["https://app.example.com.evil.example", 403],
    ["http://app.example.com", 403],
    ["null", 403],
    ["chrome-extension://abcdef", 403],
  ])("answers a page of %s with %i", async (origin, expected) => {
    expect(await status(server, { host: "192.168.1.7:8000", origin })).toBe(expected);
    expect(await upgrade(server, "/live", { host: "192.168.1.7:8000", origin })).toBe(expected === 200 ? 101 : 403);
    expect(await upgrade(server, "/v1/realtime", { host: "192.168.1.7:8000", origin })).toBe(
      expected === 200 ? 101 : 403,
    );
  });

  it("takes no job from a foreign page, nor under a foreign name, and any from a program", async () => {
    expect(await postJob(server, { origin: "https://evil.example" })).toBe(403);
    expect(await postJob(server, { host: "evil.example", origin: "http://evil.example" })).toBe(403);
    expect(await postJob(server, {})).toBe(202);
    expect(await postJob(server, { origin: server.url })).toBe(202);
    expect(await upgrade(server, "/live", { host: "evil.example" })).toBe(403);
    expect(await upgrade(server, "/live", {})).toBe(101);
  });

  it("ends the connection of a refused WebSocket", async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      "GET /live HTTP/1.1\r\nHost: evil.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    socket.resume();
    await once(socket, "close");
  });

  it.each(["/", "/health", "/metrics", "/docs", "/openapi.json", "/jobs", "/config", "/nothing"])(
    "checks %s too, and says how to allow a name",
    async (path) => {
      const [code, body] = await ask(server, path, { host: "evil.example" });
      expect(code).toBe(403);
      expect(body).toMatch(/Cannot answer for host .+evil\.example.+--allowed_hosts/);
    },
  );
});

describe("hostCheck()", () => {
  let server: TestServer;
  afterEach(() => server.close());

  it("leaves servers with keys alone, unless names are given", async () => {
    server = await startTestServer({ apiKeys: ["k"] });
    const headers = { authorization: "Bearer k", host: "evil.example", origin: "https://evil.example" };
    expect(await status(server, headers)).toBe(200);
    await server.close();
    server = await startTestServer({ apiKeys: ["k"], allowedHosts: ["speech.example.org"] });
    expect(await status(server, headers)).toBe(403);
    expect(await status(server, { authorization: "Bearer k", host: "speech.example.org" })).toBe(200);
  });

  it("checks what a proxy forwards, and the header itself", async () => {
    server = await startTestServer({ trustProxy: true, allowedHosts: ["speech.example.org"] });
    const forwarded = (host: string, name: string, origin?: string): Headers => ({
      host,
      "x-forwarded-host": name,
      ...(origin !== undefined && { origin }),
    });
    expect(await status(server, forwarded("127.0.0.1:8000", "speech.example.org", "https://speech.example.org"))).toBe(
      200,
    );
    expect(await status(server, forwarded("127.0.0.1:8000", "evil.example"))).toBe(403);
    expect(await status(server, forwarded("evil.example", "127.0.0.1"))).toBe(403);
  });

  it("answers to any name where told so, and still to no foreign page of a keyless server", async () => {
    server = await startTestServer({ allowedHosts: ["*"] });
    expect(await status(server, { host: "any.example" })).toBe(200);
    expect(await status(server, { host: "any.example", origin: "http://any.example" })).toBe(200);
    expect(await status(server, { host: "any.example", origin: "https://evil.example" })).toBe(403);
  });
});
