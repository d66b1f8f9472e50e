/** How much a text repeats itself. */
import { deflatedLength } from "./deflated-length.ts";

const encoder = new TextEncoder();

/**
 * UTF-8 bytes of the stripped text over its bytes after zlib at level 6, the six bytes of header and checksum counted.
 *
 * @returns 0 for an empty text; above 2.4 openai/whisper takes it for a repetition
 * @see facts 2.3.5
 */
export function compressionRatio(text: string): number {
  const bytes = encoder.encode(text.trim());
  return bytes.length / deflatedLength(bytes);
}
