/** An HTTP proxy on the loopback interface that only tunnels (CONNECT), and knows names that nobody else does. */
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";

export class ConnectProxy {
  /** `host:port` of each tunnel asked for. */
  readonly tunnels: string[] = [];
  /** `user:password` that it wants; none if undefined. */
  credentials: string | undefined;
  /** What it connects to instead: `host:port` by the name in the request. Others are connected to as they are. */
  readonly names = new Map<string, string>();
  private readonly server: Server;

  private constructor() {
    this.server = createServer((_request, response) => response.writeHead(405).end());
    this.server.on("connect", (request, socket, head) => {
      const target = request.url ?? "";
      const { credentials } = this;
      const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(credentials).toString("base64")}`;
      if (wanted !== undefined && request.headers["proxy-authorization"] !== wanted) {
        socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        return;
      }
      this.tunnels.push(target);
      const [host, port] = (this.names.get(target.replace(/:\d+$/, "")) ?? target).split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ]) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
  }

  static async start(): Promise<ConnectProxy> {
    const proxy = new ConnectProxy();
    await new Promise<void>((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
