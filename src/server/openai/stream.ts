/** `stream=true`: a delta for each segment, then the whole text (facts ecosystem 5.1). A client that leaves cancels the job. */
import type { FastifyReply } from "fastify";
import type { Transcript } from "../../transcription/index.ts";
import { errorAnswer, errorBody } from "../errors.ts";
import { sendEvents } from "../event-stream.ts";
import { sendWarnings } from "../no-effect.ts";
import type { Job } from "../service.ts";
import { usageOf } from "./responses.ts";

/**
 * Answers with the job's text as it comes. Joined deltas are the text of the last event.
 *
 * @param ignored warnings of what was asked for and has no effect
 */
export function streamTranscript(reply: FastifyReply, job: Job, ignored: readonly string[]): FastifyReply {
  sendWarnings(reply, ignored);
  return sendEvents(reply, (sink) => {
    const send = (body: { readonly type: string }): void => sink.send({ event: body.type, data: JSON.stringify(body) });
    const end = (): void => {
      sink.send({ data: "[DONE]" });
      sink.end();
    };
    let sent = "";
    let rest = ""; // spaces, which are of the text only if more follows
    const stop = job.subscribe((event) => {
      switch (event.type) {
        case "segment": {
          const text = rest + event.segment.text;
          const delta = sent === "" ? text.trim() : text.trimEnd();
          rest = text.slice(text.trimEnd().length);
          if (delta === "") return;
          sent += delta;
          return send({ type: "transcript.text.delta", delta } as { type: string });
        }
        case "done":
          send({
            type: "transcript.text.done",
            text: sent,
            usage: usageOf(event.transcript),
            ...warningsOf(event.transcript, ignored),
          } as { type: string });
          return end();
        case "failed":
          send({ type: "error", ...errorBody(errorAnswer(event.error)) });
          return end();
        case "cancelled":
          return end();
        case "queued":
        case "started":
        case "progress":
          return undefined;
      }
    });
    return () => {
      stop();
      job.cancel();
    };
  });
}

function warningsOf(transcript: Transcript, ignored: readonly string[]): object {
  const warnings = [...ignored, ...transcript.warnings];
  return warnings.length > 0 ? { warnings } : {};
}
