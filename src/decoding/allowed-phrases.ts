/**
 * A grammar of fixed phrases, as data for the search: a trie of the tokens that spell them. It leaves possible what goes on
 * with a phrase, so the model chooses among the phrases and cannot say anything else: commands, menus, names.
 */
import type { TokenRules } from "../engine/token-rules.ts";
import { OptionError, quote } from "../errors.ts";
import type { DecodingTokenizer } from "./options.ts";

/** More would be a language, not a grammar: each is encoded twice before a window can be decoded. */
const MAX_PHRASES = 10_000;

/** The last grammar of each tokenizer: a transcription asks for the same one at every window and temperature. */
const known = new WeakMap<object, { readonly phrases: readonly string[]; readonly grammar: AllowedPhrases }>();

interface Node {
  readonly next: Map<number, Node>;
  /** Whether a phrase ends here. */
  isEnd: boolean;
}

export class AllowedPhrases {
  readonly #root: Node = { next: new Map(), isEnd: false };
  readonly #tokens = new Set<number>();

  /**
   * The grammar of a list of phrases, made once for a list that is asked for again and again.
   *
   * @param phrases each is allowed with and without a space before it
   * @throws {OptionError} for no phrases, too many, an empty one, or one that the vocabulary cannot spell
   */
  static of(phrases: readonly string[], tokenizer: Pick<DecodingTokenizer, "encode">): AllowedPhrases {
    const last = known.get(tokenizer);
    const isSame = last?.phrases.length === phrases.length && last.phrases.every((one, i) => one === phrases[i]);
    if (last !== undefined && isSame) return last.grammar;
    const grammar = new AllowedPhrases(phrases, tokenizer);
    known.set(tokenizer, { phrases: [...phrases], grammar });
    return grammar;
  }

  private constructor(phrases: readonly string[], tokenizer: Pick<DecodingTokenizer, "encode">) {
    if (phrases.length === 0 || phrases.length > MAX_PHRASES || phrases.some((phrase) => phrase.trim() === "")) {
      throw new OptionError(
        "allowedPhrases",
        `Cannot decode with ${phrases.length} allowed phrases, expected 1 to ${MAX_PHRASES} that are not empty`,
      );
    }
    for (const phrase of phrases) {
      const text = phrase.trim();
      const spellings = [text, ` ${text}`].map((spelling) => tokenizer.encode(spelling));
      if (spellings.every((tokens) => tokens.length === 0)) {
        throw new OptionError(
          "allowedPhrases",
          `Cannot decode with the allowed phrase ${quote(phrase)}: the vocabulary has no tokens for it`,
        );
      }
      for (const tokens of spellings) if (tokens.length > 0) this.#add(tokens);
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
