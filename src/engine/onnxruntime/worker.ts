/** A worker thread of the onnxruntime engine: answers calls one after the other with its own sessions. */
import { parentPort, workerData } from "node:worker_threads";

import type { CallMessage, CallName, ReplyMessage, WorkerCalls, WorkerSetup } from "./protocol.ts";
import { loadRuntime } from "./runtime.ts";
import { Sessions } from "./sessions.ts";

const port = parentPort;
if (port === null) throw new Error("This script is a worker thread of the onnxruntime engine");

const sessions = new Sessions(loadRuntime(), workerData as WorkerSetup);

type Handlers = { [N in CallName]: (a: WorkerCalls[N]["arguments"]) => Promise<WorkerCalls[N]["result"]> };

const handlers: Handlers = {
  encode: async (a) => ({ features: await sessions.encode(a.windows, a.mel, a.keepFeatures) }),
  startGeneration: async (a) => {
    sessions.startGeneration(a.generation, a.requests);
    return null;
  },
  advance: (a) => sessions.advance(a.generation, a.steps),
  cancel: async (a) => {
    sessions.cancel(a.generation, a.index);
    return null;
  },
  startDecoder: (a) => sessions.startDecoder(a.decoder, a.windows, a.prompts, a.at),
  step: (a) => sessions.step(a.decoder, a.tokens),
  stepRanked: (a) => sessions.stepRanked(a.decoder, a.request),
  attend: (a) => sessions.attend(a.requests, a.heads),
  reorder: async (a) => {
    sessions.reorder(a.decoder, a.from);
    return null;
  },
  release: async (a) => {
    sessions.release(a.windows, a.decoders);
    return null;
  },
};

async function answer({ id, name, arguments: given }: CallMessage): Promise<ReplyMessage> {
  try {
    return { id, result: await (handlers[name] as (a: unknown) => Promise<unknown>)(given) };
  } catch (error) {
    const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
    return { id, error: { name: kind, message } };
  }
}

// Calls that arrive while one is running wait for it: sessions are not shared between runs.
let last: Promise<void> = Promise.resolve();
port.on("message", (message: CallMessage | "stop") => {
  if (message === "stop") {
    sessions.stop();
    // The engine ends the thread: not every runtime's port can be closed from here.
    last = last.then(() => port.postMessage("stopped"));
  } else {
    last = last.then(async () => port.postMessage(await answer(message)));
  }
});
