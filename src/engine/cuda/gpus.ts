/** Which GPUs there are, for whoever has to choose one. */
import { CudaDevice, listDevices, versionOf } from "./device.ts";
import { CudaDriver } from "./driver.ts";

export interface GpuInfo {
  /** What `device` calls it: "cuda:0". */
  readonly device: `cuda:${number}`;
  readonly name: string;
  /** Bytes. */
  readonly totalMemory: number;
  /** "9.0". */
  readonly computeCapability: string;
  /** Why it cannot be used; null if it can. */
  readonly fault: string | null;
}

/** The GPUs of this machine, or why there are none. */
export function listGpus(): { readonly gpus: readonly GpuInfo[] } | { readonly reason: string } {
  const found = CudaDriver.load();
  if ("reason" in found) return found;
  const gpus = listDevices(found.driver).map((info) => ({
    device: `cuda:${info.ordinal}` as const,
    name: info.name,
    totalMemory: info.totalMemory,
    computeCapability: versionOf(info),
    fault: CudaDevice.faultOf(info),
  }));
  return gpus.length > 0 ? { gpus } : { reason: "the NVIDIA driver finds no GPU" };
}
