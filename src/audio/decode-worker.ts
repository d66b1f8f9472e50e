/**
 * The decoding thread: opens files with node-av, hands out one piece for each request. No request, no work: that is the
 * back-pressure. One thread serves all recordings of the process, turn by turn.
 */

import { parentPort } from "node:worker_threads";

import type * as NodeAv from "node-av/lib";

import type { DecodeReply, DecodeRequest } from "./decode-protocol.ts";
import { AvDecoder, AvDecodeError, type AvLibrary } from "./av-decoder.ts";

if (parentPort === null) throw new Error("Cannot run the decoding thread: it is no worker");
const port = parentPort;

/** FFmpeg's AV_LOG_QUIET: it writes to the process's stderr otherwise. What matters is in our warnings. */
const LOG_QUIET = -8 as Parameters<typeof NodeAv.Log.setLevel>[0];

const decoders = new Map<number, AvDecoder>();
let library: Promise<AvLibrary> | undefined;

async function loadLibrary(): Promise<AvLibrary> {
  const av = await import("node-av/lib");
  av.Log.setLevel(LOG_QUIET);
  return av;
}

async function answer(request: DecodeRequest): Promise<DecodeReply> {
  const { id } = request;
  if (request.type === "open") {
    let av: AvLibrary;
    try {
      av = await (library ??= loadLibrary());
    } catch (error) {
      return { type: "unavailable", id, reason: String(error) };
    }
    const decoder = await AvDecoder.open(av, request.path, request.audioTrack);
    decoders.set(id, decoder);
    return { type: "opened", id, durationSeconds: decoder.durationSeconds };
  }
  const decoder = decoders.get(id);
  if (decoder === undefined)
    return request.type === "close" ? { type: "closed", id } : { type: "failed", id, reason: "it was closed" };
  if (request.type === "next") return { type: "piece", id, ...(await decoder.next()) };
  decoders.delete(id);
  decoder.close();
  return { type: "closed", id };
}

/** Requests for one file are answered one after the other: a close must not free what a decode still uses. */
const queues = new Map<number, Promise<void>>();

port.on("message", (request: DecodeRequest) => {
  const { id } = request;
  if (request.type === "close") {
    const decoder = decoders.get(id);
    if (decoder !== undefined) decoder.cancelled = true;
  }
  const previous = queues.get(id) ?? Promise.resolve();
  const current = previous.then(async () => {
    let reply: DecodeReply;
    try {
      reply = await answer(request);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      reply = { type: "failed", id, reason: error instanceof AvDecodeError ? reason : `node-av: ${reason}` };
    }
    port.postMessage(reply, reply.type === "piece" ? [reply.samples.buffer] : []);
    if (reply.type === "closed") queues.delete(id);
  });
  queues.set(id, current);
});
