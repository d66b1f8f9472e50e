/** Live captions over WebSockets: `/live` in our own protocol, `/v1/realtime` in OpenAI's. */
import type {} from "@fastify/websocket";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { WebSocket } from "ws";
import { clientOf } from "../auth.ts";
import type { ServerContext } from "../service.ts";
import { Captions } from "./captions.ts";
import { CLOSE, Connection, type Protocol } from "./connection.ts";
import { ConnectionCounter } from "./limits.ts";
import { RealtimeTranscription } from "./realtime.ts";

/** Adds the routes. */
export function live(app: FastifyInstance, { service }: ServerContext): void {
  const counter = new ConnectionCounter();
  const serve =
    (makeProtocol: (connection: Connection, request: FastifyRequest) => Protocol) =>
    (socket: WebSocket, request: FastifyRequest): void => {
      const leave = counter.enter(clientOf(request));
      const connection = new Connection(socket, (opened) => makeProtocol(opened, request));
      if (leave === null) {
        connection.send({
          type: "error",
          error: {
            message: "Too many live connections",
            type: "server_error",
            param: null,
            code: "too_many_connections",
          },
        });
        connection.close(CLOSE.busy, "too many live connections");
      } else socket.on("close", leave);
    };
  app.get(
    "/live",
    { websocket: true },
    serve((connection) => new Captions(connection, service)),
  );
  app.get(
    "/v1/realtime",
    { websocket: true },
    serve((connection, request) => new RealtimeTranscription(connection, service, request)),
  );
}
