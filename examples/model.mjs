// Uses processor and model directly, without the pipeline, on one window of audio: as with Hugging Face's classes.
//
//   node examples/model.mjs talk.mp3 [MODEL]
//   node examples/model.mjs samples/de-short.flac nano

import { WhisperForConditionalGeneration, WhisperProcessor } from "sotto";
import { loadAudio } from "sotto/audio";

const [file, id] = process.argv.slice(2);

const processor = await WhisperProcessor.fromPretrained(id);
const model = await WhisperForConditionalGeneration.fromPretrained(id, { dtype: "float32" });

const { inputFeatures } = await processor(await loadAudio(file), { samplingRate: 16000 });
const [{ language }] = await model.detectLanguage(inputFeatures);
const { sequences } = await model.generate(inputFeatures, { task: "transcribe", language });

console.log(language);
console.log(processor.batchDecode(sequences, { skipSpecialTokens: true })[0]);
await model.dispose();
