/**
 * Stitches windows without timestamps: their texts are merged by the longest common sequence, as Hugging Face does (facts
 * 1.12.4, 1.12.8), so that there is one piece for each language. Timestamps that nobody asked for are ignored.
 */
import { mergeTokens } from "./merge.ts";
import type { DecodedWindow, Piece, StitchTokens, Stitcher } from "./stitcher.ts";

interface WindowText {
  readonly window: number;
  readonly span: readonly [number, number];
  readonly tokens: number[];
  readonly sources: number[];
}

export class TextStitcher implements Stitcher {
  readonly #special: StitchTokens;
  readonly #codes: ReadonlyMap<number, string>;
  #windows = 0;
  /** Text tokens so far. */
  #tokens = 0;
  #timeOffset = 0;
  #language: string | null = null;
  /** Texts of the open piece, one a window, none of them empty. */
  #pending: WindowText[] = [];

  constructor(special: StitchTokens) {
    this.#special = special;
    this.#codes = new Map([...special.languages].map(([code, id]) => [id, code]));
  }

  push({ tokens, stride, language }: DecodedWindow): Piece[] {
    const window = this.#windows++;
    const [length, left, right] = stride ?? [0, 0, 0];
    const span = [this.#timeOffset, this.#timeOffset - left + length] as const;
    this.#timeOffset += length - left - right;

    const pieces: Piece[] = [];
    let text: WindowText = { window, span, tokens: [], sources: [] };
    const endText = (): void => {
      if (text.tokens.length > 0) this.#pending.push(text);
      text = { window, span, tokens: [], sources: [] };
    };
    const speak = (code: string): void => {
      if (this.#language !== null && code !== this.#language) {
        endText();
        pieces.push(...this.finish());
      }
      this.#language = code;
    };
    if (language !== undefined) speak(language);
    for (let i = 0; i < tokens.length; i++) {
      const id = tokens[i];
      const code = this.#codes.get(id);
      if (id < this.#special.eot) {
        text.tokens.push(id);
        text.sources.push(this.#tokens++);
      } else if (code !== undefined) speak(code);
    }
    endText();
    return pieces;
  }

  finish(): Piece[] {
    const pending = this.#pending;
    if (pending.length === 0) return [];
    this.#pending = [];
    const { tokens, contributed, skipped } = mergeTokens(pending.map((text) => text.tokens));
    const sources = pending.flatMap((text, i) => text.sources.slice(skipped[i], skipped[i] + contributed[i]));
    const main = contributed.indexOf(Math.max(...contributed));
    const span = [pending[0].span[0], pending[pending.length - 1].span[1]] as const;
    return [{ start: null, end: null, tokens, sources, language: this.#language, window: pending[main].window, span }];
  }
}
