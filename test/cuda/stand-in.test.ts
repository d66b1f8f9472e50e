/**
 * The stand-in for NVIDIA's driver (kernels/host): that it does what the driver does, and that it finds what kernels and programs do wrong.
 * Other tests trust it, so here nothing of the engine is used.
 */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, type TestContext } from "vitest";
import { toFloat16, toFloat32 } from "../../src/tensor/index.ts";
import { buildStandIn } from "../helpers/cuda.ts";

const [OK, INVALID_VALUE, OUT_OF_MEMORY, INVALID_IMAGE, INVALID_CONTEXT, INVALID_HANDLE] = [0, 1, 2, 200, 201, 400];
const [NOT_FOUND, NOT_READY, ILLEGAL_ADDRESS, OUT_OF_RESOURCES, MISALIGNED, LAUNCH_FAILED] = [
  500, 600, 700, 701, 716, 719,
];
const [CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED, CAPTURE_UNJOINED, CAPTURE_ISOLATION] = [900, 901, 904, 905];
const [NON_BLOCKING, GLOBAL, RELAXED] = [1, 0, 2];

type Native = (...args: unknown[]) => unknown;
interface Koffi {
  load(path: string): { func(declaration: string): Native };
  address(value: ArrayBufferView): bigint;
  view(address: number | bigint, length: number): ArrayBuffer;
}

const PROTOTYPES = {
  cuInit: "int cuInit(uint flags)",
  cuDeviceGetCount: "int cuDeviceGetCount(_Out_ int *count)",
  cuDeviceGetAttribute: "int cuDeviceGetAttribute(_Out_ int *value, int attribute, int device)",
  cuDevicePrimaryCtxRetain: "int cuDevicePrimaryCtxRetain(_Out_ uint64_t *context, int device)",
  cuDevicePrimaryCtxRelease: "int cuDevicePrimaryCtxRelease_v2(int device)",
  cuCtxSetCurrent: "int cuCtxSetCurrent(uint64_t context)",
  cuMemGetInfo: "int cuMemGetInfo_v2(_Out_ uint64_t *free, _Out_ uint64_t *total)",
  cuMemAlloc: "int cuMemAlloc_v2(_Out_ uint64_t *address, uint64_t bytes)",
  cuMemFree: "int cuMemFree_v2(uint64_t address)",
  cuMemHostAlloc: "int cuMemHostAlloc(_Out_ uint64_t *address, uint64_t bytes, uint flags)",
  cuMemFreeHost: "int cuMemFreeHost(uint64_t address)",
  cuMemcpyHtoD: "int cuMemcpyHtoD_v2(uint64_t to, const void *from, uint64_t bytes)",
  cuMemcpyDtoH: "int cuMemcpyDtoH_v2(_Out_ void *to, uint64_t from, uint64_t bytes)",
  cuMemcpyHtoDAsync: "int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, uint64_t bytes, uint64_t stream)",
  pinnedToDevice: "int cuMemcpyHtoDAsync_v2(uint64_t to, uint64_t from, uint64_t bytes, uint64_t stream)",
  cuMemsetD32Async: "int cuMemsetD32Async(uint64_t address, uint value, uint64_t count, uint64_t stream)",
  cuStreamCreate: "int cuStreamCreate(_Out_ uint64_t *stream, uint flags)",
  cuStreamDestroy: "int cuStreamDestroy_v2(uint64_t stream)",
  cuStreamSynchronize: "int cuStreamSynchronize(uint64_t stream)",
  cuStreamQuery: "int cuStreamQuery(uint64_t stream)",
  cuStreamWaitEvent: "int cuStreamWaitEvent(uint64_t stream, uint64_t event, uint flags)",
  cuEventCreate: "int cuEventCreate(_Out_ uint64_t *event, uint flags)",
  cuEventRecord: "int cuEventRecord(uint64_t event, uint64_t stream)",
  cuEventQuery: "int cuEventQuery(uint64_t event)",
  cuEventSynchronize: "int cuEventSynchronize(uint64_t event)",
  cuEventElapsedTime: "int cuEventElapsedTime(_Out_ float *milliseconds, uint64_t start, uint64_t end)",
  cuEventDestroy: "int cuEventDestroy_v2(uint64_t event)",
  cuModuleLoadData: "int cuModuleLoadData(_Out_ uint64_t *module, const uint8_t *image)",
  cuModuleUnload: "int cuModuleUnload(uint64_t module)",
  cuModuleGetFunction: "int cuModuleGetFunction(_Out_ uint64_t *function, uint64_t module, const char *name)",
  cuFuncSetAttribute: "int cuFuncSetAttribute(uint64_t function, int attribute, int value)",
  cuFuncGetAttribute: "int cuFuncGetAttribute(_Out_ int *value, int attribute, uint64_t function)",
  cuLaunchKernel:
    "int cuLaunchKernel(uint64_t function, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, uint64_t stream, const uint8_t *parameters, const uint8_t *extra)",
  cuStreamBeginCapture: "int cuStreamBeginCapture_v2(uint64_t stream, int mode)",
  cuStreamEndCapture: "int cuStreamEndCapture(uint64_t stream, _Out_ uint64_t *graph)",
  cuGraphInstantiate: "int cuGraphInstantiateWithFlags(_Out_ uint64_t *executable, uint64_t graph, uint64_t flags)",
  cuGraphLaunch: "int cuGraphLaunch(uint64_t executable, uint64_t stream)",
  cuGraphExecDestroy: "int cuGraphExecDestroy(uint64_t executable)",
  cuGraphDestroy: "int cuGraphDestroy(uint64_t graph)",
  cuGetErrorName: "int cuGetErrorName(int error, _Out_ const char **name)",
  liveObjects: "int sotto_standin_live_objects()",
  liveBytes: "uint64_t sotto_standin_live_bytes(int device)",
  fault: "const char *sotto_standin_fault()",
} as const;
type Name = keyof typeof PROTOTYPES;

