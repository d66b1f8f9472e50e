/**
 * What the compiler says to a program that uses the built package, under the strictest settings: good code compiles without a cast, and a
 * mistake gets one short error that names the property.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

const HEAD = `import { WhisperForConditionalGeneration, WhisperPipeline, WhisperProcessor, writeTranscript } from "sotto";
import type { Tensor, Transcript, TranscribeOptions } from "sotto";
declare const pipeline: WhisperPipeline;
declare const model: WhisperForConditionalGeneration;
declare const features: Tensor;
declare const transcript: Transcript;
export {};
`;

const GOOD: Readonly<Record<string, string>> = {
  "a result narrows by its error": `
    for await (const result of pipeline.transcribeMany(["a.wav"])) {
      if (result.error) console.error(result.index, result.error.message);
      else console.log(result.transcript.text);
    }`,
  "a result narrows by its transcript": `
    for await (const result of pipeline.transcribeMany(["a.wav"])) {
      if (result.transcript) console.log(result.transcript.text);
      else console.error(result.error.message);
    }`,
  "a result narrows when it is taken apart": `
    for await (const { index, transcript, error } of pipeline.transcribeMany(["a.wav"], { language: "de" })) {
      if (error !== undefined) throw error;
      console.log(index, transcript.text);
    }`,
  "the sequential algorithm follows from its options": `
    const { text }: Transcript = await pipeline.transcribe("a.wav", { beamSize: 5, initialPrompt: "x" });
    console.log(text);`,
  "names of other systems": `
    await pipeline.transcribe("a.wav", { numBeams: 5, maxNewTokens: 100, returnTimestamps: "word" });
    await pipeline.transcribe("a.wav", { chunkLengthS: 20, strideLengthS: [2, 2], sampleLen: 100 });
    await model.generate(features, { maxNewTokens: 100, numBeams: 2 });`,
  "parameters of callbacks have types": `
    await pipeline.transcribe("a.wav", { onSegment: (segment) => segment.text.trim(), onProgress: (p) => p.processedSeconds + 1 });
    pipeline.transcribeMany(["a.wav"], { beamSize: 2, onSegment: (segment, i) => segment.text.repeat(i) });`,
  "options that may be undefined": `
    const language = Math.random() > 1 ? "de" : undefined;
    const options: TranscribeOptions = { language, batchSize: undefined, beamSize: undefined };
    await pipeline.transcribe("a.wav", options);
    await WhisperPipeline.fromPretrained("nano", { device: "cpu", threads: undefined, batchSize: undefined });`,
  "options in a variable": `
    const options = { algorithm: "sequential", temperature: [0, 0.2], wordTimestamps: true } as const;
    await pipeline.transcribe("a.wav", options);
    console.log(writeTranscript(await pipeline.transcribe("a.wav"), "srt", { maxLineWidth: 40, maxLineCount: 2 }));`,
};

/** The error's beginning, and a word of the code at which it stands. */
const BAD: readonly (readonly [code: string, error: RegExp])[] = [
  [
    `await pipeline.transcribe("a.wav", { lanuage: "de" });`,
    /'lanuage' does not exist in type 'TranscribeOptions'.*'language'/,
  ],
  [
    `pipeline.transcribeMany(["a.wav"], { beamsize: 5 });`,
    /'beamsize' does not exist in type 'TranscribeManyOptions'.*'beamSize'/,
  ],
  [`pipeline.segments("a.wav", { wordTimestamp: true });`, /'wordTimestamp' does not exist.*'wordTimestamps'/],
  [
    `await model.generate(features, { maxNewToken: 5 });`,
    /'maxNewToken' does not exist in type 'GenerateOptions'.*'maxNewTokens'/,
  ],
  [
    `await WhisperPipeline.fromPretrained("nano", { batchsize: 5 });`,
    /'batchsize' does not exist in type 'PipelineOptions'/,
  ],
  [`writeTranscript(transcript, "srt", { maxLineWith: 5 });`, /'maxLineWith' does not exist in type 'WriteOptions'/],
  [`await pipeline.transcribe("a.wav", { language: 5 });`, /^Type 'number' is not assignable to type 'string'/],
  [
    `await pipeline.transcribe("a.wav", { returnTimestamps: "yes" });`,
    /^Type '"yes"' is not assignable to type 'boolean \| "word"/,
  ],
  [`await pipeline.transcribe("a.wav", { beamSize: "5" });`, /^Type 'string' is not assignable to type 'number'/],
  [
    `await pipeline.transcribe("a.wav", { beamSize: 5, chunkLength: 20 });`,
    /^Type 'number' is not assignable to type 'undefined'/,
  ],
  [
    `await pipeline.transcribe("a.wav", { algorithm: "chunked", beamSize: 5 });`,
    /^Type 'number' is not assignable to type 'undefined'/,
  ],
  [`await pipeline.transcribe(["a.wav"]);`, /is not assignable to type/],
  [`writeTranscript(transcript, "doc");`, /^Argument of type '"doc"' is not assignable/],
  [
    `for await (const result of pipeline.transcribeMany(["a.wav"])) console.log(result.transcript.text);`,
    /^'result.transcript' is possibly 'undefined'/,
  ],
];

/** The errors of each snippet, as a module of a program that uses the package. */
function compile(snippets: readonly string[]): string[][] {
  const names = snippets.map((_, i) => join(root, `snippet-${i}.mts`));
  const files = new Map(names.map((name, i) => [name, HEAD + snippets[i]]));
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ["node"],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, version, ...rest) => {
    const text = files.get(name);
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version);
  };
  host.getCurrentDirectory = () => root;
  const program = ts.createProgram(names, options, host);
  return names.map((name) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
  );
}

describe("a program that uses the package", () => {
  const good = Object.entries(GOOD);
  let errors: string[][] | null = null;
  beforeAll(() => {
    if (!existsSync(join(root, "dist/index.d.ts"))) return;
    errors = compile([...good.map(([, code]) => code), ...BAD.map(([code]) => code)]);
  });

  it.for(good.map(([what], i) => [what, i] as const))("compiles: %s", ([, i], context) => {
    if (errors === null) return context.skip("the package is not built");
    expect(errors[i]).toEqual([]);
  });

  it.for(BAD.map(([code, error], i) => [code, error, i] as const))("gets one error for %s", ([, error, i], context) => {
    if (errors === null) return context.skip("the package is not built");
    const found = errors[good.length + i];
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(error);
    expect(found[0].length).toBeLessThan(200);
  });
});
