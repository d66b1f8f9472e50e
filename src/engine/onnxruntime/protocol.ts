/** What the engine and its worker threads say to each other. Handles are numbers that the engine gives out, unique per worker. */
import type { ModelDimensions } from "../../model/index.ts";
import type { AttendRequest, Generated, GenerateRequest, RankedTokens, RankRequest } from "../engine.ts";

/** Given to a worker when it starts. */
export interface WorkerSetup {
  readonly dimensions: ModelDimensions;
  readonly quantized: boolean;
  /** Folder that holds the external data of both graphs. */
  readonly folder: string;
  readonly encoder: Uint8Array<ArrayBuffer>;
  readonly decoder: Uint8Array<ArrayBuffer>;
  /** Threads inside this worker's sessions. */
  readonly threads: number;
}

/** Calls by name: arguments and result. */
export interface WorkerCalls {
  /** mel [windows.length, nMels, frames]; each window is kept under its handle. */
  encode: {
    arguments: { windows: number[]; mel: Float32Array; keepFeatures: boolean };
    result: { features: Float32Array | null };
  };
  /** `window` of a request is a handle here. */
  startGeneration: { arguments: { generation: number; requests: GenerateRequest[] }; result: null };
  advance: {
    arguments: { generation: number; steps: number };
    result: { index: number; generated: Generated }[];
  };
  cancel: { arguments: { generation: number; index: number }; result: null };
  startDecoder: {
    arguments: { decoder: number; windows: number[]; prompts: number[][]; at: number[] };
    result: Float32Array;
  };
  step: { arguments: { decoder: number; tokens: Int32Array }; result: Float32Array };
  stepRanked: { arguments: { decoder: number; request: RankRequest }; result: RankedTokens };
  reorder: { arguments: { decoder: number; from: Int32Array }; result: null };
  /** `window` of a request is a handle here; scores [heads, tokens, nAudioCtx]. */
  attend: {
    arguments: { requests: AttendRequest[]; heads: [layer: number, head: number][] };
    result: { scores: Float32Array; tokenProbs: Float32Array }[];
  };
  /** `decoders`: handles of decoder states and of generations. */
  release: { arguments: { windows: number[]; decoders: number[] }; result: null };
}

export type CallName = keyof WorkerCalls;

export interface CallMessage<N extends CallName = CallName> {
  readonly id: number;
  readonly name: N;
  readonly arguments: WorkerCalls[N]["arguments"];
}

export type ReplyMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string } };
