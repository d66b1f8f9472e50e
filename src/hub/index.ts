export { isLocalModel, resolveModel, unusedHubOptions } from "./resolve-model.ts";
export { cachedModels, type CachedModel } from "./cache.ts";
export { isPlainFileName, MAX_SHARDS, WEIGHTS, WEIGHTS_INDEX, type ModelPart } from "./checkpoint-files.ts";
export { bundledModelFolder, findModel, MODELS, type KnownModel } from "./models.ts";
export { HUB_OPTIONS, type DownloadProgress, type HubOptions } from "./settings.ts";
