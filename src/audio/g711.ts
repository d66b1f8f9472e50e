/**
 * The two telephone codecs of ITU-T G.711: one byte a sample, on a logarithmic scale. Decoding is a table of 256 values.
 */

/** A-law byte -> linear sample in the range of int16 (13 significant bits, left-justified). */
export function aLawTable(): Int16Array {
  return Int16Array.from({ length: 256 }, (_, byte) => {
    const code = byte ^ 0x55;
    const exponent = (code >> 4) & 7;
    const mantissa = (code & 15) << 4;
    const magnitude = exponent === 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1);
    return code & 0x80 ? magnitude : -magnitude;
  });
}

/** Mu-law byte -> linear sample in the range of int16 (14 significant bits, left-justified). */
export function muLawTable(): Int16Array {
  return Int16Array.from({ length: 256 }, (_, byte) => {
    const code = ~byte & 0xff;
    const magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    return code & 0x80 ? -magnitude : magnitude;
  });
}
