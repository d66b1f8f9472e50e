export { openCheckpoint, type Checkpoint, type TokenizerFiles } from "./checkpoint.ts";
export type { GenerationConfig } from "./generation-config.ts";
export {
  parseHeaderLength,
  parseSafetensorsHeader,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "./safetensors.ts";
