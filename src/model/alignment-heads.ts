/**
 * Which heads of the decoder's cross-attention look at the sound of the token that is written. Nobody can see that in the
 * weights: OpenAI found them by trying, and published them with its models.
 */
import { isMultilingual, type ModelDimensions } from "./dimensions.ts";

/** Layer and head, both from 0. */
export type Head = readonly [layer: number, head: number];

// Facts 0.11. A line is `name: width, decoder layers, "m" multilingual or "e" English, mel bins`, and the heads.
// large-v1 is missing: its dimensions are those of large-v2.
const OFFICIAL: ReadonlyMap<string, string> = new Map([
  /* tiny */ ["384 4 m 80", "2,2 3,0 3,2 3,3 3,4 3,5"],
  /* tiny.en */ ["384 4 e 80", "1,0 2,0 2,5 3,0 3,1 3,2 3,3 3,4"],
  /* base */ ["512 6 m 80", "3,1 4,2 4,3 4,7 5,1 5,2 5,4 5,6"],
  /* base.en */ ["512 6 e 80", "3,3 4,7 5,1 5,5 5,7"],
  /* small */ ["768 12 m 80", "5,3 5,9 8,0 8,4 8,7 8,8 9,0 9,7 9,9 10,5"],
  /* small.en */ [
    "768 12 e 80",
    "6,6 7,0 7,3 7,8 8,2 8,5 8,7 9,0 9,4 9,8 9,10 10,0 10,1 10,2 10,3 10,6 10,11 11,2 11,4",
  ],
  /* medium */ ["1024 24 m 80", "13,15 15,4 15,15 16,1 20,0 23,4"],
  /* medium.en */ [
    "1024 24 e 80",
    "11,4 14,1 14,12 14,14 15,4 16,0 16,4 16,9 17,12 17,14 18,7 18,10 18,15 20,0 20,3 20,9 20,14 21,12",
  ],
  /* large-v2 */ [
    "1280 32 m 80",
    "10,12 13,17 16,11 16,12 16,13 17,15 17,16 18,4 18,11 18,19 19,11 21,2 21,3 22,3 22,9 22,12 23,5 23,7 23,13 25,5 26,1 26,12 27,15",
  ],
  /* large-v3 */ ["1280 32 m 128", "7,0 10,17 12,18 13,12 16,1 17,14 19,11 21,4 24,1 25,6"],
  /* large-v3-turbo */ ["1280 4 m 128", "2,4 2,11 3,3 3,6 3,11 3,14"],
]);

/**
 * The heads that word times are made of.
 *
 * What the checkpoint says comes first: for OpenAI's models it is the same as the table, and of a fine-tuned model whose
 * attention has moved, or of large-v1, only the checkpoint knows. Then the table of OpenAI's models, by dimensions; then
 * all heads of the upper half of the layers, which is what openai/whisper does for models it does not know.
 *
 * @param configured `alignment_heads` of generation_config.json; null where it has none. Heads that the model does not have
 *   are left out.
 * @returns at least one head, sorted by layer and head
 */
export function alignmentHeads(dimensions: ModelDimensions, configured: readonly Head[] | null): Head[] {
  const { nTextLayer, nTextHead } = dimensions;
  const exists = ([layer, head]: Head): boolean => layer < nTextLayer && head < nTextHead;
  const known = [...new Set(configured?.filter(exists).map(String))].map(parseHead);
  if (known.length > 0) return known.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return officialHeads(dimensions) ?? upperHalf(dimensions);
}

function officialHeads(dimensions: ModelDimensions): Head[] | undefined {
  const { nTextState, nTextLayer, nMels } = dimensions;
  const key = `${nTextState} ${nTextLayer} ${isMultilingual(dimensions) ? "m" : "e"} ${nMels}`;
  return OFFICIAL.get(key)?.split(" ").map(parseHead);
}

function parseHead(text: string): Head {
  const [layer, head] = text.split(",").map(Number);
  return [layer, head];
}

function upperHalf({ nTextLayer, nTextHead }: ModelDimensions): Head[] {
  const heads: Head[] = [];
  for (let layer = Math.floor(nTextLayer / 2); layer < nTextLayer; layer++) {
    for (let head = 0; head < nTextHead; head++) heads.push([layer, head]);
  }
  return heads;
}
