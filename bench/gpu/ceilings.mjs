// What the GPU can do: a device-to-device copy, bytes read and written, and the largest matrix product there is, ours and PyTorch's where it is
// installed. Shares in other tables are of these.
import { spawnSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openGpu } from "./gpu.mjs";
import { KernelBench } from "./kernel-bench.mjs";
import { digits, isSmall, loadResult, save } from "./report.mjs";

const COPY_BYTES = isSmall ? 1 << 20 : 4 * 2 ** 30;
const SIZE = isSmall ? 256 : 8192;

/** GB/s of a copy and TFLOP/s of products in 16 bits. */
async function measureCeilings(gpu) {
  const { device } = gpu;
  const bench = await KernelBench.make(gpu, "bfloat16");
  const [from, to] = [0, 1].map(() => bench.random.buffer(COPY_BYTES / 2));
  const copy = await gpu.measure(() => device.copy(to.address, from.address, COPY_BYTES), { capture: false });
  for (const buffer of [from, to]) device.free(buffer);
  device.trim();
  const product = await bench.product({ m: SIZE, n: SIZE, k: SIZE, epilogue: "store" });
  const result = {
    gpu: gpu.about,
    copyGBs: (2 * COPY_BYTES) / copy.ms / 1e6,
    ours: { ms: product.ms, tflops: (2 * SIZE ** 3) / product.ms / 1e9, kernel: product.kernel },
    torch: torchProduct(),
  };
  bench.free();
  return { ...result, tflops: Math.max(result.ours.tflops, result.torch?.tflops ?? 0) };
}

function torchProduct() {
  const script = fileURLToPath(new URL("peers.py", import.meta.url));
  const { status, stdout } = spawnSync("python3", [script, "ceiling", String(SIZE)], { encoding: "utf8" });
  return status === 0 ? JSON.parse(stdout.trim().split("\n").at(-1)) : null;
}

/** The ceilings, measured now unless they have been. */
export async function ceilingsOf(gpu) {
  return loadResult("ceilings") ?? (await stage(gpu));
}

async function stage(gpu) {
  const result = await measureCeilings(gpu);
  const { ours, torch, copyGBs } = result;
  save("ceilings", result, [
    {
      title: `${result.gpu.name}, driver ${result.gpu.driver}, ${result.gpu.multiprocessors} multiprocessors`,
      columns: ["ceiling", "", ""],
      rows: [
        ["device-to-device copy, read + written", digits(copyGBs), "GB/s"],
        [`bfloat16 product ${SIZE}^3, sotto (${ours.kernel})`, digits(ours.tflops), "TFLOP/s"],
        [`bfloat16 product ${SIZE}^3, PyTorch`, torch === null ? "not there" : digits(torch.tflops), "TFLOP/s"],
      ],
    },
  ]);
  return result;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await stage(openGpu());
