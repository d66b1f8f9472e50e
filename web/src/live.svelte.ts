/** Live captions under way: microphone, worklet, socket, and the text so far. Text of an utterance that has ended never changes. */

import { type ApiError, LiveSocket, type LiveEvent, type LiveWord, splitHint, type Task } from "./api.ts";
import { TARGET_RATE } from "./lib/downsampler.ts";
import { closeMicrophone, MicrophoneError, openMicrophone } from "./lib/microphone.ts";
import { toWav } from "./lib/wav.ts";
import workletUrl from "./pcm-worklet.ts?worker&url";

/** The longest recording of captions that is kept, in bytes: half an hour. */
const MAX_RECORDING = 30 * 60 * TARGET_RATE * 2;

/** Seconds that captions may lag in speech without the server being short of time. */
const USUAL_DELAY = 4;

export class LiveCaptions {
  state = $state<"idle" | "starting" | "listening" | "ending">("idle");
  stream = $state.raw<MediaStream | null>(null);
  /** Final text, a paragraph for each utterance, and what is committed of the one under way. */
  paragraphs = $state<string[]>([]);
  /** What the model makes of the last seconds, and may change. */
  partial = $state("");
  seconds = $state(0);
  /** Sound sent when the server last said something of the speech that is going on; null while nobody speaks. */
  private heardAt = $state<number | null>(null);
  failure = $state.raw<{ message: string; hint: string | undefined } | null>(null);
  words: LiveWord[] = [];
  /** Code, once the model has heard which it is. */
  language = "";
  private recording: ArrayBuffer[] = [];
  private recordedBytes = 0;
  /** Seconds of sound that were sent by earlier starts: the server counts from 0 each time. */
  private offset = 0;
  private isNewParagraph = true;
  /** Words of the utterances before the one under way; null if part of that was cleared away. */
  private wordsBefore: number | null = 0;
  private context: AudioContext | null = null;
  private socket: LiveSocket | null = null;

  get isActive(): boolean {
    return this.state !== "idle";
  }

  /** Seconds that the captions are behind the voice, once that is more than they always are; else 0. */
  get behind(): number {
    const behind = this.heardAt === null ? 0 : this.seconds - this.heardAt;
    return behind > USUAL_DELAY ? behind : 0;
  }

  get isEmpty(): boolean {
    return this.paragraphs.length === 0 && this.partial === "";
  }

  /** The recording, if it is not too long to be kept. */
  get audio(): Blob | null {
    return this.recordedBytes <= MAX_RECORDING && this.recordedBytes > 0 ? toWav(this.recording, TARGET_RATE) : null;
  }

  async start(options: { language?: string | undefined; task: Task; model?: string | undefined }): Promise<void> {
    this.failure = null;
    this.state = "starting";
    this.offset = this.seconds;
    this.isNewParagraph = true;
    this.wordsBefore = this.words.length;
    try {
      this.stream = await openMicrophone();
      const context = new AudioContext();
      this.context = context;
      await context.audioWorklet.addModule(workletUrl);
      const worklet = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0 });
      const socket = new LiveSocket(
        options,
        (event) => this.take(event),
        (error) => this.closed(error),
      );
      this.socket = socket;
      worklet.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
        if (this.state !== "listening") return;
        socket.send(data);
        this.seconds += data.byteLength / 2 / TARGET_RATE;
        this.recordedBytes += data.byteLength;
        if (this.recordedBytes <= MAX_RECORDING) this.recording.push(data);
        else this.recording = [];
      };
      context.createMediaStreamSource(this.stream).connect(worklet);
      await context.resume();
      this.state = "listening";
    } catch (error) {
      this.release();
      this.socket?.close();
      this.state = "idle";
      this.failure =
        error instanceof MicrophoneError
          ? { message: error.message, hint: error.hint }
          : { message: "Live captions cannot start", hint: error instanceof Error ? error.message : undefined };
    }
  }

  /** No more sound; the last words come, then the line closes. */
  stop(): void {
    if (this.state !== "listening") return;
    this.state = "ending";
    this.release();
    this.socket?.end();
  }

  clear(): void {
    this.paragraphs = [];
    this.partial = "";
    this.words = [];
    this.wordsBefore = this.isNewParagraph ? 0 : null;
    this.language = "";
    this.recording = [];
    this.recordedBytes = 0;
    this.seconds = 0;
    this.offset = 0;
    this.failure = null;
  }

  /** Leaves at once, as when the page turns to something else. */
  abandon(): void {
    this.release();
    this.socket?.close();
    this.state = "idle";
  }

  private take(event: LiveEvent): void {
    if (event.type === "final" || event.type === "error") this.heardAt = null;
    else if (event.type !== "ready") this.heardAt = this.seconds;
    switch (event.type) {
      case "partial":
        this.partial = event.text;
        break;
      case "commit": {
        this.partial = "";
        const { offset } = this;
        this.words.push(
          ...event.words.map(({ text, start, end }) => ({ text, start: start + offset, end: end + offset })),
        );
        const text = event.text;
        if (this.isNewParagraph || this.paragraphs.length === 0) this.paragraphs.push(text.trimStart());
        else {
          const last = this.paragraphs.length - 1;
          const isSpaced = /^\s/.test(text) || /^[.,!?;:]/.test(text) || text === "";
          this.paragraphs[last] += isSpaced || !/\w$/.test(this.paragraphs[last]) ? text : ` ${text}`;
        }
        if (text.trim() !== "") this.isNewParagraph = false;
        break;
      }
      case "final":
        this.partial = "";
        this.replaceUtterance(event.text, event.words);
        this.isNewParagraph = true;
        this.wordsBefore = this.words.length;
        if (this.language === "") this.language = event.language ?? "";
        break;
      case "error":
        this.failure = splitHint(event.message);
        break;
      case "ready":
      case "speech_start":
      case "speech_end":
        break;
      default:
      // A newer server says more: not for this page.
    }
  }

  /** What was committed of the utterance gives way to its final text. */
  private replaceUtterance(text: string | undefined, words: readonly LiveWord[] = []): void {
    if (text === undefined || this.wordsBefore === null) return;
    const { offset } = this;
    const timed = words.map((word) => ({ text: word.text, start: word.start + offset, end: word.end + offset }));
    this.words.splice(this.wordsBefore, this.words.length, ...timed);
    if (!this.isNewParagraph) this.paragraphs.pop();
    if (text !== "") this.paragraphs.push(text);
  }

  private closed(error: ApiError | undefined): void {
    this.release();
    this.partial = "";
    this.heardAt = null;
    this.socket = null;
    if (this.state === "idle") return;
    const isExpected = this.state === "ending";
    this.state = "idle";
    if (this.failure !== null) return;
    if (error !== undefined && !(isExpected && error.status === 0)) {
      this.failure = { message: error.message, hint: error.hint };
    } else if (error === undefined && !isExpected) {
      this.failure = {
        message: "The server ended the captions",
        hint: "Press Start to go on; the text so far is kept.",
      };
    }
  }

  private release(): void {
    if (this.stream !== null) closeMicrophone(this.stream);
    this.stream = null;
    void this.context?.close();
    this.context = null;
  }
}
