export { withoutAliases, type Aliased, type AliasTable } from "./aliases.ts";
export { assertOption, assertOptionNames, assertOptions } from "./check-options.ts";
export {
  abortSignal,
  anyOf,
  callback,
  flag,
  listOf,
  nonEmptyText,
  number,
  oneOf,
  orNull,
  record,
  text,
  whole,
  type OptionKind,
  type OptionTable,
} from "./option-kinds.ts";
