/** `sotto bench`: how fast this machine is, stage by stage, with any model and dtype. */
import type { Command } from "commander";
import { assertOneOf } from "../../errors.ts";
import { assertDevice, DTYPES } from "../../pipeline/choices.ts";
import { parseWhole } from "../arguments.ts";
import type { CliCommand } from "../command.ts";
import type { StageOptions, StageTime } from "../bench/stages.ts";
import type { CliHost } from "../host.ts";
import { addModelFlag, readModel } from "../options.ts";
import { openReport, size } from "../report.ts";

export const bench: CliCommand = {
  name: "bench",
  summary: "measure the speed of this machine, stage by stage",
  booleanFlags: [],
  configure(command: Command): void {
    addModelFlag(command);
    command
      .option("--model_dir <dir>", "folder of downloaded models (default: the Hugging Face cache)")
      .option("--offline", "use only models that are already on this machine")
      .option("--device <name>", "device to run on", "auto")
      .option("--dtype <name>", "compute precision", "auto")
      .option("--threads <n>", "CPU threads; 0 = automatic", "0")
      .option("--batch_size <n>", "windows per batch", "8")
      .option("--tokens <n>", "tokens to generate per window", "100")
      .option("--rounds <n>", "number of rounds; the median is printed", "3")
      .option("--json", "print the figures as JSON");
  },
  async run(command: Command, host: CliHost): Promise<number> {
    const given = command.opts<Record<string, string | boolean | undefined>>();
    const whole = (name: string, least: number, most: number): number =>
      parseWhole(`--${name}`, String(given[name]), least, most);
    const options = {
      batch: whole("batch_size", 1, 1024),
      tokens: whole("tokens", 1, 440), // a text holds 448, with what stands before it
      rounds: whole("rounds", 1, 1000),
    };
    const threads = whole("threads", 0, 1024);
    const { loadCheckpoint, loadTokenizer, openEngine } = await import("../../pipeline/index.ts");
    const { device, dtype } = given;
    assertDevice(device);
    assertOneOf("dtype", dtype, DTYPES);

    const { model, note } = await readModel(command, device);
    const progress = await openReport(host, false);
    if (note !== null) progress.note(note);

    const before = process.memoryUsage.rss();
    const started = host.now();
    const checkpoint = await loadCheckpoint(model, {
      ...progress.downloads,
      ...(typeof given["model_dir"] === "string" && { cacheDir: given["model_dir"] }),
      ...(given["offline"] === true && { offline: true }),
    });
    progress.clear();
    const tokenizer = await loadTokenizer(checkpoint);
    const engine = await openEngine(checkpoint, { device, dtype, ...(threads > 0 && { threads }) });
    const loadMs = host.now() - started;
    try {
      const { nMels, nAudioCtx } = engine.dimensions;
      const silence = { data: new Float32Array(nMels * 2 * nAudioCtx), dims: [1, nMels, 2 * nAudioCtx] };
      const { detectLanguage } = await import("../../decoding/index.ts");
      const audio = await engine.encode(silence);
      await detectLanguage(engine, audio, tokenizer);
      audio.dispose();
      const firstMs = host.now() - started;
      const loadedBytes = process.memoryUsage.rss() - before;

      const { timeStages } = await import("../bench/stages.ts");
      const stages = await timeStages(engine, tokenizer, options);
      const peakBytes = process.resourceUsage().maxRSS * 1024;
      const { parallelism } = engine;
      const report: BenchReport = {
        model,
        device: engine.device,
        dtype: engine.dtype,
        parallelism,
        ...options,
        loadMs,
        firstMs,
        loadedBytes,
        peakBytes,
        stages,
      };
      host.stdout.write(given["json"] === true ? `${JSON.stringify(reportObject(report))}\n` : table(report));
    } finally {
      await engine.dispose();
    }
    return 0;
  },
};

interface BenchReport extends StageOptions {
  readonly model: string;
  readonly device: string;
  readonly dtype: string;
  readonly parallelism: number;
  readonly loadMs: number;
  readonly firstMs: number;
  readonly loadedBytes: number;
  readonly peakBytes: number;
  readonly stages: readonly StageTime[];
}

/** The report as programs read it. */
function reportObject({ loadMs, firstMs, loadedBytes, peakBytes, stages, ...about }: BenchReport): object {
  return {
    ...about,
    load_ms: loadMs,
    first_ms: firstMs,
    loaded_bytes: loadedBytes,
    peak_bytes: peakBytes,
    stages,
  };
}

function table(report: BenchReport): string {
  const ms = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));
  const lines = [
    `${report.model}, ${report.device}, ${report.dtype}, ${report.parallelism} windows side by side`,
    `loaded in ${ms(report.loadMs)} ms, first window after ${ms(report.firstMs)} ms`,
    `memory: ${size(report.loadedBytes)} more after the first window, ${size(report.peakBytes)} at the peak of the process`,
    "",
    `${"STAGE".padEnd(34)}${"MS".padStart(9)}${"FASTEST".padStart(10)}${"SLOWEST".padStart(10)}  RATE`,
    ...report.stages.map(
      ({ stage, ms: median, range, rate }) =>
        `${stage.padEnd(34)}${ms(median).padStart(9)}${ms(range[0]).padStart(10)}${ms(range[1]).padStart(10)}  ${rate}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}
