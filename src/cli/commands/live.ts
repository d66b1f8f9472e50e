/** `sotto live`: captions of a microphone, or of audio on standard input, as it is spoken. */
import type { Command } from "commander";
import { assertOneOf, OptionError } from "../../errors.ts";
import type { LiveContext, LiveEvent } from "../../live/index.ts";
import { assertDevice, DEVICES, DTYPES } from "../../pipeline/choices.ts";
import { TASKS, type Task } from "../../tokenizer/task.ts";
import { parseNumber, parseWhole } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import type { CliHost, CliPipeline, PipelineSettings } from "../host.ts";
import { LIVE_FORMATS, LiveDisplay, type LiveFormat } from "../live/display.ts";
import type { LiveSource } from "../live/sources.ts";
import { addModelFlag, readLanguage, readModel } from "../options.ts";
import { openReport, type Report } from "../report.ts";

/** Speech that waits to be transcribed; then no more is read, in seconds. */
const MAX_QUEUED_SECONDS = 30;

interface LiveFlags {
  readonly model: string;
  readonly modelNote: string | null;
  readonly settings: PipelineSettings;
  readonly language: string | undefined;
  readonly task: Task;
  readonly prompt: string | undefined;
  readonly format: LiveFormat;
  readonly silenceSeconds: number | undefined;
  readonly vadThreshold: number | undefined;
  readonly vadSpeechPadMs: number | undefined;
  readonly sampleRate: number;
  readonly quiet: boolean;
}

export const live: CliCommand = {
  name: "live",
  summary: "print captions of a microphone, or of audio on standard input, as it is spoken",
  configure(command: Command): void {
    addModelFlag(command);
    command
      .argument("[source]", '"-": WAV, or samples of 16 bits, on standard input; default: the microphone')
      .option("--model_dir <dir>", "folder of downloaded models (default: the Hugging Face cache)")
      .option("--offline", "use only models that are already on this machine")
      .option("--device <name>", `where it runs: ${DEVICES.join(", ")}`, "auto")
      .option("--dtype <name>", `numbers it computes with: ${DTYPES.join(", ")}`, "auto")
      .option("--threads <n>", "processor threads; 0: as many as are good", "0")
      .option("--task <name>", "transcribe, or translate into English", "transcribe")
      .option("--language <name>", "language spoken; default: detect it in each utterance")
      .option("--initial_prompt <text>", "text that the model is told before each utterance: names, jargon")
      .option("-f, --output_format <name>", `${LIVE_FORMATS.join(", ")}`, "text")
      .option("--silence <seconds>", "silence that ends an utterance; default: 1.5, after 15 s of speech 0.5")
      .option("--vad_threshold <p>", "probability from which on a voice is heard; default: 0.5")
      .option("--vad_min_silence_duration_ms <ms>", "as --silence, in milliseconds")
      .option("--vad_speech_pad_ms <ms>", "audio before the voice that belongs to an utterance; default: 1000")
      .option("--sample_rate <hz>", "of bare samples on standard input", "16000")
      .option("-q, --quiet", "say nothing but errors on stderr");
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const [source, ...more] = command.args;
    if (more.length > 0 || (source !== undefined && source !== "-")) {
      throw new OptionError("source", `Cannot listen to "${command.args.join(" ")}", expected - or nothing`, {
        hint: "sotto FILE transcribes recordings",
      });
    }
    const flags = await readFlags(command);
    const report = await openReport(host, flags.quiet);
    return listen(flags, source === undefined, host, report);
  },
};

