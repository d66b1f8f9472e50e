/**
 * Decodes one file with node-av (FFmpeg's libraries in the process), by its synchronous low-level calls: its
 * asynchronous ones give no samples on Node 20. Runs in the decoding thread only. Frames are mixed and
 * resampled here, by our own code, each by its own rate and channels: a damaged file may change them midway.
 */

import type * as NodeAv from "node-av/lib";

import type { AudioGap } from "./audio-input.ts";
import { readInterleaved, readPlane, type SampleFormat } from "./channels.ts";
import { MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_RATE } from "./constants.ts";
import { FrameClock, startStamp } from "./frame-clock.ts";
import { FORMAT_WHITELIST } from "./media-formats.ts";
import { MIX_FRAMES, Mixer } from "./mixer.ts";
import { musicIsIntact, readMp3Tag, type Mp3Tag } from "./mp3-tag.ts";
import { PieceQueue } from "./piece-queue.ts";
import { Resampler } from "./resample.ts";
import { noSuchTrack, tracksWarning, type Track } from "./tracks.ts";
import { formatSeconds, WarningList } from "./warnings.ts";

/** The part of node-av that is used. */
export type AvLibrary = Pick<
  typeof NodeAv,
  "Codec" | "CodecContext" | "Dictionary" | "FFmpegError" | "FormatContext" | "Frame" | "Packet"
>;

const MEDIA_TYPE_AUDIO = 1 as Parameters<NodeAv.FormatContext["findBestStream"]>[0];
const AVERROR_EOF = -541478725;
const DISCARD_ALL = 48 as NodeAv.Stream["discard"];

/** By FFmpeg's AVSampleFormat. */
const SAMPLE_FORMATS: readonly (readonly [format: SampleFormat, planar: boolean])[] = [
  ["u8", false],
  ["s16", false],
  ["s32", false],
  ["f32", false],
  ["f64", false],
  ["u8", true],
  ["s16", true],
  ["s32", true],
  ["f32", true],
  ["f64", true],
  ["s64", false],
  ["s64", true],
];

/** Samples in a piece: 10 s. */
const PIECE_SAMPLES = 10 * SAMPLE_RATE;

/** Packets read before other messages get a turn: the wait of a cancellation, and the time native buffers live. */
const PACKETS_PER_TURN = 200;

/** Errors in a row after which the rest of a file is given up. */
const MAX_READ_ERRORS = 100;

/** Longest time that one damaged packet may claim, in seconds: packets hold tens of ms. */
const MAX_PACKET_SECONDS = 1;

/** Longest silence put in place of damage, by time stamps; a larger jump is damage of the stamp itself. */
const MAX_DAMAGE_SECONDS = 60;

/** "No time stamp" in FFmpeg. */
const AV_NOPTS_VALUE = -(2n ** 63n);

/** A piece of a recording, with the warnings known by then. */
export interface DecodedPiece {
  /** Mono at 16 kHz; empty at the end. */
  readonly samples: Float32Array<ArrayBuffer>;
  readonly warnings: readonly string[];
  /** Found since the piece before, in seconds from the start. */
  readonly gaps: readonly AudioGap[];
}

/** Why a file cannot be decoded; `reason` completes "Cannot read "x": ...". */
export class AvDecodeError extends Error {
  override readonly name = "AvDecodeError";
}

/** An open file. Close it. */
export class AvDecoder {
  /** Set to end a running `next` early. */
  cancelled = false;
  private readonly eagain: number;
  private readonly input: NodeAv.FormatContext;
  private readonly decoder: NodeAv.CodecContext;
  private readonly packet: NodeAv.Packet;
  private readonly frame: NodeAv.Frame;
  private readonly warnings = new WarningList();
  private inputOpen = false;
  private closed = false;
  private formatName = "";
  private mp3Tag: Mp3Tag | null = null;
  private streamIndex = -1;
  private secondsPerTick = 0;
  /** By the stream's header, possibly guessed; 0 or less where unknown. */
  private streamSeconds = 0;
  private resampler: Resampler | undefined;
  private readonly mixer = new Mixer(this.warnings);
  /** Decoded samples of each channel, at the resampler's rate: frames are short, and are mixed and resampled together. */
  private planes: Float32Array[] = [];
  private frames = 0; // in `planes`
  private readonly queue = new PieceQueue();
  private gaps: AudioGap[] = []; // not yet told
  private ended = false;
  private readErrors = 0; // in a row
  private decodedSeconds = 0;
  private clock = new FrameClock(NaN);
  /** Damage since the last good frame: packets, and the seconds that they claim. */
  private recentDamage = { parts: 0, seconds: 0 };
  private damage = { parts: 0, seconds: 0 };

