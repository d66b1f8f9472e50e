/** The shape of a recording, for the waveform. */

/** Columns that are kept; a wide screen shows some 500. */
const COLUMNS = 1200;
/** Of the samples that the browser decodes to, in Hz: the lowest that all browsers know. */
const RATE = 8000;
/** The browser decodes a file whole: 40 minutes of stereo at 8 kHz are 150 MB. Longer ones are drawn from the segments. */
const MAX_SECONDS = 40 * 60;
/** And a file is read whole before. */
const MAX_BYTES = 150e6;

/**
 * The loudest sample of each of many equal stretches of a recording, 0 to 1, the loudest of all being 1.
 *
 * @returns null where it is too long, or the browser cannot decode it
 */
export async function readPeaks(audio: Blob, duration: number): Promise<Float32Array | null> {
  if (duration > MAX_SECONDS || audio.size > MAX_BYTES) return null;
  try {
    const context = new OfflineAudioContext({ numberOfChannels: 1, length: 1, sampleRate: RATE });
    const { length, numberOfChannels, ...decoded } = await decode(context, await audio.arrayBuffer());
    const columns = Math.min(COLUMNS, length);
    const peaks = new Float32Array(columns);
    for (let channel = 0; channel < numberOfChannels; channel++) {
      const samples = decoded.getChannelData(channel);
      for (let i = 0; i < length; i++) {
        const column = Math.floor((i * columns) / length);
        const size = Math.abs(samples[i]);
        if (size > peaks[column]) peaks[column] = size;
      }
    }
    const loudest = peaks.reduce((most, peak) => Math.max(most, peak), 1e-4);
    return peaks.map((peak) => peak / loudest);
  } catch {
    return null;
  }
}

async function decode(
  context: OfflineAudioContext,
  data: ArrayBuffer,
): Promise<{ length: number; numberOfChannels: number; getChannelData: (channel: number) => Float32Array }> {
  const buffer = await context.decodeAudioData(data);
  return {
    length: buffer.length,
    numberOfChannels: buffer.numberOfChannels,
    getChannelData: (channel) => buffer.getChannelData(channel),
  };
}

/** A stand-in where there are no samples: speech where there are segments, quiet elsewhere. */
export function peaksOfSegments(segments: readonly { start: number; end: number }[], duration: number): Float32Array {
  const peaks = new Float32Array(COLUMNS).fill(0.06);
  if (!(duration > 0)) return peaks;
  for (const { start, end } of segments) {
    const from = Math.max(0, Math.floor((start / duration) * COLUMNS));
    const to = Math.min(COLUMNS, Math.max(from + 1, Math.round((end / duration) * COLUMNS) - 1));
    peaks.fill(0.45, from, to);
  }
  return peaks;
}
