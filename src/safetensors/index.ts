/** The safetensors format, from bytes. */
export {
  MAX_HEADER_BYTES,
  parseHeaderLength,
  parseSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "./header.ts";
