/**
 * The alphabet of byte-level BPE: every byte is one printable character, so that tokens can be written as text. Printable
 * Latin-1 stands for itself; the other 68 bytes are the characters from U+0100 on, in order ("Ġ" is a space).
 * Source: openai/gpt-2 encoder.py `bytes_to_unicode`.
 */

const charOfByte: string[] = [];
const byteOfCharCode = new Int16Array(0x144).fill(-1);

for (let byte = 0, next = 0x100; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const code = printable ? byte : next++;
  charOfByte.push(String.fromCharCode(code));
  byteOfCharCode[code] = byte;
}

const utf8 = new TextEncoder();

/** Text as a byte-level vocabulary writes it: " hi" is "Ġhi". Lone surrogates become U+FFFD. */
export function toByteAlphabet(text: string): string {
  return Array.from(utf8.encode(text), (byte) => charOfByte[byte]).join("");
}

/** The bytes that a token of a byte-level vocabulary stands for; its UTF-8 bytes if it is written in another alphabet. */
export function fromByteAlphabet(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const code = token.charCodeAt(i);
    const byte = code < byteOfCharCode.length ? byteOfCharCode[code] : -1;
    if (byte < 0) return utf8.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
