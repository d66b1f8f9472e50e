/** OpenAI's `chunking_strategy`: its settings of voice activity detection as options of the vad algorithm. */
import { z } from "zod";
import type { VadTranscriptionOptions } from "../../transcription/index.ts";
import { RequestError } from "../errors.ts";

/** Above a minute nothing would ever end. */
const MAX_SILENCE_MS = 60_000;
/** A quarter of a window. */
const MAX_PADDING_MS = 7500;

const FIELD = "chunking_strategy";
/** Words of a form are numbers too. */
const number = (max: number): z.ZodType<number> => z.coerce.number().min(0).max(max);

const STRATEGY = z.strictObject({
  type: z.enum(["server_vad", "auto"]),
  threshold: number(1).optional(),
  prefix_padding_ms: number(MAX_PADDING_MS).optional(),
  silence_duration_ms: number(MAX_SILENCE_MS).optional(),
});

/** The options that a strategy stands for. */
export type ChunkingOptions = Pick<
  VadTranscriptionOptions,
  "vadThreshold" | "vadSpeechPadMs" | "vadMinSilenceDurationMs"
>;

/**
 * Reads the strategy of a form: "auto", JSON, or fields of its own (`chunking_strategy[type]`), as the clients send an object.
 *
 * @returns no options where it is "auto" or has no settings; null where the form has no strategy
 * @throws {RequestError} 400 for one that OpenAI's API does not have, or a setting out of range
 */
export function readChunkingStrategy(fields: ReadonlyMap<string, readonly string[]>): ChunkingOptions | null {
  const asked = strategyOf(fields);
  if (asked === null) return null;
  const read = STRATEGY.safeParse(asked);
  if (!read.success) {
    const [{ path, message }] = read.error.issues;
    throw refused([FIELD, ...path.map(String)].join("."), message);
  }
  const { threshold, prefix_padding_ms: padding, silence_duration_ms: silence } = read.data;
  return {
    ...(threshold !== undefined && { vadThreshold: threshold }),
    ...(padding !== undefined && { vadSpeechPadMs: padding }),
    ...(silence !== undefined && { vadMinSilenceDurationMs: silence }),
  };
}

/** As an object, not checked. */
function strategyOf(fields: ReadonlyMap<string, readonly string[]>): unknown {
  const whole = fields.get(FIELD)?.at(-1);
  if (whole === "auto") return { type: "auto" };
  if (whole !== undefined) {
    try {
      return JSON.parse(whole);
    } catch (error) {
      throw refused(FIELD, 'expected "auto", or an object in JSON', error);
    }
  }
  const parts = [...fields].flatMap(([name, values]) => {
    const key = /^chunking_strategy\[(\w+)\]$/.exec(name)?.[1];
    return key === undefined ? [] : [[key, values.at(-1)] as const];
  });
  return parts.length === 0 ? null : Object.fromEntries(parts);
}

function refused(what: string, reason: string, cause?: unknown): RequestError {
  return new RequestError(400, `Cannot use "${what}": ${reason}`, { param: FIELD, code: "invalid_value", cause });
}
