import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";

import { TOY_DIMENSIONS } from "../../../test/helpers/toy-model.ts";
import { workerUrl } from "../../worker-url.ts";
import type { WorkerSetup } from "./protocol.ts";

it("the worker ends without closing its port, which Deno's cannot", async () => {
  const setup: WorkerSetup = {
    dimensions: TOY_DIMENSIONS,
    quantized: false,
    folder: ".",
    encoder: new Uint8Array(0),
    decoder: new Uint8Array(0),
    threads: 1,
  };
  const program = `
    require("node:worker_threads").parentPort.close = undefined;
    import(${JSON.stringify(workerUrl("engine/onnxruntime/worker").href)});
  `;
  const worker = new Worker(program, { eval: true, workerData: setup, execArgv: [] });
  worker.postMessage("stop");
  expect(await once(worker, "message")).toEqual(["stopped"]);
  await worker.terminate();
});
