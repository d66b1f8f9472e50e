import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { InputError, OptionError, UnsupportedAudioError } from "../errors.ts";
import type { AudioInput, LoadAudioOptions } from "./audio-input.ts";
import { DecodeFailure, DecoderUnavailable } from "./decoder.ts";
import { loadAudio, openAudio, openAudioWith } from "./open-audio.ts";
import { concatenate } from "./resample.ts";
import { encodeWav } from "./wav.ts";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/audio/", import.meta.url));
const fixture = (name: string) => join(FIXTURES, name);
const RAMP = Float32Array.from({ length: 20000 }, (_, i) => (i - 10000) / 16384);
const RAMP_WAV = encodeWav(RAMP, 16000, "f32");

/** Of the test's own files, and of the temporary copies, by TMPDIR. */
let folder = "";
let copies = "";
const outerTmp = process.env.TMPDIR;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "audio-test-"));
  copies = await mkdtemp(join(folder, "tmp-"));
  process.env.TMPDIR = process.env.TEMP = copies;
});
afterAll(async () => {
  if (outerTmp === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = outerTmp;
  await rm(folder, { recursive: true });
});

async function file(name: string, content: Uint8Array | string): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

/** Reads all, with the warnings. */
async function read(input: AudioInput, options = {}) {
  const stream = await openAudio(input, options);
  const pieces: Float32Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return { samples: concatenate(pieces), pieces, stream, warnings: [...stream.warnings] };
}

/** Amplitude of a 440 Hz tone in the middle half, and the level of everything else against it in dB. */
function hear440(samples: Float32Array): { amplitude: number; restDb: number } {
  const middle = samples.subarray(samples.length >> 2, (samples.length * 3) >> 2);
  let [sine, cosine, power] = [0, 0, 0];
  // Whole periods of 440 Hz are 400 samples.
  const length = middle.length - (middle.length % 400);
  for (let i = 0; i < length; i++) {
    sine += middle[i] * Math.sin((2 * Math.PI * 440 * i) / 16000);
    cosine += middle[i] * Math.cos((2 * Math.PI * 440 * i) / 16000);
    power += middle[i] ** 2;
  }
  const amplitude = (2 * Math.hypot(sine, cosine)) / length;
  const rest = Math.max(power / length - amplitude ** 2 / 2, 1e-12);
  return { amplitude, restDb: 10 * Math.log10(rest / (amplitude ** 2 / 2)) };
}

function leftovers(): Promise<string[]> {
  return readdir(copies);
}

async function* chunks<T>(...values: T[]): AsyncGenerator<T> {
  for (const value of values) {
    await Promise.resolve();
    yield value;
  }
}

function readable<T>(...values: T[]): ReadableStream<T> {
  return new ReadableStream({
    start(controller) {
      for (const value of values) controller.enqueue(value);
      controller.close();
    },
  });
}

const FORMATS = [
  "mp3",
  "m4a",
  "aac",
  "flac",
  "ogg",
  "opus",
  "webm",
  "mp4",
  "mkv",
  "wma",
  "avi",
  "aiff",
  "caf",
  "w64",
  "au",
];

describe("openAudio() with a file", () => {
  it.each(FORMATS)("decodes tone.%s", async (extension) => {
    const { samples, stream, warnings } = await read(fixture(`tone.${extension}`));
    // Codecs without gapless data keep their padding: up to two frames of 1024 samples at 44.1 kHz.
    expect(Math.abs(samples.length - 16000)).toBeLessThan(800);
    expect(stream.durationHint).toBeGreaterThan(0.95);
    expect(stream.durationHint).toBeLessThan(1.05);
    const { amplitude, restDb } = hear440(samples);
    // What the codecs themselves do to a pure tone at their low bit rates; ffmpeg's own decoding is within -91 dB of ours.
    expect(Math.abs(amplitude - 0.5)).toBeLessThan(0.03);
    expect(restDb).toBeLessThan(-18);
    expect(warnings).toEqual([]);
  });

  it("hears the same in FLAC and in WAV, to the bit", async () => {
    const samples = await loadAudio(fixture("tone.flac"));
    const wanted = Float32Array.from({ length: 16000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 16000));
    expect(samples).toHaveLength(16000);
    // Made at 44.1 kHz and brought to 16 kHz and 16 bits by another program: its rounding, and its ripple in the middle.
    expect(Math.max(...samples.subarray(800, 15200).map((v, i) => Math.abs(v - wanted[i + 800])))).toBeLessThan(2e-4);
    const again = await loadAudio(encodeWav(samples, 16000));
    expect(again).toEqual(samples);
  });

  it("gives the codec of a WAV that is none of ours to the decoder", async () => {
    const { samples } = await read(fixture("wav-adpcm.wav"));
    expect(samples.length).toBeGreaterThan(3900);
    expect(hear440(samples).restDb).toBeLessThan(-25); // 4 bits a sample
  });

  it.each([
    ["tone.flac", "speech.mp3"],
    ["tone.m4a", "speech.wav"],
    ["tone.ogg", "speech"],
    ["tone.mp3", "speech.flac"],
    ["wav-s16le.wav", "speech.m4a"],
  ])("does not mind %s being named %s", async (source, name) => {
    const path = await file(name, await readFile(fixture(source)));
    expect(await loadAudio(path)).toEqual(await loadAudio(fixture(source)));
  });

  it("opens names that look like protocols, options and patterns", async () => {
    for (const name of ["-i concat:x.flac", "100%d.flac", "ünï cödé 音.flac"]) {
      const path = await file(name, await readFile(fixture("tone.flac")));
      expect(await loadAudio(path)).toHaveLength(16000);
    }
  });

  it("decodes several files at the same time", async () => {
    const names = ["tone.mp3", "tone.flac", "tone.ogg", "tone.opus", "tone.mp3"];
    const one: Float32Array[] = [];
    for (const name of names) one.push(await loadAudio(fixture(name)));
    expect(await Promise.all(names.map((name) => loadAudio(fixture(name))))).toEqual(one);
  });
});

describe("openAudio() and openai/whisper", () => {
  const samples = fileURLToPath(new URL("../../samples/", import.meta.url));
  const golden = fileURLToPath(new URL("../../test/golden/nano/", import.meta.url));
  it.each(["en-short", "de-short", "es-medium", "noise", "silence"])("hear the same samples of %s", async (stem) => {
    const { samples: wanted } = JSON.parse(await readFile(join(golden, `${stem}.json`), "utf8")) as {
      samples: { count: number; at_every: number; values: number[] };
    };
    const found = await loadAudio(join(samples, stem === "en-short" ? `${stem}.wav` : `${stem}.flac`));
    expect(found).toHaveLength(wanted.count);
    // The golden values are written with six decimals.
    wanted.values.forEach((value, i) => expect(Math.abs(found[i * wanted.at_every] - value)).toBeLessThan(5.1e-7));
  });
});

describe("openAudio() with damaged files", () => {
  it.each([
    ["truncated.mp3", 17000, "cut short"],
    ["truncated.flac", 12000, "cut short"],
    ["truncated.m4a", 15000, "cut short"],
    ["garbled.mp3", 27000, "damaged part"],
    ["garbled.flac", 32000, "damaged part"],
    ["garbled.m4a", 32000, "damaged part"],
    ["flipped.mp3", 32000, "checksum does not match"],
    ["flipped.flac", 32000, "damaged part"],
    ["flipped.m4a", 32000, "damaged part"],
  ])("saves what it can of %s, and says so", async (name, atLeast, warning) => {
    const { samples, warnings } = await read(fixture(name));
    expect(samples.length).toBeGreaterThanOrEqual(atLeast);
    expect(samples.length).toBeLessThanOrEqual(32000);
    expect(samples.every((value) => Number.isFinite(value))).toBe(true);
    expect(warnings.join("\n")).toContain(warning);
  });

  it("puts silence in place of damaged FLAC frames, and keeps the time of what follows", async () => {
    const { samples } = await read(fixture("garbled.flac"));
    const { amplitude } = hear440(samples.subarray(20000));
    expect(amplitude).toBeCloseTo(0.4, 2);
    // The tone began at phase 0: at the end, sample n still is sin(2 pi 440 n / 16000).
    for (const n of [28000, 30000, 31500]) {
      expect(samples[n]).toBeCloseTo(0.4 * Math.sin((2 * Math.PI * 440 * n) / 16000), 2);
    }
    expect(Math.max(...samples.map(Math.abs))).toBeLessThan(0.5);
  });
});

describe("openAudio() refuses", () => {
  const cases: readonly (readonly [
    string,
    () => Promise<AudioInput> | AudioInput,
    new (...args: never[]) => Error,
    string,
    LoadAudioOptions?,
  ])[] = [
    ["a missing file", () => join(folder, "nothing.mp3"), InputError, "no such file"],
    ["a folder", () => folder, InputError, "it is a folder"],
    ["an empty file", () => file("empty.mp3", ""), UnsupportedAudioError, "it is empty (0 bytes)"],
    ["text renamed to .mp3", () => file("text.mp3", "To be, or not to be.\n"), UnsupportedAudioError, "it is text"],
    ["text renamed to .wav", () => file("text.wav", "RIFF, WAVE and other words"), UnsupportedAudioError, "it is text"],
    ["a playlist", () => file("list.mp3", "#EXTM3U\nfile:///etc/passwd\n"), UnsupportedAudioError, "it is text"],
    ["a picture", () => file("a.wav", Buffer.from("89504e470d0a1a0a", "hex")), UnsupportedAudioError, "a PNG image"],
    ["random bytes", () => file("random.mp3", noise(50_000)), UnsupportedAudioError, "Cannot read"],
    ["a film without sound", () => fixture("silent-film.mp4"), UnsupportedAudioError, "no audio stream"],
    ["an m4a without its index", () => fixture("truncated-index-last.m4a"), UnsupportedAudioError, "index is missing"],
    [
      "a WAV that ends in its header",
      () => file("a.wav", RAMP_WAV.subarray(0, 30)),
      UnsupportedAudioError,
      "WAV header",
    ],
    ["an empty path", () => "", InputError, "the path is empty"],
    ["a path with a zero byte", () => "a\0b.wav", InputError, "zero byte"],
    ["an ftp URL", () => "ftp://example.com/a.mp3", InputError, "only http, https and file"],
    ["an ftp URL object", () => new URL("ftp://example.com/a.mp3"), InputError, 'protocol is "ftp:"'],
    ["a data URL", () => new URL("data:audio/wav;base64,AAAA"), InputError, 'protocol is "data:"'],
    ["a broken URL", () => "http://exa mple.com/", InputError, "no valid URL"],
    ["empty bytes", () => new Uint8Array(0), UnsupportedAudioError, "it is empty"],
    ["an empty Blob", () => new Blob([]), UnsupportedAudioError, "it is empty"],
    ["an empty File", () => new File([], "talk.mp3"), UnsupportedAudioError, '"talk.mp3": it is empty'],
    ["null", () => null as never, TypeError, "of type null"],
    ["a number", () => 42 as never, TypeError, "of type number"],
    ["a plain array", () => [0.1, 0.2] as never, TypeError, "Float32Array.from"],
    ["16-bit samples", () => new Int16Array(3) as never, TypeError, "32768"],
    ["a Float64Array alone", () => new Float64Array(3) as never, TypeError, "of type Float64Array"],
    ["an empty object", () => ({}) as never, TypeError, "of type Object"],
    ["samples without a rate", () => ({ array: RAMP }) as never, TypeError, "expected array and samplingRate"],
    [
      "Python's spelling",
      () => ({ array: RAMP, sampling_rate: 16000 }) as never,
      TypeError,
      "expected array and samplingRate",
    ],
    [
      "a plain array with a rate",
      () => ({ array: [1], samplingRate: 16000 }) as never,
      TypeError,
      "array is of type Array",
    ],
    ["a rate of 0", () => ({ array: RAMP, samplingRate: 0 }), OptionError, 'samplingRate of "0" Hz'],
    ["a rate of 10 MHz", () => ({ array: RAMP, samplingRate: 1e7 }), OptionError, "1000 to 768000"],
    ["a rate in words", () => ({ array: RAMP, samplingRate: "16000" as never }), TypeError, "of type string"],
    [
      "a stride that is too large",
      () => ({ array: RAMP, samplingRate: 16000, stride: [10001, 10000] }),
      OptionError,
      "too large",
    ],
    ["a negative stride", () => ({ array: RAMP, samplingRate: 16000, stride: [-1, 0] }), OptionError, "at least 0"],
    [
      "a second track of samples",
      () => RAMP,
      UnsupportedAudioError,
      "it has 1 audio track, there is no track 2",
      { audioTrack: 2 },
    ],
    ["a second track of WAV", () => RAMP_WAV, UnsupportedAudioError, "there is no track 2", { audioTrack: 2 }],
    [
      "a track 0",
      () => RAMP,
      OptionError,
      "Cannot use 0 as audioTrack, expected a whole number, 1 or more",
      { audioTrack: 0 },
    ],
    [
      "one number of stride",
      () => ({ array: RAMP, samplingRate: 16000, stride: [1] as never }),
      OptionError,
      "[left, right]",
    ],
    ["a stream of strings", () => chunks("a", "b") as never, TypeError, "string"],
  ];

  for (const [what, make, kind, message, options] of cases) {
    it(what, async () => {
      const input = await make();
      const error: unknown = await loadAudio(input, options).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(kind);
      expect((error as Error).message).toContain(message);
      expect(await leftovers()).toEqual([]);
    });
  }

  it("an unknown option, listing those that exist", async () => {
    await expect(openAudio(RAMP, { timeout: 3 } as never)).rejects.toThrow(
      "expected one of signal, allowPrivateAddresses",
    );
  });

  it("a stream whose pieces change from samples to bytes", async () => {
    await expect(loadAudio(chunks<unknown>(RAMP, new Uint8Array(4)) as never)).rejects.toThrow(
      "a piece is of type Uint8Array",
    );
  });

  it("more audio than maxSeconds", async () => {
    await expect(loadAudio(fixture("tone.mp3"), { maxSeconds: 0.5 })).rejects.toThrow(
      "longer than the ceiling of 0.5 s",
    );
    await expect(loadAudio(RAMP, { maxSeconds: 1 })).rejects.toThrow(InputError);
    expect(await loadAudio(RAMP, { maxSeconds: 1.25 })).toHaveLength(20000);
  });

  it("a longer stream than maxBytes, and leaves no copy", async () => {
    const bytes = await readFile(fixture("tone.flac"));
    const input = () => chunks(bytes.subarray(0, 9000), bytes.subarray(9000));
    await expect(loadAudio(input(), { maxBytes: 10_000 })).rejects.toThrow("longer than the ceiling of 10000 bytes");
    expect(await loadAudio(input(), { maxBytes: bytes.length })).toHaveLength(16000);
    expect(await leftovers()).toEqual([]);
  });
});

function noise(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) & 255);
}

