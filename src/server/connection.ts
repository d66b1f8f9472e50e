/** What ties a job to the connection of the client that waits for it. */
import type { FastifyReply } from "fastify";
import type { Transcript } from "../transcription/index.ts";
import type { Job } from "./service.ts";

/** Waits for a job; a client that leaves before it is answered cancels it. */
export async function resultFor(reply: FastifyReply, job: Job): Promise<Transcript> {
  const leave = (): void => job.cancel();
  if (reply.raw.destroyed) leave();
  reply.raw.once("close", leave);
  try {
    return await job.result;
  } finally {
    reply.raw.removeListener("close", leave);
  }
}
