/**
 * The tokens of a checkpoint: what each id stands for, as text of the vocabulary and as bytes. Made from tokenizer.json, or
 * from vocab.json with added_tokens.json. Tokens are read out of the files' text when they are first wanted.
 */
import { CheckpointError, quote } from "../errors.ts";
import { fromByteAlphabet } from "./byte-alphabet.ts";
import { parseNumberMember, scanNumbers, scanObject, skipValue } from "./json-scanner.ts";

/** Texts of the files of a checkpoint's tokenizer. */
export interface TokenizerFiles {
  readonly tokenizerJson?: string;
  readonly vocabJson?: string;
  readonly mergesTxt?: string;
  readonly addedTokensJson?: string;
}

/** A token beside the byte-level vocabulary: its text stands for itself. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Controls the model and is no text: `<|...|>`, timestamps included, and what the file says is special. */
  readonly special: boolean;
}

/** Ids of added tokens above this are not believed: it is 20 times Whisper's vocabulary. */
const MAX_TOKENS = 1 << 20;

const utf8 = new TextEncoder();

export class Vocabulary {
  /** The file that it was read from. */
  readonly #file: string;
  readonly #text: string;
  /** Where each token lies in the text. */
  readonly #places: Int32Array;
  readonly #added: ReadonlyMap<number, AddedToken>;
  readonly #addedIds: ReadonlyMap<string, number>;
  readonly #bytes = new Map<number, Uint8Array>();
  #ids: Map<string, number> | undefined;
  #tokens: Map<number, string> | undefined;

  private constructor(file: string, text: string, places: Int32Array, added: readonly AddedToken[]) {
    this.#file = file;
    this.#text = text;
    this.#places = places;
    this.#added = new Map(added.map((token) => [token.id, token]));
    this.#addedIds = new Map(added.map((token) => [token.content, token.id]));
  }

  /** @throws {CheckpointError} if there is no vocabulary, or it cannot be parsed, or it is of another kind than BPE */
  static fromFiles(files: TokenizerFiles): Vocabulary {
    if (files.tokenizerJson !== undefined) return Vocabulary.#fromTokenizerJson(files.tokenizerJson);
    if (files.vocabJson !== undefined) return Vocabulary.#fromVocabJson(files.vocabJson, files.addedTokensJson);
    throw new CheckpointError("tokenizer.json", ["the file is missing, and there is no vocab.json either"]);
  }

  static #fromTokenizerJson(text: string): Vocabulary {
    return reading("tokenizer.json", () => {
      let added: readonly AddedToken[] = [];
      let places: Int32Array | undefined;
      const end = scanObject(text, 0, (key, at) => {
        if (key === "model") {
          return scanObject(text, at, (modelKey, valueAt) => {
            if (modelKey === "vocab") {
              const vocab = scanNumbers(text, valueAt);
              places = vocab.keys;
              return vocab.end;
            }
            const valueEnd = skipValue(text, valueAt);
            const value = text.slice(valueAt, valueEnd);
            if (modelKey === "type" && value !== '"BPE"') {
              throw new SyntaxError(`"model.type" is ${value}, expected "BPE"`);
            }
            return valueEnd;
          });
        }
        const valueEnd = skipValue(text, at);
        if (key === "added_tokens") added = parseAddedTokens(JSON.parse(text.slice(at, valueEnd)));
        return valueEnd;
      });
      assertEnd(text, end);
      if (places === undefined) throw new SyntaxError('"model.vocab" is missing');
      return new Vocabulary("tokenizer.json", text, places, added);
    });
  }

  static #fromVocabJson(text: string, addedTokensJson: string | undefined): Vocabulary {
    const places = reading("vocab.json", () => {
      const { keys, end } = scanNumbers(text, text.search(/\S/));
      assertEnd(text, end);
      return keys;
    });
    const added = reading("added_tokens.json", () => {
      const members = Object.entries(JSON.parse(addedTokensJson ?? "{}") as Record<string, unknown>);
      return parseAddedTokens(members.map(([content, id]) => ({ id, content })));
    });
    return new Vocabulary("vocab.json", text, places, added);
  }

  /**
   * Checks that the vocabulary has all tokens of text: a model's text would have holes without them.
   *
   * @param eot id of endoftext: those below it are text
   * @throws {CheckpointError} if there are fewer
   */
  checkText(eot: number): void {
    const found = this.#places.length;
    if (found >= eot) return;
    const field = this.#file === "tokenizer.json" ? `field "model.vocab"` : "the file";
    throw new CheckpointError(this.#file, [`${field} has ${found} tokens, expected the ${eot} before endoftext`], {
      hint: "the file is damaged, or of another model; get it again",
    });
  }

  /** Tokens beside the byte-level vocabulary, by id. */
  get added(): ReadonlyMap<number, AddedToken> {
    return this.#added;
  }

  /** The token as the vocabulary writes it: "Ġhi", "<|en|>". */
  token(id: number): string | undefined {
    const added = this.#added.get(id);
    if (added !== undefined) return added.content;
    // Files list tokens in the order of their ids; if this one does not, it is read as a whole.
    if (this.#tokens === undefined && id >= 0 && id < this.#places.length) {
      const { key, value } = parseNumberMember(this.#text, this.#places[id]);
      if (value === id) return key;
    }
    this.#tokens ??= new Map([...this.#tokenIds()].map(([token, tokenId]) => [tokenId, token]));
    return this.#tokens.get(id);
  }

  /** The id of a token as the vocabulary writes it. */
  id(token: string): number | undefined {
    return this.#addedIds.get(token) ?? this.#tokenIds().get(token);
  }

  #tokenIds(): ReadonlyMap<string, number> {
    if (this.#ids === undefined) {
      this.#ids = new Map();
      for (const place of this.#places) {
        const { key, value } = parseNumberMember(this.#text, place);
        this.#ids.set(key, value);
      }
    }
    return this.#ids;
  }

  /** What the token adds to a text; shared, so do not change it. */
  bytes(id: number): Uint8Array | undefined {
    const known = this.#bytes.get(id);
    if (known !== undefined) return known;
    const token = this.token(id);
    if (token === undefined) return undefined;
    const bytes = this.#added.has(id) ? utf8.encode(token) : fromByteAlphabet(token);
    this.#bytes.set(id, bytes);
    return bytes;
  }
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    // A RangeError is what a regular expression throws for a string of millions of characters.
    if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
    throw new CheckpointError(file, [`the file cannot be parsed: ${error.message}`], { cause: error });
  }
}

function assertEnd(text: string, end: number): void {
  if (/\S/.test(text.slice(end))) throw new SyntaxError(`found more after the end, at character ${end}`);
}

function parseAddedTokens(value: unknown): AddedToken[] {
  if (!Array.isArray(value)) throw new SyntaxError('"added_tokens" is no array');
  return value.map((entry: unknown) => {
    const { id, content, special } = (entry ?? {}) as Partial<Record<keyof AddedToken, unknown>>;
    if (typeof content !== "string" || !Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKENS) {
      throw new SyntaxError(`added token ${quote(entry)} needs a content and an id below ${MAX_TOKENS}`);
    }
    return { id: id as number, content, special: special === true || /^<\|.*\|>$/s.test(content) };
  });
}
