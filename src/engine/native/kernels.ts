/** The addon made of native/: what it offers, and whether this machine can use it. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { loadFault } from "../load-fault.ts";

declare const kind: unique symbol;
/** Something that the addon keeps. */
interface Handle<Kind extends string> {
  readonly [kind]: Kind;
}
export type EngineHandle = Handle<"engine">;
export type WindowHandle = Handle<"window">;
export type RowsHandle = Handle<"rows">;
export type GenerationHandle = Handle<"generation">;

/** `TokenRules` as the addon reads it (native/addon.cc). */
export type PackedRules = Int32Array;

export interface NativeRequest {
  readonly window: WindowHandle;
  readonly prompt: Int32Array;
  readonly sotIndex: number;
  readonly noSpeech: number;
  readonly maxNewTokens: number;
  readonly rules: PackedRules;
}

/** A request that has ended. */
export interface NativeGenerated {
  /** As `addRequest` gave it. */
  readonly number: number;
  readonly tokens: Int32Array;
  readonly logprobs: Float32Array;
  readonly noSpeechProb: number;
  readonly ended: boolean;
}

/** The addon's functions; native/addon.cc says what they take. One call at a time for each engine. */
export interface Kernels {
  /** Instruction set in use: "none" if this machine has none that the kernels are written for. */
  readonly isa: "none" | "avx512-vnni" | "amx-int8";
  /** What this machine lacks of what the kernels need: "avx512f, avx512_vnni"; "" if nothing. Without it every function throws. */
  readonly missing: string;
  /** Hash of the sources that the addon was made of. */
  readonly sources: string;
  checksumFile(path: string, length: number): Promise<number>;
  packedSize(nIn: number, nOut: number): number;
  /** @param weight [nOut, nIn] */
  packMatrix(weight: Float32Array, nIn: number, nOut: number): Uint8Array;
  open(path: string, length: number, dimensions: Int32Array, offsets: Float64Array, threads: number): EngineHandle;
  encode(
    engine: EngineHandle,
    mel: Float32Array,
    keepFeatures: boolean,
  ): Promise<{ window: WindowHandle; features: Float32Array | null; finite: boolean }>;
  startGeneration(engine: EngineHandle, maxRows: number): GenerationHandle;
  /** Not while the generation advances, as `cancelRequest`. */
  addRequest(generation: GenerationHandle, request: NativeRequest): number;
  cancelRequest(generation: GenerationHandle, number: number): void;
  advance(engine: EngineHandle, generation: GenerationHandle, steps: number): Promise<NativeGenerated[]>;
  startRows(engine: EngineHandle, windows: readonly WindowHandle[]): RowsHandle;
  run(
    engine: EngineHandle,
    rows: RowsHandle,
    rowOfToken: Int32Array,
    tokens: Int32Array,
    wanted: Int32Array,
  ): Promise<Float32Array>;
  stepTop(
    engine: EngineHandle,
    rows: RowsHandle,
    tokens: Int32Array,
    history: Int32Array,
    rules: PackedRules,
    k: number,
  ): Promise<{ ids: Int32Array; logprobs: Float32Array }>;
  reorder(rows: RowsHandle, from: Int32Array): void;
  attend(
    engine: EngineHandle,
    window: WindowHandle,
    tokens: Int32Array,
    from: number,
    eot: number,
    heads: Int32Array,
  ): Promise<{ scores: Float32Array; tokenProbs: Float32Array }>;
  releaseWindow(window: WindowHandle): void;
  releaseRows(rows: RowsHandle): void;
  releaseGeneration(generation: GenerationHandle): void;
  close(engine: EngineHandle): void;
}

/** The kernels, or why this machine cannot use them; `broken` if it should be able to: the addon is there, and does not load. */
export type KernelsOrReason = { readonly kernels: Kernels } | { readonly reason: string; readonly broken: boolean };

/** What the addon's code needs before it may be loaded at all. */
const REQUIRED_FLAGS = ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"];

let loaded: KernelsOrReason | null = null;

/** Loads the addon once. */
export function loadKernels(): KernelsOrReason {
  return (loaded ??= load());
}

function load(): KernelsOrReason {
  const platform = `${process.platform}-${process.arch}`;
  const path = fileURLToPath(new URL(`../../../prebuilt/${platform}/sotto.node`, import.meta.url));
  if (!existsSync(path)) return { reason: `there are none for ${platform}`, broken: false };
  const missing = missingFlags();
  if (missing.length > 0) return { reason: `the CPU lacks ${missing.join(", ")}`, broken: false };
  try {
    const kernels = createRequire(import.meta.url)(path) as Kernels;
    return kernels.isa === "none" ? { reason: `the CPU lacks ${kernels.missing}`, broken: false } : { kernels };
  } catch (error) {
    return { reason: `they cannot be loaded: ${loadFault(error)}`, broken: true };
  }
}

/** Required flags that the processor does not report: the addon must not even be loaded without them. */
function missingFlags(): string[] {
  let report = "";
  try {
    report = readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    // Without the report all flags are missing.
  }
  const flags = new Set(/^flags\s*:(.*)$/m.exec(report)?.[1].split(" "));
  return REQUIRED_FLAGS.filter((flag) => !flags.has(flag));
}
