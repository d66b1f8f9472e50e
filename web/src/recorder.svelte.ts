/** A recording under way: from the microphone to a file in the browser's own format. */

import { closeMicrophone, openMicrophone } from "./lib/microphone.ts";

const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
/** In bits a second: speech in Opus is transparent well below. */
const BITRATE = 64_000;

export class Recorder {
  stream = $state.raw<MediaStream | null>(null);
  seconds = $state(0);
  isPaused = $state(false);
  private recorder: MediaRecorder | null = null;
  private readonly pieces: Blob[] = [];
  private ticker: ReturnType<typeof setInterval> | undefined;

  get isRecording(): boolean {
    return this.stream !== null;
  }

  /** @throws {MicrophoneError} */
  async start(): Promise<void> {
    const stream = await openMicrophone();
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(stream, {
      audioBitsPerSecond: BITRATE,
      ...(mimeType !== undefined && { mimeType }),
    });
    this.pieces.length = 0;
    recorder.ondataavailable = ({ data }) => this.pieces.push(data);
    recorder.start(1000);
    this.recorder = recorder;
    this.stream = stream;
    this.seconds = 0;
    this.isPaused = false;
    let last = performance.now();
    this.ticker = setInterval(() => {
      const now = performance.now();
      if (!this.isPaused) this.seconds += (now - last) / 1000;
      last = now;
    }, 200);
  }

  togglePause(): void {
    if (this.isPaused) this.recorder?.resume();
    else this.recorder?.pause();
    this.isPaused = !this.isPaused;
  }

  /** Ends the recording and gives it. */
  async stop(): Promise<File> {
    const { recorder } = this;
    if (recorder === null) throw new Error("Nothing is being recorded");
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      recorder.stop();
    });
    this.release();
    const type = recorder.mimeType.split(";")[0];
    const extension = type === "audio/mp4" ? "m4a" : type === "audio/ogg" ? "ogg" : "webm";
    const now = new Date();
    const pad = (value: number): string => String(value).padStart(2, "0");
    const name = `Recording ${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())} ${pad(now.getHours())}.${pad(now.getMinutes())}.${extension}`;
    return new File(this.pieces, name, { type });
  }

  /** Ends the recording and forgets it. */
  discard(): void {
    this.recorder?.stop();
    this.release();
  }

  private release(): void {
    clearInterval(this.ticker);
    if (this.stream !== null) closeMicrophone(this.stream);
    this.stream = null;
    this.recorder = null;
  }
}
