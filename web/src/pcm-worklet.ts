/** Runs beside the audio: mixes the microphone down, resamples it, and posts 16-bit samples some ten times a second. */

import { Downsampler, toPcm16 } from "./lib/downsampler.ts";

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** Samples in a message: 100 ms at 16 kHz. */
const BATCH = 1600;

class PcmProcessor extends AudioWorkletProcessor {
  private readonly downsampler = new Downsampler(sampleRate);
  private readonly batch = new Float32Array(BATCH);
  private filled = 0;

  process([channels]: Float32Array[][]): boolean {
    if (channels === undefined || channels.length === 0) return true;
    const mono = new Float32Array(channels[0].length);
    for (const channel of channels) for (let i = 0; i < mono.length; i++) mono[i] += channel[i] / channels.length;
    for (const sample of this.downsampler.push(mono)) {
      this.batch[this.filled++] = sample;
      if (this.filled < BATCH) continue;
      const pcm = toPcm16(this.batch);
      this.port.postMessage(pcm.buffer, [pcm.buffer as ArrayBuffer]);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("pcm", PcmProcessor);
