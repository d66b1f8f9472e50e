/**
 * The bundled model on the samples, against what openai/whisper makes of them (test/golden/nano, written by
 * scripts/make_golden.py): features, first logits, probabilities, greedy tokens. Stage by stage, so that a failure names
 * its stage. The spectrogram has goldens of its own (features.test.ts).
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAudio } from "../../src/audio/index.ts";
import { openCheckpoint } from "../../src/checkpoint/index.ts";
import type { AudioState, Engine, Generated } from "../../src/engine/engine.ts";
import { logSumExp } from "../../src/engine/token-rules.ts";
import { logMelSpectrogram, N_FRAMES, N_SAMPLES, sliceFrames } from "../../src/features/index.ts";
import type { ParameterSource } from "../../src/model/index.ts";
import { tensor } from "../../src/tensor/index.ts";
import { LANGUAGES, Tokenizer } from "../../src/tokenizer/index.ts";
import { assertAllClose } from "../helpers/close.ts";

interface GoldenWindow {
  readonly tokens: readonly number[];
  readonly avg_logprob: number;
  readonly no_speech_prob: number;
}

interface Golden {
  /** enc[::150, ::16], rounded to 6 digits. */
  readonly encoder_output: { readonly shape: readonly number[]; readonly values: readonly number[] };
  readonly language: string;
  readonly language_probs_top5: Readonly<Record<string, number>>;
  readonly logits_after_sot_language_transcribe: {
    readonly tokens: readonly number[];
    readonly top10_of_last: readonly (readonly [token: number, logit: number])[];
    readonly no_speech_prob: number;
  };
  readonly first_window_timestamps: GoldenWindow;
  readonly first_window_text_only: GoldenWindow;
}

export interface GoldenOptions {
  /** Names of the recordings, without extension. Default all of samples/ that have a golden. */
  readonly recordings?: readonly string[];
}

/**
 * Features of deviation 1.75 are the end of some 60 operations, each rounding by 6e-8 of sums several times as large: about
 * 5e-6, which is also what was measured (6e-6 at most, over all samples). Ten times that is allowed.
 */
const FEATURES = { absolute: 5e-5 };
/** Logits are ten times as large as features and the golden has five digits: 1.3e-5 at most was measured. */
const LOGITS = { absolute: 1e-4 };
/** Probabilities and average log-probabilities, as the project promises. */
const PROBABILITIES = { absolute: 1e-3 };

const root = new URL("../../", import.meta.url);
const AUDIO = /\.(wav|flac|mp3)$/;

/** Recordings of samples/ that have a golden, by name: path of the recording. */
export function goldenRecordings(): Map<string, string> {
  const goldens = new Set(readdirSync(new URL("test/golden/nano/", root)));
  const recordings = new Map<string, string>();
  for (const file of readdirSync(new URL("samples/", root)).sort()) {
    const name = file.replace(AUDIO, "");
    if (name !== file && goldens.has(`${name}.json`)) {
      recordings.set(name, fileURLToPath(new URL(`samples/${file}`, root)));
    }
  }
  return recordings;
}

/**
 * Declares the goldens for a float32 engine.
 *
 * @param name of the engine, for the list of tests
 * @param open makes the engine of the bundled model
 */
