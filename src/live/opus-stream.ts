/**
 * Opus in an Ogg or WebM container -> samples, as the bytes come: what browsers' recorders send. Containers are taken apart here,
 * packets are decoded by node-av, in the thread of the caller: a packet of 20 ms takes a fraction of a millisecond.
 */
import type * as NodeAv from "node-av/lib";
import { InputError, UnsupportedAudioError } from "../errors.ts";
import { Resampler } from "../audio/index.ts";
import { OggPackets } from "./ogg-packets.ts";
import { WebmPackets } from "./webm-packets.ts";

type AvLibrary = typeof NodeAv;

const NAME = "live audio";
/** FFmpeg's AV_CODEC_ID_OPUS. */
const OPUS = 86076 as Parameters<typeof NodeAv.Codec.findDecoder>[0];
/** FFmpeg's AV_CHANNEL_ORDER_NATIVE. */
const NATIVE_ORDER = 1 as NodeAv.ChannelLayout["order"];
/** Opus is always decoded at this rate. */
const OPUS_RATE = 48_000;
const LOG_QUIET = -8 as Parameters<typeof NodeAv.Log.setLevel>[0];
/** FFmpeg's AV_SAMPLE_FMT_FLTP and FLT. */
const FLOAT_PLANAR = 8;
const FLOAT = 3;

let library: Promise<AvLibrary> | undefined;

export class OpusStream {
  readonly #av: AvLibrary;
  #container: OggPackets | WebmPackets | null = null;
  #decoder: NodeAv.CodecContext | null = null;
  readonly #packet: NodeAv.Packet;
  readonly #frame: NodeAv.Frame;
  readonly #resampler = new Resampler(OPUS_RATE);
  #headers = 0;
  #closed = false;

  /** @throws {InputError} if node-av is not installed, or has no binary for this platform */
  static async open(): Promise<OpusStream> {
    try {
      library ??= import("node-av/lib");
      return new OpusStream(await library);
    } catch (cause) {
      library = undefined;
      throw new InputError(NAME, "Opus needs the package node-av, which cannot be loaded here", {
        cause,
        hint: "send 16-bit samples instead",
      });
    }
  }

  private constructor(av: AvLibrary) {
    this.#av = av;
    av.Log.setLevel(LOG_QUIET);
    this.#packet = new av.Packet();
    this.#packet.alloc();
    this.#frame = new av.Frame();
    this.#frame.alloc();
  }

  /**
   * @returns mono samples at 16 kHz
   * @throws {UnsupportedAudioError} if the bytes are no Ogg or WebM with Opus in it
   */
  push(bytes: Uint8Array): Float32Array {
    if (bytes.length === 0 || this.#closed) return new Float32Array(0);
    const container = (this.#container ??= bytes[0] === 0x4f ? new OggPackets() : new WebmPackets());
    return this.#resampler.push(this.#decode(() => container.push(bytes)));
  }

  /** What is left in the container, the decoder and the resampler, at the end of the stream. */
  flush(): Float32Array {
    if (this.#closed) return new Float32Array(0);
    const container = this.#container;
    const pieces = [this.#decode(() => (container instanceof OggPackets ? container.flush() : []))];
    if (this.#decoder !== null && this.#decoder.sendPacketSync(null) >= 0) pieces.push(...this.#frames(this.#decoder));
    return concatenate([this.#resampler.push(concatenate(pieces)), this.#resampler.flush()]);
  }

  /** Frees the native memory; may be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#frame.free();
    this.#packet.free();
    this.#decoder?.freeContext();
  }

  #decode(read: () => Uint8Array[]): Float32Array {
    let packets: Uint8Array[];
    try {
      packets = read();
    } catch (cause) {
      throw new UnsupportedAudioError(NAME, cause instanceof Error ? cause.message : "it is damaged", { cause });
    }
    return concatenate(packets.flatMap((packet) => this.#take(packet)));
  }

  #take(packet: Uint8Array): Float32Array[] {
    if (this.#decoder === null) {
      this.#decoder = this.#start(packet);
      this.#headers = this.#container instanceof OggPackets ? 1 : 0; // comments follow
      return [];
    }
    if (this.#headers > 0) {
      this.#headers--;
      return [];
    }
    this.#packet.data = Buffer.from(packet);
    const sent = this.#decoder.sendPacketSync(this.#packet);
    this.#packet.unref();
    // A packet that is damaged is left out.
    return sent >= 0 ? this.#frames(this.#decoder) : [];
  }

  /** What the decoder has ready. */
  #frames(decoder: NodeAv.CodecContext): Float32Array[] {
    const pieces: Float32Array[] = [];
    while (decoder.receiveFrameSync(this.#frame) >= 0) {
      pieces.push(this.#mono());
      this.#frame.unref();
    }
    return pieces;
  }

  /** @param head OpusHead, RFC 7845 section 5.1 */
  #start(head: Uint8Array): NodeAv.CodecContext {
    if (head.length < 19 || new TextDecoder("latin1").decode(head.subarray(0, 8)) !== "OpusHead") {
      throw new UnsupportedAudioError(NAME, "its audio is no Opus");
    }
    const channels = head[9];
    const codec = this.#av.Codec.findDecoder(OPUS);
    if (codec === null) throw new UnsupportedAudioError(NAME, "node-av has no decoder for Opus");
    const decoder = new this.#av.CodecContext();
    decoder.allocContext3(codec);
    decoder.extraData = Buffer.from(head);
    decoder.sampleRate = OPUS_RATE;
    decoder.channelLayout = { nbChannels: channels, order: NATIVE_ORDER, mask: channels === 1 ? 4n : 3n };
    if (decoder.open2Sync(codec) < 0) {
      decoder.freeContext();
      throw new UnsupportedAudioError(NAME, "its Opus cannot be decoded");
    }
    return decoder;
  }

  /** The frame's channels, mixed down. */
  #mono(): Float32Array {
    const { nbSamples, channels, format, data } = this.#frame;
    const mono = new Float32Array(nbSamples);
    if (data === null || channels < 1) return mono;
    const plane = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if ((format as number) === FLOAT_PLANAR) {
      for (const bytes of data.slice(0, channels)) {
        const view = plane(bytes);
        for (let i = 0; i < nbSamples; i++) mono[i] += view.getFloat32(4 * i, true) / channels;
      }
    } else if ((format as number) === FLOAT) {
      const view = plane(data[0]);
      for (let i = 0; i < nbSamples * channels; i++)
        mono[Math.floor(i / channels)] += view.getFloat32(4 * i, true) / channels;
    } else {
      throw new UnsupportedAudioError(NAME, `node-av decodes Opus to samples of format ${String(format)}`);
    }
    return mono;
  }
}

function concatenate(pieces: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
