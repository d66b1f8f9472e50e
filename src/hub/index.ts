export { isLocalModel, mayBeModel, modelNames, resolveModel, unusedHubOptions } from "./resolve-model.ts";
export { cachedModels, type CachedModel } from "./cache.ts";
export {
  isCheckpointFile,
  isPlainFileName,
  MAX_SHARDS,
  WEIGHTS,
  WEIGHTS_INDEX,
  type ModelPart,
} from "./checkpoint-files.ts";
export { bundledModelFolder, findModel, MODELS, nameOfRepository, type KnownModel } from "./models.ts";
export { cacheFolder, HUB_OPTIONS } from "./settings.ts";
export type { DownloadProgress, HubOptions, ModelDownload } from "./settings.ts";
