/**
 * A grammar of fixed phrases, as data for the search: a trie of the tokens that spell them. It leaves possible what goes on
 * with a phrase, so the model chooses among the phrases and cannot say anything else: commands, menus, names.
 */
import type { TokenRules } from "../engine/token-rules.ts";
import { OptionError } from "../errors.ts";
import type { DecodingTokenizer } from "./options.ts";

/** More would be a language, not a grammar: each is encoded twice before a window can be decoded. */
const MAX_PHRASES = 10_000;

interface Node {
  readonly next: Map<number, Node>;
  /** Whether a phrase ends here. */
  isEnd: boolean;
}

export class AllowedPhrases {
  readonly #root: Node = { next: new Map(), isEnd: false };
  readonly #tokens = new Set<number>();

  /**
   * @param phrases each with and without a space before it
   * @throws {OptionError} for no phrases, too many, or an empty one
   */
  constructor(phrases: readonly string[], tokenizer: Pick<DecodingTokenizer, "encode">) {
    if (phrases.length === 0 || phrases.length > MAX_PHRASES || phrases.some((phrase) => phrase.trim() === "")) {
      throw new OptionError(
        "allowedPhrases",
        `Cannot decode with ${phrases.length} allowed phrases, expected 1 to ${MAX_PHRASES} that are not empty`,
      );
    }
    for (const phrase of phrases) {
      const text = phrase.trim();
      for (const spelling of [text, ` ${text}`]) this.#add(tokenizer.encode(spelling));
    }
  }

  #add(tokens: readonly number[]): void {
    let node = this.#root;
    for (const token of tokens) {
      this.#tokens.add(token);
      let next = node.next.get(token);
      if (next === undefined) node.next.set(token, (next = { next: new Map(), isEnd: false }));
      node = next;
    }
    node.isEnd = true;
  }

  /** Rules that do not suppress what the phrases are made of: numerals, symbols. */
  permit(rules: TokenRules): TokenRules {
    const isFree = (id: number): boolean => !this.#tokens.has(id);
    return { ...rules, suppress: rules.suppress.filter(isFree), suppressAtBegin: rules.suppressAtBegin.filter(isFree) };
  }

  /**
   * Sets the logits of tokens that spell no phrase to -Infinity. Endoftext is possible after a whole phrase; so is one
   * timestamp, as before the phrase, where the rules have timestamps.
   *
   * @param logits [nVocab], changed in place
   * @param generated tokens after the prompt so far
   */
  apply(logits: Float32Array, generated: readonly number[], { eot, timestampBegin, timestamps }: TokenRules): void {
    let node: Node | undefined = this.#root;
    for (const token of generated) if (token < timestampBegin) node = node?.next.get(token);
    const isBefore = node === this.#root;
    const isClosed = !isBefore && generated[generated.length - 1] >= timestampBegin;
    const allowed = node === undefined ? [] : [...node.next.keys()];
    if (node === undefined || node.isEnd) allowed.push(eot);

    const kept = allowed.map((id) => logits[id]);
    const mayTime = timestamps !== null && !isClosed && (isBefore || node?.isEnd === true);
    logits.fill(-Infinity, 0, mayTime ? timestampBegin : logits.length);
    allowed.forEach((id, i) => (logits[id] = kept[i]));
  }
}
