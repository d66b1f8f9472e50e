/** A recording of 16-bit samples as a file that every browser plays. */

/** @param pieces mono, 16-bit, at `sampleRate` Hz */
export function toWav(pieces: readonly ArrayBuffer[], sampleRate: number): Blob {
  const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, value: string): void =>
    [...value].forEach((character, i) => header.setUint8(at + i, character.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, sampleRate * 2, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header, ...pieces], { type: "audio/wav" });
}