export function engineGolden(
  name: string,
  open: (source: ParameterSource) => Promise<Engine>,
  { recordings = [...goldenRecordings().keys()] }: GoldenOptions = {},
): void {
  describe(`engine goldens: ${name}`, () => {
    let engine: Engine;
    let tokenizer: Tokenizer;

    beforeAll(async () => {
      const checkpoint = await openCheckpoint(fileURLToPath(new URL("models/nano", root)));
      engine = await open(checkpoint);
      tokenizer = Tokenizer.fromFiles(await checkpoint.tokenizerFiles(), checkpoint.dimensions.nVocab);
    });
    afterAll(async () => engine?.dispose());

    describe.each(recordings)("%s", (recording) => {
      const golden = JSON.parse(readFileSync(new URL(`test/golden/nano/${recording}.json`, root), "utf8")) as Golden;
      let audio: AudioState;

      beforeAll(async () => {
        const { nMels } = engine.dimensions;
        const samples = await loadAudio(goldenRecordings().get(recording)!);
        const mel = sliceFrames(logMelSpectrogram(samples, nMels, { padding: N_SAMPLES }), 0, N_FRAMES);
        audio = await engine.encode(tensor(mel.data, [1, nMels, N_FRAMES]), { keepFeatures: true });
      });
      afterAll(() => audio?.dispose());

      it("encode() gives openai/whisper's features", () => {
        const [nAudioCtx, nAudioState] = golden.encoder_output.shape;
        const { data, dims } = audio.features!;
        expect(dims).toEqual([1, nAudioCtx, nAudioState]);
        const sampled: number[] = [];
        for (let t = 0; t < nAudioCtx; t += 150) {
          for (let i = 0; i < nAudioState; i += 16) sampled.push(data[t * nAudioState + i]);
        }
        assertAllClose(sampled, golden.encoder_output.values, FEATURES, "features");
      });

      it("startDecoder() gives its logits and its no-speech probability", async () => {
        const { tokens, top10_of_last: top10, no_speech_prob } = golden.logits_after_sot_language_transcribe;
        const { nVocab } = engine.dimensions;
        const { state, logits } = await engine.startDecoder(audio, [{ window: 0, prompt: tokens }], [0, 2]);
        state.dispose();
        const [atSot, last] = [logits.subarray(0, nVocab), logits.subarray(nVocab)];
        const found = top10.map(([token]) => last[token]);
        const expected = top10.map(([, logit]) => logit);
        assertAllClose(found, expected, LOGITS, "logits");
        expect(Math.max(...last)).toBe(found[0]);
        assertAllClose([Math.exp(atSot[tokenizer.special.noSpeech] - logSumExp(atSot))], [no_speech_prob], PROBABILITIES);
      });

      it("startDecoder() finds its language", async () => {
        const { sot, languages } = tokenizer.special;
        const { state, logits } = await engine.startDecoder(audio, [{ window: 0, prompt: [sot] }]);
        state.dispose();
        const ids = [...languages.values()];
        expect(ids).toHaveLength(99);
        expect([...languages.keys()].every((code) => LANGUAGES.has(code))).toBe(true);
        const total = logSumExp(Float32Array.from(ids, (id) => logits[id]));
        const probabilities = new Map([...languages].map(([code, id]) => [code, Math.exp(logits[id] - total)]));
        const [best] = [...probabilities].sort((a, b) => b[1] - a[1])[0];
        expect(best).toBe(golden.language);
        const codes = Object.keys(golden.language_probs_top5);
        const found = codes.map((code) => probabilities.get(code)!);
        assertAllClose(found, Object.values(golden.language_probs_top5), PROBABILITIES, "language probabilities");
      });

      it("generate() gives its tokens, with timestamps and without", async () => {
        const [timed, plain] = await generateBoth(engine, audio, tokenizer, golden.language);
        expectGolden(timed, golden.first_window_timestamps);
        expectGolden(plain, golden.first_window_text_only);
      });
    });
  });
}

/** Greedy decoding as openai/whisper's DecodingOptions default to (facts 2.4.1, 2.4.5, 2.4.6), with timestamps and without. */
function generateBoth(engine: Engine, audio: AudioState, tokenizer: Tokenizer, language: string): Promise<Generated[]> {
  const { special } = tokenizer;
  const { eot, sot, translate, transcribe, sotLm, sotPrev, noSpeech, noTimestamps, timestampBegin } = special;
  const requests = [true, false].map((timestamps) => ({
    window: 0,
    prompt: tokenizer.sotSequence({ language, task: "transcribe", timestamps }),
    sotIndex: 0,
    noSpeech,
    rules: {
      eot,
      timestampBegin,
      suppress: [...tokenizer.nonSpeechTokens, transcribe, translate, sot, sotPrev, sotLm, noSpeech],
      suppressAtBegin: [...tokenizer.encode(" "), eot],
      timestamps: timestamps ? { noTimestamps, maxInitialTimestampIndex: 50 } : null,
    },
    maxNewTokens: 224,
  }));
  return engine.generate(audio, requests);
}

function expectGolden({ tokens, tokenLogprobs, noSpeechProb }: Generated, golden: GoldenWindow): void {
  expect([...tokens]).toEqual(golden.tokens);
  const sum = tokenLogprobs.reduce((a, b) => a + b, 0);
  const found = [sum / (tokens.length + 1), noSpeechProb]; // facts 2.4.8: endoftext counts
  assertAllClose(found, [golden.avg_logprob, golden.no_speech_prob], PROBABILITIES, "avgLogprob and noSpeechProb");
}