describe("openAudio() takes", () => {
  const source = "tone.flac";
  const encoded = async () => new Uint8Array(await readFile(fixture(source)));
  const inputs: readonly (readonly [string, () => Promise<AudioInput> | AudioInput])[] = [
    ["a file: URL", () => pathToFileURL(fixture(source))],
    ["a file: URL as a string", () => pathToFileURL(fixture(source)).href],
    ["a Buffer", () => readFile(fixture(source))],
    ["a Uint8Array", encoded],
    ["an ArrayBuffer", async () => (await encoded()).buffer as ArrayBuffer],
    ["a Blob", async () => new Blob([await encoded()])],
    ["a File", async () => new File([await encoded()], "talk.flac")],
    ["a ReadableStream", async () => new Blob([await encoded()]).stream()],
    [
      "an async iterable of odd pieces",
      async () => chunks((await encoded()).subarray(0, 1), new Uint8Array(0), (await encoded()).subarray(1)),
    ],
  ];

  it.each(inputs)("%s", async (_, make) => {
    expect(await loadAudio(await make())).toEqual(await loadAudio(fixture(source)));
    expect(await leftovers()).toEqual([]);
  });

  it("a stream of WAV without a copy on disk", async () => {
    const stream = await openAudio(chunks(RAMP_WAV.subarray(0, 5), RAMP_WAV.subarray(5)));
    expect(await leftovers()).toEqual([]);
    const pieces: Float32Array[] = [];
    for await (const piece of stream) pieces.push(piece);
    expect(concatenate(pieces)).toEqual(RAMP);
  });

  it.each([
    ["a Float32Array", () => RAMP],
    ["samples at 16 kHz", () => ({ array: RAMP, samplingRate: 16000 })],
    ["a Float64Array with its rate", () => ({ array: Float64Array.from(RAMP), samplingRate: 16000 })],
    ["an iterable of samples", () => chunks(RAMP.subarray(0, 3), RAMP.subarray(3, 3), RAMP.subarray(3))],
    ["a ReadableStream of samples", () => readable(RAMP.subarray(0, 9999), RAMP.subarray(9999))],
  ] as [string, () => AudioInput][])("%s", async (_, make) => expect(await loadAudio(make())).toEqual(RAMP));

  it("samples at another rate, and their stride at 16 kHz, rounded half to even", async () => {
    const array = Float32Array.from({ length: 48000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 48000));
    const stream = await openAudio({ array, samplingRate: 48000, stride: [4800, 4] });
    expect(stream.stride).toEqual([1600, 1]);
    expect(stream.durationHint).toBe(1);
    expect(hear440(await loadAudio({ array, samplingRate: 48000 })).amplitude).toBeCloseTo(0.5, 4);
    expect((await openAudio({ array, samplingRate: 32000, stride: [1, 3] })).stride).toEqual([0, 2]); // 0.5, 1.5
    expect((await openAudio(array)).stride).toBeNull();
  });

  it("no samples at all: an empty recording is no error", async () => {
    expect(await loadAudio(new Float32Array(0))).toHaveLength(0);
    expect(await loadAudio(chunks<Float32Array>())).toHaveLength(0);
    expect(await loadAudio(encodeWav(new Float32Array(0), 44100))).toHaveLength(0);
    expect(await loadAudio({ array: new Float32Array(0), samplingRate: 8000, stride: [0, 0] })).toHaveLength(0);
  });

  it("one sample, and 0.01 s", async () => {
    expect(await loadAudio(encodeWav(Float32Array.of(0.5), 16000))).toEqual(Float32Array.of(0.5));
    expect(await loadAudio(encodeWav(new Float32Array(441), 44100))).toHaveLength(160);
  });

  it("a WAV of 50 channels", async () => {
    const channels = Array.from({ length: 50 }, (_, i) => RAMP.map((value) => (i % 2 === 0 ? value : 0)));
    const samples = await loadAudio(encodeWav(channels, 16000, "f32"));
    expect(Math.max(...samples.map((value, i) => Math.abs(value - RAMP[i] / 2)))).toBeLessThan(1e-7);
  });

  it("NaN and infinity as silence, with one warning, and does not touch the caller's array", async () => {
    const broken = RAMP.map((value, i) => (i % 100 === 0 ? NaN : i % 100 === 1 ? -Infinity : value));
    for (const input of [
      broken,
      { array: broken, samplingRate: 16000 },
      chunks(broken),
      encodeWav(broken, 16000, "f32"),
    ]) {
      const { samples, warnings } = await read(input);
      expect(samples).toEqual(RAMP.map((value, i) => (i % 100 < 2 ? 0 : value)));
      expect(warnings).toEqual(["400 samples were NaN, infinite or absurdly loud: replaced by 0"]);
    }
    expect(broken[0]).toBeNaN();
    const { samples } = await read({ array: broken, samplingRate: 44100 });
    expect(samples.every((value) => Number.isFinite(value))).toBe(true);
  });

  it("any input in pieces of 1 to 30 s", async () => {
    const long = new Float32Array(16000 * 95 + 7);
    const inputs: AudioInput[] = [
      long,
      encodeWav(long, 16000),
      { array: long, samplingRate: 48000 },
      chunks(...Array.from({ length: 3000 }, () => new Float32Array(511))),
    ];
    for (const input of inputs) {
      const { pieces } = await read(input);
      for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeGreaterThanOrEqual(16000);
      for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(480000);
    }
  });

  it("names by path, File or nothing", async () => {
    expect((await openAudio(fixture("wav-u8.wav"))).name).toBe(fixture("wav-u8.wav"));
    expect((await openAudio(new File([RAMP_WAV.slice()], "talk.wav"))).name).toBe("talk.wav");
    expect((await openAudio(RAMP_WAV)).name).toBe("audio");
  });
});

