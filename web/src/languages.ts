/** The languages a person can choose, by name. */

import { LANGUAGES } from "../../src/tokenizer/languages.ts";

export const languages: readonly { readonly code: string; readonly name: string }[] = [...LANGUAGES]
  .map(([code, name]) => ({ code, name: capitalised(name) }))
  .sort((a, b) => a.name.localeCompare(b.name, "en"));

/** A language's name; the code itself where there is none. */
export function languageName(code: string): string {
  return capitalised(LANGUAGES.get(code) ?? code);
}

function capitalised(name: string): string {
  return name.replace(/(^|\s)\p{L}/gu, (letter) => letter.toUpperCase());
}
