/** An assembler for small WebAssembly kernels. */
export {
  assembleModule,
  doWhile,
  f32,
  f32x4,
  i32,
  increase,
  localGet,
  localSet,
  PAGE_BYTES,
  v128,
  type Code,
  type ValueType,
  type WasmFunction,
} from "./assembler.ts";
