/** Utterances whose ends somebody else knows: all samples are of one until it is told to end. Only what is speech in them is found. */
import { SAMPLE_RATE } from "../audio/index.ts";
import { VoiceActivityDetector, type SileroVad, type SpeechSegmenter } from "../vad/index.ts";
import { stretches, type EndpointerEvent, type VoiceOptions } from "./endpointer.ts";

export class ManualTurns {
  readonly #detector: VoiceActivityDetector;
  readonly #makeSegmenter: () => SpeechSegmenter;
  #segmenter: SpeechSegmenter;
  #received = 0;
  #speaking = false;

  constructor(network: SileroVad, voice: VoiceOptions) {
    this.#detector = new VoiceActivityDetector(network, { recovery: "immediate" });
    this.#makeSegmenter = () => stretches(voice);
    this.#segmenter = this.#makeSegmenter();
  }

  /** Takes the next samples, of any number; they are copied. */
  push(samples: Float32Array): EndpointerEvent[] {
    if (samples.length === 0) return [];
    const events: EndpointerEvent[] = [];
    if (!this.#speaking) {
      const time = this.#received / SAMPLE_RATE;
      events.push({ type: "start", time, audioStart: time });
      this.#speaking = true;
    }
    this.#received += samples.length;
    let hasSpeech = this.#segmenter.openStart !== null;
    for (const probability of this.#detector.push(samples)) {
      this.#segmenter.push([probability]);
      if (this.#segmenter.openStart !== null) hasSpeech = true;
    }
    events.push({ type: "audio", samples: samples.slice(), hasSpeech });
    return events;
  }

  /** Ends the utterance under way, if there is one. */
  end(): EndpointerEvent[] {
    if (!this.#speaking) return [];
    this.clear();
    return [{ type: "end", time: this.#received / SAMPLE_RATE }];
  }

  /** Drops the utterance under way. */
  clear(): void {
    this.#speaking = false;
    this.#detector.reset();
    this.#segmenter = this.#makeSegmenter();
  }
}
