export { openCheckpoint, type Checkpoint } from "./checkpoint.ts";
export type { GenerationConfig } from "./generation-config.ts";
export { openProcessorFiles, type ProcessorFiles, type TokenizerFiles } from "./processor-files.ts";
export {
  parseHeaderLength,
  parseSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "../safetensors/index.ts";
export { readSafetensorsHeader } from "./safetensors.ts";