describe("openAudio() and early ends", () => {
  it("throws the signal's reason before, while and after opening", async () => {
    await expect(openAudio(fixture("tone.mp3"), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: "AbortError",
    });
    const bytes = await readFile(fixture("tone.flac"));
    const long = encodeWav(new Float32Array(16000 * 200), 44100);
    const inputs: AudioInput[] = [fixture("garbled.mp3"), bytes, long, new Float32Array(16000 * 200), chunks(bytes)];
    for (const input of inputs) {
      const controller = new AbortController();
      const stream = await openAudio(input, { signal: controller.signal });
      controller.abort();
      const reading = (async () => {
        for await (const piece of stream) expect(piece).toBeUndefined();
      })();
      await expect(reading).rejects.toMatchObject({ name: "AbortError" });
      await stream.close();
    }
    expect(await leftovers()).toEqual([]);
  });

  it("ends the wait for a stream that never speaks", async () => {
    for (const first of [[], [new Uint8Array(await readFile(fixture("tone.flac")))]]) {
      const controller = new AbortController();
      const silent = (async function* () {
        yield* first;
        setImmediate(() => controller.abort(new Error("enough")));
        await new Promise(() => undefined);
      })();
      await expect(openAudio(silent, { signal: controller.signal })).rejects.toThrow("enough");
    }
    expect(await leftovers()).toEqual([]);
  });

  it("removes its copy when the reader leaves", async () => {
    const stream = await openAudio(await readFile(fixture("tone.mp3")));
    expect(await leftovers()).toHaveLength(1);
    for await (const piece of stream) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(await leftovers()).toEqual([]);
  });

  it("removes its copy when it is closed unread, twice if need be", async () => {
    const stream = await openAudio(await readFile(fixture("tone.mp3")));
    await stream.close();
    await stream.close();
    expect(await leftovers()).toEqual([]);
  });

  it("cancels the caller's stream when the reader leaves", async () => {
    let returned = 0;
    const endless = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false as const, value: new Float32Array(16000) }),
        return: () => {
          returned++;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };
    for await (const piece of await openAudio(endless)) {
      expect(piece).toHaveLength(16000);
      break;
    }
    expect(returned).toBe(1);
  });

  it("is read once", async () => {
    const stream = await openAudio(RAMP);
    for await (const piece of stream) expect(piece.length).toBeGreaterThan(0);
    expect(() => stream[Symbol.asyncIterator]()).toThrow("twice");
  });
});