const built = await buildStandIn();
const copies = mkdtempSync(join(tmpdir(), "sotto-stand-in-test-"));
afterAll(() => rmSync(copies, { recursive: true, force: true }));
let loaded = 0;

type Value = { readonly bytes: Uint8Array };
const i32 = (...values: number[]): Value => ({ bytes: new Uint8Array(Int32Array.from(values).buffer) });
const i64 = (...values: (number | bigint)[]): Value => ({
  bytes: new Uint8Array(BigInt64Array.from(values, (x) => BigInt.asIntN(64, BigInt(x))).buffer),
});
const f32 = (...values: number[]): Value => ({ bytes: new Uint8Array(Float32Array.from(values).buffer) });
const struct = (...fields: Value[]): Value => ({ bytes: Uint8Array.from(fields.flatMap(({ bytes }) => [...bytes])) });

/** A stand-in with an environment of its own: the library is loaded from a copy, once for each. */
class StandIn {
  static readonly #made = new Map<string, StandIn>();

  static with(ctx: TestContext, environment: Readonly<Record<string, string>> = {}): StandIn {
    if ("reason" in built) ctx.skip(built.reason);
    const key = JSON.stringify(environment);
    const made = StandIn.#made.get(key) ?? new StandIn(built.path, environment);
    StandIn.#made.set(key, made);
    made.renew();
    made.call("cuCtxSetCurrent", made.#context);
    return made;
  }

  readonly #koffi = createRequire(import.meta.url)("koffi") as Koffi;
  readonly #functions: Record<Name, Native>;
  readonly #context: number;
  #module = 0;

  private constructor(original: string, environment: Readonly<Record<string, string>>) {
    const path = join(copies, `${loaded++}.so`);
    copyFileSync(original, path);
    const library = this.#koffi.load(path);
    this.#functions = Object.fromEntries(
      Object.entries(PROTOTYPES).map(([name, declaration]) => [name, library.func(declaration)]),
    ) as Record<Name, Native>;
    const all = {
      SOTTO_STANDIN_THREADS: "2",
      SOTTO_STANDIN_ORDER: "forward",
      SOTTO_STANDIN_QUIET: "1",
      ...environment,
    };
    const before = { ...process.env };
    Object.assign(process.env, all);
    this.call("cuInit", 0);
    for (const name of Object.keys(all)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
    this.#context = this.get("cuDevicePrimaryCtxRetain", [0]);
  }

  /** What a function returns. */
  status(name: Name, ...args: unknown[]): number {
    return this.#functions[name](...args) as number;
  }

  text(name: Name): string {
    return this.#functions[name]() as string;
  }

  call(name: Name, ...args: unknown[]): void {
    expect(this.status(name, ...args), name).toBe(OK);
  }

  get(name: Name, args: unknown[], index = 0): number {
    const out: [number | null] = [null];
    this.call(name, ...args.slice(0, index), out, ...args.slice(index));
    return Number(out[0]);
  }

  function(name: string): number {
    if (this.#module === 0) this.#module = this.get("cuModuleLoadData", [Buffer.from(".version 7.4\n")]);
    return this.get("cuModuleGetFunction", [this.#module, name]);
  }

  alloc(bytes: number): number {
    return this.get("cuMemAlloc", [bytes]);
  }

  upload(data: ArrayBufferView): number {
    const address = this.alloc(data.byteLength);
    this.call("cuMemcpyHtoD", address, data, data.byteLength);
    return address;
  }

  download<T extends ArrayBufferView>(address: number, into: T): T {
    this.call("cuMemcpyDtoH", into, address, into.byteLength);
    return into;
  }

  floats(address: number, count: number): Float32Array {
    return this.download(address, new Float32Array(count));
  }

  launch(
    name: string,
    [grid, block]: readonly [number, number],
    args: readonly Value[],
    shared = 0,
    stream = 0,
  ): number {
    const values = args.map(({ bytes }) => Buffer.from(bytes));
    const addresses = BigUint64Array.from(values, (value) => this.#koffi.address(value));
    const size = [grid, 1, 1, block, 1, 1, shared];
    return this.status("cuLaunchKernel", this.function(name), ...size, stream, Buffer.from(addresses.buffer), null);
  }

  launchPacked(name: string, [grid, block]: readonly [number, number], packed: Uint8Array): number {
    const values = Buffer.from(packed);
    const size = Buffer.from(BigUint64Array.of(BigInt(packed.length)).buffer);
    const address = (buffer: Buffer): bigint => this.#koffi.address(buffer);
    const extra = Buffer.from(BigUint64Array.of(1n, address(values), 2n, address(size), 0n).buffer);
    return this.status("cuLaunchKernel", this.function(name), grid, 1, 1, block, 1, 1, 0, 0, null, extra);
  }

  run(name: string, shape: readonly [number, number], args: readonly Value[], shared = 0): void {
    expect(this.launch(name, shape, args, shared), name).toBe(OK);
    this.call("cuStreamSynchronize", 0);
  }

  pinned(bytes: number): { address: number; data: Uint8Array } {
    const address = this.get("cuMemHostAlloc", [bytes, 0]);
    return { address, data: new Uint8Array(this.#koffi.view(address, bytes)) };
  }

  /** Forgets a fault: what a new process would. */
  renew(): void {
    this.call("cuDevicePrimaryCtxRelease", 0);
    this.get("cuDevicePrimaryCtxRetain", [0]);
  }
}

let seed = 1;
const random = (): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return seed / 0x7fffffff - 0.5;
};
const randoms = (count: number): Float32Array => Float32Array.from({ length: count }, random);
const bf16 = (x: Float32Array): Uint16Array => {
  const bits = new Uint32Array(x.buffer, x.byteOffset, x.length);
  return Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16);
};
const fromBf16 = (x: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(x, (b) => b << 16).buffer);
const fromF16 = (x: Uint16Array): Float32Array =>
  toFloat32(new Uint8Array(x.buffer, x.byteOffset, x.byteLength), "float16");

/** a [m, k] times the transpose of w [n, k]. */
function product(a: Float32Array, w: Float32Array, k: number): Float32Array {
  const [m, n] = [a.length / k, w.length / k];
  return Float32Array.from({ length: m * n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < k; j++) sum += a[Math.floor(i / n) * k + j] * w[(i % n) * k + j];
    return sum;
  });
}

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  const error = Math.max(...expected.map((x, i) => (Number.isNaN(actual[i]) ? Infinity : Math.abs(x - actual[i]))));
  expect(error).toBeLessThan(tolerance);
}

/** How wrong a result is where shared memory that nobody wrote was read: NaN, or this. */
const POISON = 0x7fffffff;

describe.each(["forward", "reverse", "shuffle:1", "shuffle:2"])("words of kernels, order %s", (order) => {
  const environment = { SOTTO_STANDIN_ORDER: order };

  it.for([
    { name: "bf16", store: bf16, load: fromBf16 },
    { name: "f16", store: toFloat16, load: fromF16 },
  ])("multiply_16816() multiplies fragments of $name", ({ name, store, load }, ctx) => {
    const device = StandIn.with(ctx, environment);
    const [a, w] = [store(randoms(256)), store(randoms(128))];
    const out = device.alloc(5 * 512);
    device.run(`test_multiply_${name}`, [5, 32], [i64(device.upload(a)), i64(device.upload(w)), i64(out), i32(3)]);
    const expected = product(load(a), load(w), 16).map((x) => 3 * x);
    // Sums of 48 products below 1/4, each rounded to float32.
    for (let i = 0; i < 5; i++) expectClose(device.floats(out + 512 * i, 128), expected, 1e-5);
  });

  it("load_matrices() gives rows and columns as ldmatrix does", (ctx) => {
    const device = StandIn.with(ctx, environment);
    const rows = Uint16Array.from({ length: 256 }, (_, i) => i);
    const out = device.alloc(1024);
    device.run("test_matrices", [1, 32], [i64(device.upload(rows)), i64(out)]);
    const actual = device.download(out, new Uint16Array(512));
    for (let lane = 0; lane < 32; lane++) {
      for (let matrix = 0; matrix < 4; matrix++) {
        for (let half = 0; half < 2; half++) {
          const [row, column] = [Math.floor(lane / 4), 2 * (lane % 4) + half];
          const at = 2 * (4 * lane + matrix) + half;
          expect(actual[at]).toBe(64 * matrix + 8 * row + column);
          expect(actual[256 + at]).toBe(64 * matrix + 8 * column + row);
        }
      }
    }
  });

  it("copy_wait<0>() makes all copies known, with zeros for those outside", (ctx) => {
    const device = StandIn.with(ctx, environment);
    const data = randoms(512);
    const out = device.alloc(2048);
    device.run("test_copies", [1, 64], [i64(device.upload(data)), i64(out), i32(100), i32(0)], 2048);
    expect(device.floats(out, 512)).toEqual(data.map((x, i) => (i < 400 ? x : 0)));
  });

  it.for([1, 2])("barriers order shared memory: kind %i", (barrier, ctx) => {
    const device = StandIn.with(ctx, environment);
    const out = device.alloc(4 * 192 * 7);
    for (const shift of [1, 95, 191]) {
      device.run("test_neighbour", [7, 192], [i64(out), i32(shift), i32(barrier)]);
      const expected = Int32Array.from({ length: 192 * 7 }, (_, i) => ((i % 192) + shift) % 192);
      expect(device.download(out, new Int32Array(192 * 7))).toEqual(expected);
    }
  });

  it("sync_named() joins the warps that say its number", (ctx) => {
    const device = StandIn.with(ctx, environment);
    const data = Float32Array.from({ length: 128 }, (_, i) => i);
    const out = device.alloc(512);
    device.run("test_pairs", [1, 128], [i64(device.upload(data)), i64(out)]);
    const sum = (warp: number): number => data.subarray(32 * warp, 32 * warp + 32).reduce((a, b) => a + b, 0);
    const pairs = [sum(0) + sum(2), sum(1) + sum(3)];
    expect(device.floats(out, 128)).toEqual(Float32Array.from(data, (_, i) => pairs[Math.floor(i / 32) % 2]));
  });

  it("shuffle(), shuffle_xor() and lanes_where() exchange between lanes", (ctx) => {
    const device = StandIn.with(ctx, environment);
    const data = Int32Array.from({ length: 32 }, (_, i) => 7 * i + 3);
    const out = device.alloc(384);
    device.run("test_words", [1, 32], [i64(device.upload(data)), i64(out)]);
    const actual = device.download(out, new Int32Array(96));
    expect(actual.subarray(0, 32)).toEqual(data.map((_, i) => data[(i + 5) % 32]));
    expect(actual.subarray(32, 64)).toEqual(data.map((_, i) => data[i ^ 16]));
    const where = data.reduce((bits, x, i) => bits | (x % 3 === 0 ? 1 << i : 0), 0);
    expect(actual.subarray(64)).toEqual(new Int32Array(32).fill(where));
  });

  it("the block that comes last finds what the others wrote", (ctx) => {
    const device = StandIn.with(ctx, { ...environment, SOTTO_STANDIN_THREADS: "4" });
    const data = Float32Array.from({ length: 32 * 50 }, (_, i) => i);
    const [counter, out] = [device.upload(new Int32Array(1)), device.alloc(4)];
    const args = [i64(device.upload(data)), i64(device.alloc(200)), i64(counter), i64(out)];
    for (let i = 0; i < 3; i++) {
      device.run("test_last_block", [50, 32], args);
      expect(device.floats(out, 1)[0]).toBe((1600 * 1599) / 2);
    }
    expect(device.download(counter, new Int32Array(1))[0]).toBe(0);
  });
});

describe("mistakes of kernels", () => {
  it("reads of shared memory without a barrier are seen in one order or another", (ctx) => {
    const wrong = ["forward", "reverse"].map((order) => {
      const device = StandIn.with(ctx, { SOTTO_STANDIN_ORDER: order });
      const out = device.alloc(4 * 64);
      device.run("test_neighbour", [1, 64], [i64(out), i32(1), i32(0)]);
      return device.download(out, new Int32Array(64)).filter((x) => x === POISON).length;
    });
    // Forward each thread comes before its neighbour; backward only the one whose neighbour is the first.
    expect(wrong).toEqual([63, 1]);
  });

  it("sync_warp() is no barrier of the block", (ctx) => {
    const device = StandIn.with(ctx);
    const out = device.alloc(4 * 64);
    device.run("test_neighbour", [1, 64], [i64(out), i32(32), i32(3)]);
    expect([...device.download(out, new Int32Array(64))].slice(0, 32).every((x) => x === POISON)).toBe(true);
  });

  it.for([
    { pending: 1, known: 64 },
    { pending: 2, known: 0 },
  ])("copies that were not waited for are not there: $pending pending", ({ pending, known }, ctx) => {
    const device = StandIn.with(ctx);
    const data = randoms(512);
    const out = device.alloc(2048);
    device.run("test_copies", [1, 64], [i64(device.upload(data)), i64(out), i32(128), i32(pending)], 2048);
    const actual = device.floats(out, 512);
    expect(actual.subarray(0, 4 * known)).toEqual(data.subarray(0, 4 * known));
    expect(actual.subarray(4 * known).every(Number.isNaN)).toBe(true);
  });

  it("shared memory that nobody wrote is not a number", (ctx) => {
    const device = StandIn.with(ctx);
    const out = device.alloc(256);
    device.run("test_fault", [1, 64], [i64(out), i64(0), i32(7)], 256);
    expect(device.floats(out, 64).every(Number.isNaN)).toBe(true);
  });

  const FAULTS = [
    {
      name: "a write behind an allocation",
      what: 0,
      index: 64,
      code: ILLEGAL_ADDRESS,
      text: /256 bytes behind the begin of an allocation of 256/,
    },
    { name: "a write before an allocation", what: 0, index: -1024, code: ILLEGAL_ADDRESS, text: /access to 0x/ },
    {
      name: "a barrier that half of the block misses",
      what: 1,
      index: 0,
      code: LAUNCH_FAILED,
      text: /of 64, 32 wait at the block's barrier.*32 have ended/,
    },
    {
      name: "lanes that say different words",
      what: 2,
      index: 0,
      code: LAUNCH_FAILED,
      text: /lanes of warp 0 say different words/,
    },
    {
      name: "a write behind a static array",
      what: 3,
      index: 1,
      code: ILLEGAL_ADDRESS,
      text: /behind the shared array "values"/,
    },
    {
      name: "a write a little behind the dynamic memory",
      what: 4,
      index: 64,
      code: ILLEGAL_ADDRESS,
      text: /dynamic shared memory of 256 bytes was written at 256/,
    },
    {
      name: "a write far behind the dynamic memory",
      what: 4,
      index: 300,
      code: ILLEGAL_ADDRESS,
      text: /access behind 256 bytes of dynamic shared memory, at 1200/,
    },
    { name: "a load of 16 bytes from a misaligned address", what: 5, index: 4, code: MISALIGNED, text: /load_stream/ },
    {
      name: "an asynchronous copy to global memory",
      what: 6,
      index: 0,
      code: ILLEGAL_ADDRESS,
      text: /outside of the block's shared memory/,
    },
    {
      name: "a barrier of more threads than there are",
      what: 8,
      index: 0,
      code: LAUNCH_FAILED,
      text: /64 at numbered ones/,
    },
    { name: "a thread that needs much stack", what: 9, index: 0, code: LAUNCH_FAILED, text: /stack of 64 KiB is full/ },
  ];
  it.for(FAULTS)("$name ends the launch", ({ what, index, code, text }, ctx) => {
    const device = StandIn.with(ctx);
    const out = device.alloc(256);
    expect(device.launch("test_fault", [1, 64], [i64(out), i64(index), i32(what)], 256)).toBe(OK);
    expect(device.status("cuStreamSynchronize", 0)).toBe(code);
    expect(device.text("fault")).toMatch(/^kernel test_fault, block \(0, 0, 0\), thread \(\d+, 0, 0\): /);
    expect(device.text("fault")).toMatch(text);
    // Nothing works any more, as after a fault on a GPU, until the context is a new one.
    expect(device.status("cuMemAlloc", [null], 4)).toBe(code);
    device.renew();
    device.run("test_add", [1, 64], [i64(out), f32(1), i32(64)]);
  });

  it("what is written between an allocation and its page's end is found when it is freed", (ctx) => {
    const device = StandIn.with(ctx);
    const out = device.alloc(200);
    device.run("test_fault", [1, 64], [i64(out), i64(50), i32(0)]);
    expect(device.status("cuMemFree", out)).toBe(ILLEGAL_ADDRESS);
  });
});

describe("wgmma", () => {
  // How a tile of rows of 16 numbers lies in shared memory, by the PTX manual's pictures of K-major layouts.
  const LAYOUTS = [
    {
      name: "128-byte swizzling",
      mode: 1,
      leading: 1,
      stride: 1024,
      place: (row: number, c: number) => 128 * row + 16 * (c ^ (row % 8)),
    },
    {
      name: "64-byte swizzling",
      mode: 2,
      leading: 1,
      stride: 512,
      place: (row: number, c: number) => 64 * row + 16 * (c ^ ((row >> 1) % 4)),
    },
    {
      name: "32-byte swizzling",
      mode: 3,
      leading: 1,
      stride: 256,
      place: (row: number, c: number) => 32 * row + 16 * (c ^ ((row >> 2) % 2)),
    },
    {
      name: "no swizzling",
      mode: 0,
      leading: 128,
      stride: 256,
      place: (row: number, c: number) => 256 * (row >> 3) + 128 * c + 16 * (row % 8),
    },
  ] as const;

  function run(
    device: StandIn,
    layout: (typeof LAYOUTS)[number],
    column: number,
    mistake: number,
  ): { a: Uint16Array; b: Uint16Array; out: number; launched: number; status: number } {
    const { mode, leading, stride, place } = layout;
    const [a, b] = [bf16(randoms(64 * 16)), bf16(randoms(256 * 16))];
    const bytes = (rows: number): number => (rows / 8) * stride;
    const tiles = new Uint16Array((bytes(64) + bytes(256)) / 2).fill(0x7fff);
    const put = (from: Uint16Array, at: number): void => {
      for (let i = 0; i < from.length; i++) {
        const [row, k] = [Math.floor(i / 16), i % 16];
        tiles[(at + place(row, column + (k >> 3))) / 2 + (k % 8)] = from[i];
      }
    };
    put(a, 0);
    put(b, bytes(64));
    const bits = (BigInt(mode) << 62n) | (BigInt(stride / 16) << 32n) | (BigInt(Math.ceil(leading / 16)) << 16n);
    const out = device.alloc(4 * 64 * 256);
    const sizes = [i32(bytes(64)), i32(bytes(256)), i32(16 * column)];
    const args = [i64(device.upload(tiles)), i64(bits), i64(bits), ...sizes, i64(out), i32(mistake)];
    device.call("cuFuncSetAttribute", device.function("test_wgmma"), 8, 65536);
    const launched = device.launch("test_wgmma", [1, 128], args, 2 * tiles.length);
    return { a, b, out, launched, status: device.status("cuStreamSynchronize", 0) };
  }

  const cases = LAYOUTS.flatMap((layout) =>
    (layout.mode === 1 ? [0, 2, 6] : [0]).map((column) => ({ layout, column })),
  );
  it.for(cases)("multiplies tiles with $layout.name from chunk $column on", ({ layout, column }, ctx) => {
    const device = StandIn.with(ctx);
    const { a, b, out, status } = run(device, layout, column, 0);
    expect(status).toBe(OK);
    const expected = product(fromBf16(a), fromBf16(b), 16).map((x) => 2 * x);
    expectClose(device.floats(out, 64 * 256), expected, 1e-5);
  });

  it.for([
    { mistake: 1, text: /has not said fence_for_wgmma/ },
    { mistake: 2, text: /without wgmma_begin/ },
    { mistake: 3, text: /different products/ },
    { mistake: 4, text: /changed while a warpgroup's product read it/ },
  ])("finds mistakes: $text", ({ mistake, text }, ctx) => {
    const device = StandIn.with(ctx);
    expect(run(device, LAYOUTS[0], 0, mistake).status).toBe(LAUNCH_FAILED);
    expect(device.text("fault")).toMatch(text);
  });

  it("sums that were not waited for are not there", (ctx) => {
    const device = StandIn.with(ctx);
    const { out, status } = run(device, LAYOUTS[0], 0, 5);
    expect(status).toBe(OK);
    expect(device.floats(out, 64 * 256).every(Number.isNaN)).toBe(true);
  });

  it("is not there where a driver compiles PTX: its kernels are empty", (ctx) => {
    const device = StandIn.with(ctx, { SOTTO_STANDIN_DRIVER: "12080" });
    expect(device.get("cuFuncGetAttribute", [5, device.function("test_wgmma")])).toBe(80);
    expect(run(device, LAYOUTS[0], 0, 0).launched).toBe(OUT_OF_RESOURCES);
  });

  it("is not there on compute capability 8.0", (ctx) => {
    const device = StandIn.with(ctx, { SOTTO_STANDIN_CC: "80" });
    expect(device.get("cuDeviceGetAttribute", [75, 0])).toBe(8);
    expect(device.get("cuDeviceGetAttribute", [97, 0])).toBe(166912);
    expect(device.get("cuFuncGetAttribute", [5, device.function("test_wgmma")])).toBe(80);
    const none = i64(0);
    expect(device.launch("test_wgmma", [1, 128], [none, none, none, i32(0), i32(0), i32(0), none, i32(0)])).toBe(
      OUT_OF_RESOURCES,
    );
  });
});

it("numbers round to the nearest of 16 bits, to even in the middle", (ctx) => {
  const device = StandIn.with(ctx);
  const special = [
    0,
    -0,
    1,
    65504,
    65519.996,
    65520,
    1e9,
    -1e9,
    Infinity,
    -Infinity,
    2 ** -14,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -25,
    1e-30,
    2 ** -126,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
  ];
  const bits = Uint32Array.from({ length: 4000 }, () => (random() * 2 ** 32) | 0);
  const values = Float32Array.from([...special, ...new Float32Array(bits.buffer).filter((x) => !Number.isNaN(x))]);
  const [n, out] = [values.length, device.alloc(16 * values.length)];
  device.run("test_numbers", [3, 256], [i64(device.upload(values)), i64(out), i32(n)]);
  const actual = device.floats(out, 4 * n);
  expect(actual.subarray(0, n)).toEqual(fromF16(toFloat16(values)));
  expect(actual.subarray(n, 2 * n)).toEqual(fromBf16(bf16(values)));
  expect(actual.subarray(2 * n, 3 * n)).toEqual(actual.subarray(0, n));
  expect(actual.subarray(3 * n)).toEqual(actual.subarray(n, 2 * n));
});

describe("launches", () => {
  it("take parameters of any type, structs by value too, one by one or packed", (ctx) => {
    const device = StandIn.with(ctx);
    const data = randoms(100);
    const out = device.alloc(200);
    const parameters = struct(i64(device.upload(data)), i64(out), i64(2), i32(50), f32(3));
    device.run("test_parameters", [1, 64], [i32(7), parameters, i64(1000)]);
    const expected = Float32Array.from({ length: 50 }, (_, i) => Math.fround(3 * data[2 * i] + 7) + 1000);
    expectClose(device.floats(out, 50), expected, 1e-3);
    device.call("cuMemsetD32Async", out, 0, 50, 0);
    const packed = struct(i32(7, 0), parameters, i64(1000)).bytes;
    expect(device.launchPacked("test_parameters", [1, 64], packed)).toBe(OK);
    expectClose(device.floats(out, 50), expected, 1e-3);
    expect(device.launchPacked("test_parameters", [1, 64], packed.subarray(8))).toBe(INVALID_VALUE);
  });

  const add = [i64(0), f32(0), i32(0)];
  it.for([
    { name: "an empty grid", launch: [0, 32, 0], code: INVALID_VALUE },
    { name: "more threads than a block may have", launch: [1, 1056, 0], code: INVALID_VALUE },
    { name: "more threads than the kernel's bound", launch: [1, 129, 0], code: OUT_OF_RESOURCES },
    { name: "more shared memory than 48 KiB", launch: [1, 32, 49153], code: INVALID_VALUE },
    { name: "48 KiB of shared memory", launch: [1, 32, 49152], code: OK },
  ])("with $name: $code", ({ launch: [grid, block, shared], code }, ctx) => {
    expect(StandIn.with(ctx).launch("test_add", [grid, block], add, shared)).toBe(code);
  });

  it("have more than 48 KiB of shared memory when the function was told so", (ctx) => {
    const device = StandIn.with(ctx);
    const f = device.function("test_add");
    expect(device.get("cuDeviceGetAttribute", [97, 0])).toBe(232448);
    expect(device.status("cuFuncSetAttribute", f, 8, 232449)).toBe(INVALID_VALUE);
    device.call("cuFuncSetAttribute", f, 8, 232448);
    device.run("test_add", [1, 32], add, 232448);
    expect(device.launch("test_add", [1, 32], add, 232449)).toBe(INVALID_VALUE);
  });

  it("need a known function, parameters, a module and a context", (ctx) => {
    const device = StandIn.with(ctx);
    const f = device.function("test_add");
    const module = device.get("cuModuleLoadData", [Buffer.from(".version 7.4\n")]);
    expect(device.status("cuModuleGetFunction", [null], module, "test_subtract")).toBe(NOT_FOUND);
    expect(device.status("cuModuleLoadData", [null], Buffer.from("no module at all"))).toBe(INVALID_IMAGE);
    const launch = (handle: number): number =>
      device.status("cuLaunchKernel", handle, 1, 1, 1, 32, 1, 1, 0, 0, null, null);
    expect(launch(f)).toBe(INVALID_VALUE);
    expect(launch(module)).toBe(INVALID_HANDLE);
    device.call("cuModuleUnload", module);
    expect(device.status("cuModuleUnload", module)).toBe(INVALID_HANDLE);
    device.call("cuCtxSetCurrent", 0);
    expect(launch(f)).toBe(INVALID_CONTEXT);
    expect(device.status("cuMemAlloc", [null], 4)).toBe(INVALID_CONTEXT);
  });
});

describe("memory", () => {
  it("is poisoned when new, and copies keep to it", (ctx) => {
    const device = StandIn.with(ctx);
    for (const bytes of [4, 1000, 3 << 20]) {
      const at = device.alloc(bytes);
      expect(device.floats(at, bytes / 4).every(Number.isNaN)).toBe(true);
      expect(at % 256).toBe(0);
      const data = new Uint8Array(bytes);
      expect(device.status("cuMemcpyHtoD", at + 1, data, bytes)).toBe(INVALID_VALUE);
      expect(device.status("cuMemcpyDtoH", data, at - 1, 1)).toBe(INVALID_VALUE);
      device.call("cuMemcpyHtoD", at, data, bytes);
      device.call("cuMemFree", at);
      expect(device.status("cuMemFree", at)).toBe(INVALID_VALUE);
      expect(device.status("cuMemcpyHtoD", at, data, bytes)).toBe(INVALID_VALUE);
    }
  });

  it("has a ceiling", (ctx) => {
    const device = StandIn.with(ctx, { SOTTO_STANDIN_MEMORY: "1000000" });
    const first = device.alloc(900_000);
    expect(device.status("cuMemAlloc", [null], 100_001)).toBe(OUT_OF_MEMORY);
    device.alloc(100_000);
    const [free, total]: [number | null][] = [[null], [null]];
    device.call("cuMemGetInfo", free, total);
    expect([Number(free[0]), Number(total[0])]).toEqual([0, 1_000_000]);
    device.call("cuMemFree", first);
    device.alloc(900_000);
    const name: [string | null] = [null];
    device.call("cuGetErrorName", OUT_OF_MEMORY, name);
    expect(name[0]).toBe("CUDA_ERROR_OUT_OF_MEMORY");
  });

  it("and everything else that lives is counted", (ctx) => {
    const device = StandIn.with(ctx, { SOTTO_STANDIN_MEMORY: "2000000" });
    const before = device.status("liveObjects");
    const address = device.alloc(1000);
    const stream = device.get("cuStreamCreate", [0]);
    const event = device.get("cuEventCreate", [0]);
    const host = device.pinned(100);
    expect(device.status("liveObjects")).toBe(before + 4);
    expect(Number(device.status("liveBytes", 0))).toBe(1000);
    device.call("cuMemFree", address);
    device.call("cuStreamDestroy", stream);
    device.call("cuEventDestroy", event);
    device.call("cuMemFreeHost", host.address);
    expect(device.status("liveObjects")).toBe(before);
  });
});

describe("streams", () => {
  const setup = (
    ctx: TestContext,
  ): { device: StandIn; stream: number; x: number; add: (value: number) => void; read: () => number } => {
    const device = StandIn.with(ctx);
    const stream = device.get("cuStreamCreate", [NON_BLOCKING]);
    const x = device.upload(new Float32Array(1));
    const add = (value: number): void => {
      expect(device.launch("test_add", [1, 32], [i64(x), f32(value), i32(1)], 0, stream)).toBe(OK);
    };
    return { device, stream, x, add, read: () => device.floats(x, 1)[0] };
  };

  it("run their work when they are waited for, not before", (ctx) => {
    const { device, stream, add, read } = setup(ctx);
    add(1);
    expect(read()).toBe(0);
    device.call("cuStreamSynchronize", stream);
    expect(read()).toBe(1);
  });

  it("keep order with the default stream unless they are non-blocking", (ctx) => {
    const { device, x, read } = setup(ctx);
    const blocking = device.get("cuStreamCreate", [0]);
    device.launch("test_add", [1, 32], [i64(x), f32(1), i32(1)], 0, blocking);
    expect(read()).toBe(1);
  });

  it("are not ready when first asked", (ctx) => {
    const { device, stream, add, read } = setup(ctx);
    add(1);
    expect(device.status("cuStreamQuery", stream)).toBe(NOT_READY);
    let status = NOT_READY;
    for (let i = 0; i < 1000 && status === NOT_READY; i++) status = device.status("cuStreamQuery", stream);
    expect(status).toBe(OK);
    expect(read()).toBe(1);
  });

  it("read pinned memory late and other memory at once", (ctx) => {
    const { device, stream, x, read } = setup(ctx);
    const data = Float32Array.of(5);
    device.call("cuMemcpyHtoDAsync", x, data, 4, stream);
    data[0] = 6;
    device.call("cuStreamSynchronize", stream);
    expect(read()).toBe(5);
    const host = device.pinned(4);
    const floats = new Float32Array(host.data.buffer);
    floats[0] = 7;
    device.call("pinnedToDevice", x, host.address, 4, stream);
    floats[0] = 8;
    device.call("cuStreamSynchronize", stream);
    expect(read()).toBe(8);
  });

  it("wait for events of others, and events tell the time", (ctx) => {
    const { device, stream, x, add, read } = setup(ctx);
    const other = device.get("cuStreamCreate", [NON_BLOCKING]);
    const [first, second] = [device.get("cuEventCreate", [0]), device.get("cuEventCreate", [0])];
    expect(device.status("cuEventQuery", first)).toBe(OK);
    device.call("cuEventRecord", first, stream);
    add(1);
    device.call("cuEventRecord", second, stream);
    expect(device.status("cuEventElapsedTime", [null], first, second)).toBe(NOT_READY);
    device.call("cuStreamWaitEvent", other, second, 0);
    device.call("cuMemsetD32Async", x, 0, 1, other);
    device.call("cuStreamSynchronize", other);
    expect(read()).toBe(0);
    expect(device.status("cuEventQuery", second)).toBe(OK);
    expect(device.get("cuEventElapsedTime", [first, second])).toBeGreaterThanOrEqual(0);
    device.call("cuEventSynchronize", second);
    expect(read()).toBe(0);
  });
});

describe("capture", () => {
  const setup = (
    ctx: TestContext,
    mode = GLOBAL,
  ): { device: StandIn; stream: number; x: number; add: (value: number, to?: number) => void; end: () => number } => {
    const device = StandIn.with(ctx);
    const stream = device.get("cuStreamCreate", [NON_BLOCKING]);
    const x = device.upload(new Float32Array(1));
    device.function("test_add");
    device.call("cuStreamBeginCapture", stream, mode);
    const add = (value: number, to = stream): void => {
      expect(device.launch("test_add", [1, 32], [i64(x), f32(value), i32(1)], 0, to)).toBe(OK);
    };
    return { device, stream, x, add, end: () => device.status("cuStreamEndCapture", stream, [null]) };
  };

  it("records work, and a graph does it as often as it is launched", (ctx) => {
    const { device, stream, x, add } = setup(ctx);
    for (const value of [1, 10]) add(value);
    const graph = device.get("cuStreamEndCapture", [stream], 1);
    device.call("cuStreamSynchronize", stream);
    expect(device.floats(x, 1)[0]).toBe(0);
    const executable = device.get("cuGraphInstantiate", [graph, 0]);
    device.call("cuGraphDestroy", graph);
    for (let i = 0; i < 3; i++) device.call("cuGraphLaunch", executable, stream);
    device.call("cuStreamSynchronize", stream);
    expect(device.floats(x, 1)[0]).toBe(33);
    device.call("cuGraphExecDestroy", executable);
    expect(device.status("cuGraphLaunch", executable, stream)).toBe(INVALID_VALUE);
  });

  it.for([
    {
      name: "waiting for the stream",
      name2: "cuStreamSynchronize" as const,
      args: (stream: number) => [stream],
      mode: RELAXED,
    },
    {
      name: "asking after the stream",
      name2: "cuStreamQuery" as const,
      args: (stream: number) => [stream],
      mode: RELAXED,
    },
    { name: "allocating", name2: "cuMemAlloc" as const, args: () => [[null], 4], mode: GLOBAL },
    {
      name: "copying at once",
      name2: "cuMemcpyDtoH" as const,
      args: (_: number, x: number) => [new Float32Array(1), x, 4],
      mode: GLOBAL,
    },
  ])("is spoilt by $name", ({ name2, args, mode }, ctx) => {
    const { device, stream, x, add, end } = setup(ctx, mode);
    add(1);
    expect(device.status(name2, ...args(stream, x))).toBe(CAPTURE_UNSUPPORTED);
    expect(end()).toBe(CAPTURE_INVALIDATED);
    device.call("cuStreamSynchronize", stream);
  });

  it("lets memory be allocated in relaxed mode", (ctx) => {
    const { device, add, end } = setup(ctx, RELAXED);
    add(1);
    device.alloc(4);
    expect(end()).toBe(OK);
  });

  it.for([true, false])("takes in streams that wait for it; joined again: %s", (joins, ctx) => {
    const { device, stream, add, end } = setup(ctx);
    const other = device.get("cuStreamCreate", [NON_BLOCKING]);
    const [fork, join] = [device.get("cuEventCreate", [2]), device.get("cuEventCreate", [2])];
    device.call("cuEventRecord", fork, stream);
    device.call("cuStreamWaitEvent", other, fork, 0);
    add(1, other);
    device.call("cuEventRecord", join, other);
    if (!joins) add(2, other);
    device.call("cuStreamWaitEvent", stream, join, 0);
    expect(end()).toBe(joins ? OK : CAPTURE_UNJOINED);
  });

  it("cannot wait for work outside of it", (ctx) => {
    const { device, stream, end } = setup(ctx);
    const [other, event] = [device.get("cuStreamCreate", [NON_BLOCKING]), device.get("cuEventCreate", [0])];
    device.call("cuEventRecord", event, other);
    expect(device.status("cuStreamWaitEvent", stream, event, 0)).toBe(CAPTURE_ISOLATION);
    expect(end()).toBe(CAPTURE_INVALIDATED);
  });
});

it("several devices have memories of their own", (ctx) => {
  const device = StandIn.with(ctx, { SOTTO_STANDIN_DEVICES: "2" });
  expect(device.get("cuDeviceGetCount", [])).toBe(2);
  device.alloc(100);
  device.call("cuCtxSetCurrent", device.get("cuDevicePrimaryCtxRetain", [1]));
  device.alloc(300);
  expect([0, 1].map((i) => Number(device.status("liveBytes", i)))).toEqual([100, 300]);
  expect(device.status("cuCtxSetCurrent", 3)).toBe(INVALID_CONTEXT);
});
