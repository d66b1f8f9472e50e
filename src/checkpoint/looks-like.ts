/** Which published model a set of sizes is that of: for the hint of a message, never for a decision. */

export interface Signature {
  readonly state: number;
  readonly nAudioLayer: number;
  readonly nTextLayer: number;
  readonly nVocab: number;
}

/** [name, state, encoder layers, decoder layers] by facts 0.4; the vocabulary tells variants of one size apart (facts 0.5). */
const PUBLISHED: readonly (readonly [string, number, number, number, readonly number[]])[] = [
  ["tiny", 384, 4, 4, [51864, 51865]],
  ["base", 512, 6, 6, [51864, 51865]],
  ["small", 768, 12, 12, [51864, 51865]],
  ["medium", 1024, 24, 24, [51864, 51865]],
  ["large-v2", 1280, 32, 32, [51865]],
  ["large-v3", 1280, 32, 32, [51866]],
  ["turbo", 1280, 32, 4, [51866]],
  ["distil-small", 768, 12, 4, [51864]],
  ["distil-medium", 1024, 24, 2, [51864]],
  ["distil-large-v2", 1280, 32, 2, [51865]],
  ["distil-large-v3", 1280, 32, 2, [51866]],
];

/** @returns for example "base.en"; undefined if no published model has these sizes */
export function publishedName({ state, nAudioLayer, nTextLayer, nVocab }: Signature): string | undefined {
  const match = PUBLISHED.find(
    ([, size, audio, text, vocabularies]) =>
      size === state && audio === nAudioLayer && text === nTextLayer && vocabularies.includes(nVocab),
  );
  return match === undefined ? undefined : nVocab === 51864 ? `${match[0]}.en` : match[0];
}

/** @param dims dims of stored parameters by Hugging Face name without the prefix `model.` */
export function signatureOf(dims: ReadonlyMap<string, readonly number[]>): Signature {
  const layers = (stack: string): number => {
    let count = 0;
    while (dims.has(`${stack}.layers.${count}.fc1.weight`)) count++;
    return count;
  };
  const [nVocab, state] = dims.get("decoder.embed_tokens.weight") ?? [0, 0];
  return { state, nVocab, nAudioLayer: layers("encoder"), nTextLayer: layers("decoder") };
}