describe("openAudioWith() decoders", () => {
  const missing = () => Promise.reject(new DecoderUnavailable("not installed"));
  const failing = () => Promise.reject(new DecodeFailure("it is broken"));
  const working = () =>
    Promise.resolve({ durationSeconds: 1.25, pieces: () => chunks(RAMP), close: () => Promise.resolve() });

  it("says what to install when there is none", async () => {
    const opening = openAudioWith([missing, missing], fixture("tone.mp3"), {});
    await expect(opening).rejects.toThrow(/no decoder for other formats is installed\nHint: npm install node-av/);
    await expect(openAudioWith([missing], fixture("tone.mp3"), {})).rejects.toBeInstanceOf(UnsupportedAudioError);
  });

  it.each([
    ["missing", missing],
    ["failing", failing],
  ])("tries the second when the first is %s", async (_, first) => {
    const stream = await openAudioWith([first, working], fixture("tone.mp3"), {});
    expect(stream.durationHint).toBe(1.25);
    for await (const piece of stream) expect(piece).toEqual(RAMP);
  });

  it("reports the first failure when all fail", async () => {
    await expect(openAudioWith([failing, missing], fixture("tone.mp3"), {})).rejects.toThrow("it is broken");
  });

  it("needs none for WAV", async () => {
    const stream = await openAudioWith([], RAMP_WAV, {});
    for await (const piece of stream) expect(piece).toEqual(RAMP);
  });
});
