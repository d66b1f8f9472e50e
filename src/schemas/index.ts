/**
 * Schemas of the JSON that sotto writes, for programs that read it: docs/schemas holds them as JSON Schema (scripts/make-schemas.mjs),
 * and tests hold both to what is really written. Nothing that writes imports them.
 */
import type { z } from "zod";
import { JOB, JOB_EVENTS } from "./job.ts";
import { LIVE_EVENT } from "./live-event.ts";
import { BENCH_REPORT, EVAL_REPORT } from "./reports.ts";
import { TRANSCRIPT_JSON, TRANSCRIPT_JSON_FULL } from "./transcript.ts";

export { BENCH_REPORT, EVAL_REPORT, JOB, JOB_EVENTS, LIVE_EVENT, TRANSCRIPT_JSON, TRANSCRIPT_JSON_FULL };
export { SEGMENT, TRANSCRIPT } from "./transcript.ts";

/** Each schema by the name of its file in docs/schemas. */
export const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  transcript: TRANSCRIPT_JSON,
  "transcript-full": TRANSCRIPT_JSON_FULL,
  "live-event": LIVE_EVENT,
  job: JOB,
  "job-events": JOB_EVENTS,
  "eval-report": EVAL_REPORT,
  "bench-report": BENCH_REPORT,
};
