/**
 * Which kernel computes a product, and in how many blocks: the tiles of kernels/gemm*.cuh for many rows, and the kernels that read the weights once for
 * few rows, where the sums over k are split among blocks until the GPU is full.
 */
import { BYTES_PER_ELEMENT } from "../../tensor/index.ts";
import { i32, i64, ptr, struct, type Argument } from "./arguments.ts";
import type { CudaDevice, DeviceBuffer, LaunchShape } from "./device.ts";
import { SUFFIX, type CudaDType } from "./dtypes.ts";

/** What is done with a product: the numbers of kernels/gemm.cuh. */
export const EPILOGUE = { store: 0, gelu: 1, residual: 2, positions: 3, crossCache: 4, float: 5 } as const;

/** How the rows of a matrix are found: in batches of equally many, `stride` numbers apart, batches `batchStride` apart. */
export interface RowLayout {
  readonly address: number;
  readonly stride: number;
  /** Default: one batch. */
  readonly perBatch?: number;
  readonly batchStride?: number;
}

export interface Product {
  readonly a: RowLayout;
  /** [n, k]. */
  readonly weight: number;
  /** float32 [n]; null for none. */
  readonly bias: number | null;
  readonly out: RowLayout;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly epilogue: keyof typeof EPILOGUE;
  /** float32 [out.perBatch, n]: for epilogue "positions". */
  readonly positions?: number;
  /** For epilogue "crossCache". */
  readonly heads?: number;
  /** Device address of how many rows there are, where that is decided on the device; `m` is the most. */
  readonly rowCount?: number | undefined;
}

/** What a product that is split leaves and counts: kernels/gemm.cuh. */
export interface ProductWorkspace {
  readonly partials: DeviceBuffer;
  readonly counters: DeviceBuffer;
}

/** A kernel for many rows. */
interface Tiles {
  readonly name: string;
  readonly bm: number;
  readonly bn: number;
  readonly threads: number;
  readonly shared: number;
  readonly cost: number;
}

/** A kernel for few rows. */
interface FewRows {
  readonly name: string;
  /** Rows and columns of a block. */
  readonly bm: number;
  readonly bn: number;
  /** Sets of sums that a block keeps in shared memory. */
  readonly slots: number;
  /** Blocks that a multiprocessor's registers have room for. */
  readonly resident: number;
}

/** `cost`: of a tile on one multiprocessor, in tiles of 128 x 128; estimated. */
const HALF_TILES: readonly Tiles[] = [
  { name: "gemm_128x256", bm: 128, bn: 256, threads: 256, shared: 98304, cost: 3.6 },
  { name: "gemm_128x128", bm: 128, bn: 128, threads: 128, shared: 49152, cost: 2 },
  { name: "gemm_64x64", bm: 64, bn: 64, threads: 128, shared: 49152, cost: 0.7 },
];
/** For compute capability 9.0; a block goes from tile to tile. */
const HOPPER_TILES: Tiles = { name: "gemm_wgmma_128x256", bm: 128, bn: 256, threads: 256, shared: 231424, cost: 2 };
const FLOAT_TILES: readonly Tiles[] = [
  { name: "gemm_128x128", bm: 128, bn: 128, threads: 256, shared: 61440, cost: 1 },
  { name: "gemm_64x64", bm: 64, bn: 64, threads: 128, shared: 30720, cost: 0.35 },
];

const HALF_ROWS: readonly FewRows[] = [
  { name: "gemm_rows8", bm: 8, bn: 16, slots: 8, resident: 2 },
  { name: "gemm_rows16", bm: 16, bn: 16, slots: 8, resident: 2 },
  { name: "gemm_rows32", bm: 32, bn: 32, slots: 8, resident: 1 },
  { name: "gemm_rows64", bm: 64, bn: 64, slots: 2, resident: 1 },
];
const FLOAT_ROWS: readonly FewRows[] = [
  { name: "gemm_rows8", bm: 8, bn: 16, slots: 8, resident: 1 },
  { name: "gemm_rows16", bm: 16, bn: 16, slots: 8, resident: 1 },
  { name: "gemm_rows32", bm: 32, bn: 16, slots: 8, resident: 1 },
];

const FEW_ROWS_THREADS = 256;

/** Most rows that are few: beyond, reading the weights is not what takes the time. */
const MAX_FEW_ROWS = { float32: 64, float16: 256, bfloat16: 256 } as const;

/** Numbers of k that a warp takes at a time, and what lies between rows in shared memory: kernels/gemm_rows.cuh. */
const STEP = 64;
const PADDING = 32;
const MAX_SPLITS = 16;

/** Most bytes of partial sums of a product that is split. */
export const MAX_PARTIAL_BYTES = 64 << 20;

/** What a block takes of the multiprocessor's shared memory besides its own, in bytes; the largest block and this are all there is. */
const BLOCK_SHARED = 1024;

/** Bytes a nanosecond of the whole memory, and of the path to one multiprocessor; and what a split costs, in nanoseconds: an H200's, estimated. */
const MEMORY_RATE = 4300;
const PATH_RATE = 60;
const SPLIT_COST = 1500;

const ceil = (a: number, b: number): number => Math.ceil(a / b);

