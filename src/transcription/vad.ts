/** dev */
import type { AudioStream } from "../audio/index.ts";
import { SAMPLE_RATE } from "../audio/constants.ts";
import { detectLanguage } from "../decoding/index.ts";
import type { TranscriptionContext } from "./chunked-options.ts";
import { decodeSpeech, encodeSpeech, type FoundText } from "./speech-decoder.ts";
import { SpeechWindows, type SpeechDetector } from "./speech-windows.ts";
import type { SpeechWindow } from "./speech-window.ts";
import { resolveVad, type VadOptions } from "./vad-options.ts";

export async function proto(
  context: TranscriptionContext,
  audio: AudioStream,
  detector: SpeechDetector,
  options: VadOptions,
) {
  const resolved = resolveVad(context, options);
  const { engine, tokenizer } = context;
  const windower = new SpeechWindows(detector, resolved.speech, resolved.layout);
  const windows: SpeechWindow[] = [];
  for await (const piece of audio) windows.push(...windower.push(piece));
  windows.push(...windower.finish());
  let language: string | undefined = resolved.decoding.language;
  const texts: (readonly FoundText[])[] = [];
  for (let at = 0; at < windows.length; at += resolved.batchSize) {
    const batch = windows.slice(at, at + resolved.batchSize);
    const encoded = await encodeSpeech(engine, batch);
    if (language === undefined) {
      const detections = await detectLanguage(engine, encoded, tokenizer);
      const sums: Record<string, number> = {};
      for (const d of detections.slice(0, 4))
        for (const [code, p] of Object.entries(d.probabilities)) sums[code] = (sums[code] ?? 0) + p;
      language = Object.entries(sums).sort((a, b) => b[1] - a[1])[0][0];
    }
    const jobs = batch.map((window) => ({ window, language: language! }));
    await decodeSpeech({ ...context, engine }, jobs, encoded, resolved, undefined, (job, text) => {
      texts[at + job] = text;
    });
    encoded.dispose();
  }
  const segments = texts
    .flat()
    .map((t) => ({ ...t, text: tokenizer.decode(t.tokens.filter((x) => x < tokenizer.special.eot)) }));
  return {
    text: segments.map((s) => s.text).join(""),
    language: language ?? "en",
    segments,
    windows: windows.map((w) => [
      w.pieces.map((p) => [p.start / SAMPLE_RATE, p.end / SAMPLE_RATE]),
      w.samples.length / SAMPLE_RATE,
    ]),
    speech: windower.speech.map((s) => [s.start / SAMPLE_RATE, s.end / SAMPLE_RATE]),
  };
}