  private constructor(
    private readonly av: AvLibrary,
    private readonly path: string,
    /** From 1; undefined for the best. */
    private readonly audioTrack: number | undefined,
  ) {
    this.eagain = av.FFmpegError.AVERROR("EAGAIN" as Parameters<typeof av.FFmpegError.AVERROR>[0]);
    this.input = new av.FormatContext();
    this.decoder = new av.CodecContext();
    this.packet = new av.Packet();
    this.frame = new av.Frame();
  }

  /**
   * @param path of a regular file
   * @param audioTrack which of its audio tracks, from 1; default what FFmpeg takes for the best one, with a warning if there are others
   * @throws {AvDecodeError} if it is no container known, holds no audio or not that track, or its codec is not known
   */
  static async open(av: AvLibrary, path: string, audioTrack?: number): Promise<AvDecoder> {
    const decoder = new AvDecoder(av, path, audioTrack);
    try {
      decoder.openInput();
      decoder.openStream();
      if (decoder.formatName === "mp3") decoder.mp3Tag = await readMp3Tag(path);
      return decoder;
    } catch (error) {
      decoder.close();
      throw error;
    }
  }

  /** Seconds by the container; `null` where it does not say. */
  get durationSeconds(): number | null {
    const seconds = Number(this.input.duration) / 1e6; // AV_TIME_BASE
    return seconds > 0 ? seconds : null;
  }

  private openInput(): void {
    const options = this.av.Dictionary.fromObject({ protocol_whitelist: "file", format_whitelist: FORMAT_WHITELIST });
    this.check(
      this.input.openInputSync(`file:${this.path}`, null, options),
      "its format is not known, or its index is missing",
    );
    this.inputOpen = true;
    this.check(this.input.findStreamInfoSync(), "its streams cannot be read");
    this.formatName = this.input.iformat?.name ?? "";
  }

  private openStream(): void {
    const { av, input, decoder } = this;
    const { streams } = input;
    const stream = this.chooseStream(streams);
    this.streamIndex = streams.indexOf(stream);
    for (const other of streams) if (other !== stream) other.discard = DISCARD_ALL;
    this.secondsPerTick = stream.timeBase.num / stream.timeBase.den;
    this.streamSeconds = Number(stream.duration) * this.secondsPerTick;
    const first = input.startTime === AV_NOPTS_VALUE ? NaN : Number(input.startTime) / 1e6; // AV_TIME_BASE
    this.clock = new FrameClock(startStamp(this.formatName, first));
    const codec = av.Codec.findDecoder(stream.codecpar.codecId);
    if (codec === null) throw new AvDecodeError("its audio codec is not known");
    decoder.allocContext3(codec);
    this.check(decoder.parametersToContext(stream.codecpar), "its audio codec is not known");
    decoder.pktTimebase = stream.timeBase;
    decoder.threadCount = 1; // the other cores hear the speech
    // A FLAC frame whose checksum is wrong would come out as full-scale noise; silence in its place does less harm.
    // (Not through the options of open2Sync: node-av 6.1 frees that dictionary twice.)
    if (codec.name === "flac") decoder.setOption("err_detect", "crccheck+explode");
    this.check(decoder.open2Sync(codec), "its audio codec cannot be started");
    this.packet.alloc();
    this.frame.alloc();
  }

  private chooseStream(streams: readonly NodeAv.Stream[]): NodeAv.Stream {
    const best = streams[this.input.findBestStream(MEDIA_TYPE_AUDIO)] as NodeAv.Stream | undefined;
    if (best === undefined) throw new AvDecodeError("it holds no audio stream");
    const audio = streams.filter(({ codecpar }) => codecpar.codecType === MEDIA_TYPE_AUDIO);
    if (this.audioTrack === undefined) {
      const tracks = audio.map(({ metadata }): Track => {
        const entries = metadata?.getAll() ?? {};
        return { language: entries["language"] ?? null, title: entries["title"] ?? null };
      });
      const warning = tracksWarning(tracks, audio.indexOf(best) + 1);
      if (warning !== null) this.warnings.add(warning);
      return best;
    }
    const chosen = audio[this.audioTrack - 1] as NodeAv.Stream | undefined;
    if (chosen === undefined) throw new AvDecodeError(noSuchTrack(this.audioTrack, audio.length));
    return chosen;
  }