/** The part of a GPU that a plan depends on. */
export interface ProductDevice {
  readonly multiprocessors: number;
  /** Most dynamic shared memory of a block, in bytes. */
  readonly maxShared: number;
  /** Whether kernels of compute capability 9.0 alone are there. */
  readonly isHopper: boolean;
}

export interface ProductPlan {
  readonly name: string;
  readonly shape: LaunchShape;
  /** Parts that the sums over k are made in. */
  readonly splits: number;
}

/** Chooses the kernel and its blocks for a product of these sizes. */
export function planProduct(device: ProductDevice, dtype: CudaDType, m: number, n: number, k: number): ProductPlan {
  const few = m <= MAX_FEW_ROWS[dtype] ? planFewRows(device, dtype, m, n, k) : null;
  return few ?? planTiles(device, dtype, m, n);
}

function planTiles(device: ProductDevice, dtype: CudaDType, m: number, n: number): ProductPlan {
  const { multiprocessors, maxShared, isHopper } = device;
  const halves = isHopper ? [HOPPER_TILES, ...HALF_TILES] : HALF_TILES;
  const kernels = (dtype === "float32" ? FLOAT_TILES : halves).filter(({ shared }) => shared <= maxShared);
  const countOf = ({ bm, bn }: Tiles): number => ceil(m, bm) * ceil(n, bn);
  const costOf = (kernel: Tiles): number => ceil(countOf(kernel), multiprocessors) * kernel.cost;
  const best = kernels.reduce((one, other) => (costOf(other) < costOf(one) ? other : one));
  const count = countOf(best);
  const blocks = best === HOPPER_TILES ? Math.min(count, multiprocessors) : count;
  return {
    name: best.name,
    shape: { grid: [blocks, 1, 1], block: best.threads, shared: best.shared },
    splits: 1,
  };
}

/** @returns the plan that should be fastest; null if the rows do not fit the shared memory */
function planFewRows(
  { multiprocessors, maxShared }: ProductDevice,
  dtype: CudaDType,
  m: number,
  n: number,
  k: number,
): ProductPlan | null {
  const kernels = dtype === "float32" ? FLOAT_ROWS : HALF_ROWS;
  const { name, bm, bn, slots, resident } = kernels.find((kernel) => m <= kernel.bm) ?? kernels[kernels.length - 1];
  const size = BYTES_PER_ELEMENT[dtype];
  const steps = ceil(k, STEP);
  const batches = ceil(m, bm);
  const rate = (size * n * k) / MEMORY_RATE;
  let best: { time: number; plan: ProductPlan } | null = null;
  for (let splits = 1; splits <= Math.min(MAX_SPLITS, steps); splits++) {
    const range = STEP * ceil(steps, splits);
    const shared = bm * (range + PADDING) * size + 4 * slots * bm * (bn + 4);
    if (shared > maxShared) continue;
    const atOnce = Math.max(1, Math.min(resident, Math.floor((maxShared + BLOCK_SHARED) / (shared + BLOCK_SHARED))));
    // Blocks past those that run at one time would copy the rows again: a block takes several columns instead.
    const columns = Math.min(ceil(n, bn), Math.floor((atOnce * multiprocessors) / (splits * batches)));
    const grid = [Math.max(1, columns), splits, batches] as const;
    const blocks = grid[0] * splits * batches;
    const bytes = (size * n * k * batches) / blocks + bm * range * size;
    // Each part of a split sum is written, and read by the block that comes last.
    const parts = splits > 1 ? 4 * splits * m * n : 0;
    if (parts > MAX_PARTIAL_BYTES) break;
    const time =
      Math.max(rate, (ceil(blocks, multiprocessors) * bytes) / PATH_RATE) +
      (splits > 1 ? SPLIT_COST + (2 * parts) / MEMORY_RATE : 0);
    if (best === null || time < best.time) {
      best = { time, plan: { name, shape: { grid, block: FEW_ROWS_THREADS, shared }, splits } };
    }
  }
  return best?.plan ?? null;
}

/** The parameter of every product: kernels/gemm.cuh's struct Gemm. */
function gemmArgument(p: Product, splits: number, workspace: ProductWorkspace): Argument {
  const { a, out } = p;
  return struct([
    ...[ptr(a), ptr(p.weight), ptr(p.bias), ptr(out), ptr(p.positions ?? null), ptr(p.rowCount ?? null)],
    ...[ptr(workspace.partials), ptr(workspace.counters)],
    ...[i64(a.batchStride ?? 0), i64(out.batchStride ?? 0)],
    ...[i32(a.perBatch ?? p.m), i32(a.stride), i32(out.perBatch ?? p.m), i32(out.stride)],
    ...[i32(p.m), i32(p.n), i32(p.k), i32(EPILOGUE[p.epilogue]), i32(splits), i32(p.heads ?? 0)],
  ]);
}

/** Asks for a product. */
export function launchProduct(
  device: CudaDevice,
  dtype: CudaDType,
  product: Product,
  workspace: ProductWorkspace,
): void {
  const { m, n, k } = product;
  const { multiprocessors, maxShared } = device;
  const isHopper = device.info.computeCapability === 90 && device.hasOwnCode;
  const plan = planProduct({ multiprocessors, maxShared, isHopper }, dtype, m, n, k);
  device.launch(`${plan.name}_${SUFFIX[dtype]}`, plan.shape, [gemmArgument(product, plan.splits, workspace)]);
}