async function readFlags(command: Command): Promise<LiveFlags> {
  const given = command.opts<Record<string, string | boolean | undefined>>();
  const text = (name: string): string | undefined => (typeof given[name] === "string" ? given[name] : undefined);
  const [device, dtype, task, format] = [text("device"), text("dtype"), text("task"), text("output_format")];
  assertDevice(device);
  assertOneOf("dtype", dtype, DTYPES);
  assertOneOf("task", task, TASKS);
  assertOneOf("output format", format, LIVE_FORMATS);
  const { model, note: modelNote } = await readModel(command, device);
  const word = text("language");
  const threads = parseWhole("--threads", text("threads") ?? "0", 0, 1024);
  const cacheDir = text("model_dir");
  const numberOf = (name: string, from: number, to: number): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : parseNumber(`--${name}`, value, from, to);
  };
  const silenceMs = numberOf("vad_min_silence_duration_ms", 100, 10_000);
  return {
    model,
    modelNote,
    settings: {
      device,
      dtype,
      ...(threads > 0 && { threads }),
      ...(cacheDir !== undefined && { cacheDir }),
      ...(given["offline"] === true && { offline: true }),
    },
    language: await readLanguage(word),
    task,
    prompt: text("initial_prompt"),
    format,
    silenceSeconds: numberOf("silence", 0.1, 10) ?? (silenceMs === undefined ? undefined : silenceMs / 1000),
    vadThreshold: numberOf("vad_threshold", 0, 1),
    vadSpeechPadMs: numberOf("vad_speech_pad_ms", 0, 5000),
    sampleRate: parseWhole("--sample_rate", text("sample_rate") ?? "16000", 8000, 192_000),
    quiet: given["quiet"] === true,
  };
}

/** Listens until the source ends, or Ctrl-C: then what was said is still transcribed, and once more ends it at once. */
async function listen(flags: LiveFlags, isMicrophone: boolean, host: CliHost, report: Report): Promise<number> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  const removeStop = host.onStop(stop);
  host.outputClosed.addEventListener("abort", stop);
  let pipeline: CliPipeline | undefined;
  try {
    // A microphone that is not there is said before a model is loaded.
    const { openMicrophone, readPipe, until } = await import("../live/sources.ts");
    const source = isMicrophone ? await openMicrophone(stopping.signal) : readPipe(host.stdin, flags.sampleRate);
    if (flags.modelNote !== null) report.note(flags.modelNote);
    pipeline = await host.createPipeline(flags.model, {
      ...flags.settings,
      ...report.downloads,
      signal: stopping.signal,
    });
    report.clear();
    for (const warning of pipeline.warnings ?? []) report.warning(warning);
    report.note(isMicrophone ? `listening through ${source.name}; Ctrl-C ends it` : `listening to ${source.name}`);
    // A recorder ends by itself when it is told to, after the last of its samples; a pipe may stay open for ever.
    const samples = isMicrophone ? source.samples : until(source.samples, stopping.signal);
    await transcribe(flags, pipeline, samples, host);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted && error === stopping.signal.reason) return 0;
    throw error;
  } finally {
    stopping.abort(); // ends the recorder
    report.clear();
    host.outputClosed.removeEventListener("abort", stop);
    await pipeline?.dispose();
    removeStop();
  }
}

async function transcribe(
  flags: LiveFlags,
  pipeline: CliPipeline,
  samples: LiveSource["samples"],
  host: CliHost,
): Promise<void> {
  const { eventObject, LiveSession } = await import("../../live/index.ts");
  const { context } = pipeline as CliPipeline & { readonly context: LiveContext };
  const display = new LiveDisplay(flags.format, host.stdout, eventObject);
  const { language, task, prompt, silenceSeconds, vadThreshold, vadSpeechPadMs } = flags;
  const options = {
    language,
    task,
    prompt,
    vadThreshold,
    vadSpeechPadMs,
    ...(silenceSeconds !== undefined && { endpointing: { silenceSeconds } }),
  };
  const session = new LiveSession(context, options, (event: LiveEvent) => display.show(event));
  let failure: { readonly error: unknown } | null = null;
  try {
    for await (const piece of samples) {
      const heard = session.push(piece);
      heard.catch((error: unknown) => (failure = { error }));
      if (session.queuedSeconds > MAX_QUEUED_SECONDS) await heard;
      if (failure !== null) break;
    }
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
    await session.end();
  } finally {
    session.close();
    display.end();
  }
}
