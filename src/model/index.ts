export { alignmentHeads, type Head } from "./alignment-heads.ts";
export { crossCaches, encoder } from "./encoder.ts";
export { decoderStep } from "./decoder.ts";
export { isMultilingual, numLanguages, parameterCount, windowFrames, type ModelDimensions } from "./dimensions.ts";
export type { BlockOps, CrossCache, DecoderOps, EncoderOps, Ops, SelfCache } from "./ops.ts";
export {
  decoderParameters,
  encoderParameters,
  parameterDims,
  type BlockParameters,
  type ConvParameters,
  type DecoderParameters,
  type LinearParameters,
  type NormParameters,
  type ParameterSource,
  type StoredParameter,
} from "./parameters.ts";
