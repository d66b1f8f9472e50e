/**
 * Text to tokens and back, for one checkpoint. Decoding is byte-exact and quick to begin; the encoder, which only prompts
 * need, is made when it is first used.
 */
import { assertOneOf, OptionError, quote } from "../errors.ts";
import { createEncoder, type Encode } from "./encoder.ts";
import { languageCode } from "./languages.ts";
import { nonSpeechTokens } from "./non-speech-tokens.ts";
import { findSpecialTokens, LAST_TIMESTAMP, timestampToken, type SpecialTokens } from "./special-tokens.ts";
import { TASKS, type Task } from "./task.ts";
import { Vocabulary, type TokenizerFiles } from "./vocabulary.ts";

export interface DecodeOptions {
  /** Leave out special tokens, and the context before startoftranscript if the ids begin with startofprev. Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Write timestamps as `<|1.00|>`; otherwise they are left out. Default false. */
  readonly timestamps?: boolean;
}

/** What openai/whisper calls the sot sequence: how decoding begins. */
export interface SotSequenceOptions {
  /** Name, code or token; default English. Without effect on an English-only vocabulary. */
  readonly language?: string | undefined;
  /** Default "transcribe". Without effect on an English-only vocabulary. */
  readonly task?: Task | undefined;
  /** Whether the model may write timestamps; if not, notimestamps ends the sequence. */
  readonly timestamps: boolean;
}

/** Decodes tokens as they come. */
export interface DecodeStream {
  /** Text of these tokens; bytes that do not end a character yet are kept for the next call. */
  write(ids: Iterable<number>): string;
  /** What is left: "", or U+FFFD for a character that was never finished. */
  end(): string;
}

const NOTHING = new Uint8Array(0);
const utf8 = new TextEncoder();

/** A BOM is text as any other character. */
const newUtf8Decoder = (): TextDecoder => new TextDecoder("utf-8", { ignoreBOM: true });

export class Tokenizer {
  /** Ids of the special tokens. */
  readonly special: SpecialTokens;
  /** Whether prompts have language and task tokens (facts 0.9). */
  readonly multilingual: boolean;
  readonly #files: TokenizerFiles;
  readonly #vocabulary: Vocabulary;
  readonly #languages: ReadonlyMap<number, string>;
  #encode: Encode | undefined;
  #nonSpeech: readonly number[] | undefined;

