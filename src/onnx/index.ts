export {
  ELEMENT_TYPES,
  GraphBuilder,
  type Attribute,
  type ConstantData,
  type Dim,
  type ElementType,
  type ExternalData,
  type Value,
} from "./graph-builder.ts";
export { MessageWriter } from "./protobuf.ts";
