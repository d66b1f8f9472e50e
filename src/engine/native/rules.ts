/** Token rules as the addon reads them. */
import type { TokenRules } from "../token-rules.ts";
import type { PackedRules } from "./kernels.ts";

/** The record of token-rules.ts in the order of native/addon.cc. */
export function packRules({ eot, timestampBegin, timestamps, suppress, suppressAtBegin }: TokenRules): PackedRules {
  return Int32Array.of(
    eot,
    timestampBegin,
    timestamps === null ? 0 : 1,
    timestamps?.noTimestamps ?? -1,
    timestamps?.maxInitialTimestampIndex ?? -1,
    suppress.length,
    ...suppress,
    suppressAtBegin.length,
    ...suppressAtBegin,
  );
}