  private constructor(files: TokenizerFiles, nVocab: number | undefined) {
    this.#files = files;
    this.#vocabulary = Vocabulary.fromFiles(files);
    const idOf = (token: string): number | undefined => this.#vocabulary.id(token);
    this.special = findSpecialTokens(this.#vocabulary.added.values(), idOf, nVocab);
    this.#vocabulary.checkText(this.special.eot);
    this.multilingual = this.special.eot !== 50256;
    this.#languages = new Map([...this.special.languages].map(([code, id]) => [id, code]));
  }

  /**
   * Makes the tokenizer of a checkpoint.
   *
   * @param files texts of tokenizer.json, or of vocab.json, merges.txt (to encode) and added_tokens.json
   * @param nVocab rows of the model's token embedding: checks the special tokens, and tells those the files lack
   * @throws {CheckpointError} if there is no vocabulary, it cannot be parsed, or it does not fit the model
   */
  static fromFiles(files: TokenizerFiles, nVocab?: number): Tokenizer {
    return new Tokenizer(files, nVocab);
  }

  /**
   * Encodes text as it stands: nothing is added, and `<|en|>` in it is six characters, not a token.
   *
   * The first call makes the encoder, which takes some 0.1 s.
   * @throws {CheckpointError} if the checkpoint has no merges, or its tokenizer.json is damaged
   */
  encode(text: string): number[] {
    this.#encode ??= createEncoder(this.#files, this.#vocabulary);
    return this.#encode(text);
  }

  /**
   * Text of these tokens. Characters that lie across several tokens come out whole; bytes that are no UTF-8 become U+FFFD,
   * as in Python's `errors="replace"`. Ids that the vocabulary does not have add nothing.
   */
  decode(ids: Iterable<number>, options: DecodeOptions = {}): string {
    return newUtf8Decoder().decode(this.decodeBytes(ids, options));
  }

  /** The UTF-8 bytes behind `decode`, which may begin or end inside a character. */
  decodeBytes(ids: Iterable<number>, options: DecodeOptions = {}): Uint8Array {
    const bytesOf = this.#renderer(options);
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const id of ids) {
      const bytes = bytesOf(id);
      parts.push(bytes);
      length += bytes.length;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** Decodes tokens as they come: the pieces joined are what `decode` gives for all of them. */
  decodeStream(options: DecodeOptions = {}): DecodeStream {
    const bytesOf = this.#renderer(options);
    const decoder = newUtf8Decoder();
    return {
      write(ids) {
        let text = "";
        for (const id of ids) text += decoder.decode(bytesOf(id), { stream: true });
        return text;
      },
      end: () => decoder.decode(),
    };
  }

  /** What each id of one sequence, in order, adds to its text. */
  #renderer({ skipSpecialTokens = true, timestamps = false }: DecodeOptions): (id: number) => Uint8Array {
    const { eot, sot, sotPrev } = this.special;
    let first = true;
    let inContext = false;
    return (id) => {
      if (first && id === sotPrev && skipSpecialTokens) inContext = true;
      first = false;
      if (inContext && id !== sot) return NOTHING;
      inContext = false;
      if (id < eot) return this.#vocabulary.bytes(id) ?? NOTHING;
      const timestamp = this.timestampIndex(id);
      if (timestamp !== undefined) return timestamps ? utf8.encode(timestampToken(timestamp)) : NOTHING;
      if (skipSpecialTokens && this.#isSpecial(id)) return NOTHING;
      return this.#vocabulary.bytes(id) ?? NOTHING;
    };
  }

  /** Fine-tuned models may have added words after all others. */
  #isSpecial(id: number): boolean {
    return id < this.special.timestampBegin || this.#vocabulary.added.get(id)?.special !== false;
  }

  /** The token as the vocabulary writes it: "Ġhi", "<|en|>", "<|1.00|>"; undefined if there is none. */
  idToToken(id: number): string | undefined {
    const timestamp = this.timestampIndex(id);
    return timestamp === undefined ? this.#vocabulary.token(id) : timestampToken(timestamp);
  }

  /** The id of a token as the vocabulary writes it; undefined if there is none. */
  tokenToId(token: string): number | undefined {
    const id = this.#vocabulary.id(token);
    if (id !== undefined || !/^<\|\d+\.\d\d\|>$/.test(token)) return id;
    const index = Math.round(Number(token.slice(2, -2)) * 50);
    return index <= LAST_TIMESTAMP && timestampToken(index) === token ? this.special.timestampBegin + index : undefined;
  }

  /** Number of 0.02 s steps that a timestamp stands for; undefined if the token is none. */
  timestampIndex(id: number): number | undefined {
    const index = id - this.special.timestampBegin;
    return index >= 0 && index <= LAST_TIMESTAMP ? index : undefined;
  }

  /**
   * The tokens that decoding begins with: startoftranscript, language and task where the vocabulary has them, and
   * notimestamps where no timestamps are wanted (facts 0.9, 6.10).
   *
   * @throws {OptionError} for a language or task that does not exist, or that this vocabulary has no token for
   */
  sotSequence({ language = "en", task = "transcribe", timestamps }: SotSequenceOptions): number[] {
    const tokens = [this.special.sot];
    assertOneOf("task", task, TASKS);
    if (this.multilingual) tokens.push(this.languageId(language), this.special[task]);
    if (!timestamps) tokens.push(this.special.noTimestamps);
    return tokens;
  }

  /**
   * The token id of a language.
   *
   * @param language name, code or token
   * @throws {OptionError} if there is no such language, or this vocabulary has no token for it
   */
  languageId(language: string): number {
    const { languages } = this.special;
    const id = languages.get(language) ?? languages.get(languageCode(language));
    if (id !== undefined) return id;
    const names = [...languages.keys()].join(", ");
    throw new OptionError(
      "language",
      `The model has no token for language ${quote(language)}, expected one of ${names}`,
    );
  }

  /** Whether the token names a language. */
  isLanguageToken(id: number): boolean {
    return this.#languages.has(id);
  }

  /** Code of the language that the token names; undefined if it names none. */
  languageOf(id: number): string | undefined {
    return this.#languages.get(id);
  }

  /** Ids that a transcript of speech does not want, ascending, special tokens not included (facts 2.4.5, 6.4). */
  get nonSpeechTokens(): readonly number[] {
    return (this.#nonSpeech ??= nonSpeechTokens((token) => this.#vocabulary.id(token)));
  }
}
