/** Token rules and texts as the addon reads them. */
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

/** What the rules need to know of each text: [texts, 4], the fields of native/decoder.h's History. */
export function packHistory(texts: readonly (readonly number[])[], { timestampBegin: begin }: TokenRules): Int32Array {
  return Int32Array.from(
    texts.flatMap((text) => [
      text.length,
      Number(text.length >= 1 && text[text.length - 1] >= begin),
      Number(text.length < 2 || text[text.length - 2] >= begin),
      text.findLast((id) => id >= begin) ?? -1,
    ]),
  );
}