  /**
   * Decodes the next piece: about 10 s, empty at the end.
   *
   * @throws {AvDecodeError} if the whole file gave no sample
   */
  async next(): Promise<DecodedPiece> {
    for (let packets = 1; this.queue.length < PIECE_SAMPLES && !this.ended && !this.cancelled; packets++) {
      this.readPacket();
      if (this.ended) await this.judge();
      else if (packets % PACKETS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.ended && this.decodedSeconds === 0) {
      throw new AvDecodeError("no audio in it can be decoded: it is damaged, or no audio file");
    }
    const { gaps } = this;
    this.gaps = [];
    return { samples: this.queue.take(2 * PIECE_SAMPLES), warnings: [...this.warnings.texts], gaps };
  }

  /** Frees the native memory and closes the file; may be called twice. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.frame.free();
    this.packet.free();
    this.decoder.freeContext();
    if (this.inputOpen) this.input.closeInputSync();
  }

  private readPacket(): void {
    const result = this.input.readFrameSync(this.packet);
    if (result < 0) {
      if (result !== AVERROR_EOF && ++this.readErrors < MAX_READ_ERRORS) return;
      if (result !== AVERROR_EOF) this.warnings.add("The file cannot be read to its end: the rest is damaged");
      this.decoder.sendPacketSync(null);
      this.receiveFrames();
      this.flush();
      this.ended = true;
      return;
    }
    if (this.readErrors > 0) this.countDamage(0);
    this.readErrors = 0;
    if (this.packet.streamIndex === this.streamIndex) {
      const seconds = Number(this.packet.duration) * this.secondsPerTick;
      const refused = this.decoder.sendPacketSync(this.packet) < 0;
      const broken = !this.receiveFrames();
      if (refused || broken) this.countDamage(seconds);
    }
    this.packet.unref();
  }

  /** @returns false if the decoder met damage */
  private receiveFrames(): boolean {
    for (;;) {
      const result = this.decoder.receiveFrameSync(this.frame);
      if (result === this.eagain || result === AVERROR_EOF) return true;
      if (result < 0) return false;
      this.takeFrame();
      this.frame.unref();
    }
  }

  private takeFrame(): void {
    const { frame } = this;
    const { nbSamples, sampleRate, channels } = frame;
    const known = SAMPLE_FORMATS[frame.format];
    const believable = sampleRate >= MIN_SAMPLE_RATE && sampleRate <= MAX_SAMPLE_RATE && channels <= MAX_CHANNELS;
    if (known === undefined || !believable || nbSamples <= 0 || channels < 1) {
      this.countDamage(0);
      return;
    }
    const [format, planar] = known;
    if (this.planes.length !== channels) {
      this.drain();
      this.planes = Array.from({ length: channels }, () => new Float32Array(MIX_FRAMES));
    }
    if (this.resampler?.fromRate !== sampleRate) {
      this.flush();
      this.resampler = new Resampler(sampleRate);
    }
    // Frames amid damage may lack a time stamp: wait for one that has it, if any ever had.
    const stamp = frame.pts === AV_NOPTS_VALUE ? NaN : Number(frame.pts) * this.secondsPerTick;
    const isDamageOver = this.recentDamage.parts > 0 && !(Number.isNaN(stamp) && this.clock.knowsStamps);
    if (isDamageOver) this.bridgeDamage(stamp);
    const isFirst = this.decodedSeconds === 0;
    const silence = this.clock.next(stamp);
    this.putSilence(silence);
    if (!isFirst) this.decodedSeconds += silence; // before the first, no container counts it as part of the track
    this.makeRoom(nbSamples);
    const stored = (planar && channels > 8 ? frame.extendedData : frame.data) ?? [];
    const replaced = planar
      ? this.planes.reduce((sum, plane, i) => sum + readPlane(stored[i], format, nbSamples, plane, this.frames), 0)
      : readInterleaved(stored[0], format, nbSamples, this.planes, this.frames);
    this.warnings.addReplaced(replaced);
    this.frames += nbSamples;
    this.decodedSeconds += nbSamples / sampleRate;
    this.clock.advance(nbSamples / sampleRate);
  }

  private makeRoom(frames: number): void {
    if (this.planes[0].length - this.frames >= frames) return;
    this.drain();
    if (frames > this.planes[0].length) this.planes = this.planes.map(() => new Float32Array(frames));
  }

  /** Mixes and resamples what was gathered. */
  private drain(): void {
    if (this.frames > 0 && this.resampler !== undefined) {
      const mono = new Float32Array(this.frames);
      this.mixer.mix(this.planes, this.frames, mono);
      this.queue.push(this.resampler.push(mono));
    }
    this.frames = 0;
  }

  /** Ends what was gathered: nothing that follows is heard in it. */
  private flush(): void {
    this.drain();
    if (this.resampler === undefined) return;
    this.queue.push(this.resampler.flush());
    this.resampler = new Resampler(this.resampler.fromRate);
  }

  private putSilence(seconds: number): void {
    if (seconds <= 0) return;
    this.flush();
    const start = this.queue.pushed;
    this.queue.pushSilence(Math.round(seconds * SAMPLE_RATE));
    this.gaps.push({ start: start / SAMPLE_RATE, end: this.queue.pushed / SAMPLE_RATE });
  }

  /** Puts silence where damage was, so that what follows keeps its time. Time stamps know best how much is missing. */
  private bridgeDamage(stamp: number): void {
    const missing = this.clock.missingBefore(stamp);
    const seconds = missing >= 0 && missing <= MAX_DAMAGE_SECONDS ? missing : this.recentDamage.seconds;
    this.putSilence(seconds);
    this.clock.advance(seconds);
    this.clock.countFrom(stamp);
    this.decodedSeconds += seconds;
    this.damage.parts += this.recentDamage.parts;
    this.damage.seconds += seconds;
    this.recentDamage = { parts: 0, seconds: 0 };
  }

  private countDamage(seconds: number): void {
    this.recentDamage.parts++;
    if (seconds > 0 && seconds <= MAX_PACKET_SECONDS) this.recentDamage.seconds += seconds;
  }

  /** At the end: says what was wrong. */
  private async judge(): Promise<void> {
    const { damage, recentDamage, mp3Tag } = this;
    // A tag behind the last frame looks like a damaged frame or two: no loss.
    if (recentDamage.parts > 2 || recentDamage.seconds > 0.1) {
      damage.parts += recentDamage.parts;
      damage.seconds += recentDamage.seconds;
    }
    if (damage.parts > 0) {
      const parts = damage.parts === 1 ? "1 damaged part" : `${damage.parts} damaged parts`;
      this.warnings.add(`${parts} could not be decoded: silence (${formatSeconds(damage.seconds)}) stands there`);
    }
    const announced = this.knowsItsLength ? this.streamSeconds : 0;
    // Encoders pad their ends, and headers round: a frame or two are no loss.
    if (this.decodedSeconds < announced - Math.max(0.25, announced * 0.002)) {
      const [has, wants] = [formatSeconds(this.decodedSeconds), formatSeconds(announced)];
      this.warnings.add(`The file is cut short: it announces ${wants} of audio, ${has} could be read`);
    }
    if (this.warnings.texts.length === 0 && mp3Tag?.music && !(await musicIsIntact(this.path, mp3Tag.music))) {
      this.warnings.add("The checksum does not match: the file is damaged, or was changed after it was made");
    }
  }

  /** The length is in the header, or exact by its nature, and not guessed from the bit rate. */
  private get knowsItsLength(): boolean {
    if (this.formatName === "mp3") return this.mp3Tag?.countsFrames === true;
    return /^(flac|mov|matroska|aiff|caf|asf|avi|w64|wav|ape|tta|wv|au)(,|$)/.test(this.formatName);
  }

  private check(result: number, reason: string): void {
    if (result >= 0) return;
    throw new AvDecodeError(`${reason} (${this.av.FFmpegError.strerror(result)})`);
  }
}
