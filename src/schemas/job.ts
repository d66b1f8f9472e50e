/** The JSON of jobs: what /jobs answers, and the data of a job's events. */
import { z } from "zod";
import { SEGMENT, TRANSCRIPT } from "./transcript.ts";

const FAILURE = z.strictObject({ message: z.string(), code: z.string().nullable() });

export const JOB = z
  .strictObject({
    id: z.string(),
    status: z.enum(["queued", "running", "done", "failed", "cancelled"]),
    model: z.string(),
    name: z.string().nullable().describe("of the file or URL"),
    format: z
      .enum(["txt", "vtt", "srt", "tsv", "json", "lrc", "csv", "json-full", "ass"])
      .describe("of the result, unless another is asked for"),
    created_at: z.iso.datetime(),
    finished_at: z.iso.datetime().nullable(),
    position: z.int().min(0).nullable().describe("in the queue, from 0"),
    queue_size: z.int().min(0).nullable(),
    progress: z.strictObject({
      seconds: z.number().min(0).nullable().describe("of the audio, that are transcribed"),
      duration: z.number().min(0).nullable().describe("of the audio, where it is known"),
    }),
    seconds: z.number().min(0).nullable().describe("that the work has taken"),
    error: FAILURE.nullable(),
    language: z.string().nullable(),
    text: z.string().nullable(),
  })
  .describe("A job, as POST /jobs and GET /jobs/ID answer.");

export const JOB_EVENTS = z
  .object({
    queued: z.strictObject({ position: z.int().min(0), size: z.int().min(0) }),
    started: z.strictObject({}),
    progress: z.strictObject({ seconds: z.number().min(0), duration: z.number().min(0).nullable() }),
    segment: SEGMENT,
    done: z.strictObject({ seconds: z.number().min(0), transcript: TRANSCRIPT }),
    failed: z.strictObject({ error: FAILURE }),
    cancelled: z.strictObject({}),
  })
  .partial()
  .describe("The data of the events at GET /jobs/ID/events, by the event's name.");
