/** What a request asked for and did not get, said in its answer: fields that are understood and change nothing, and fields that nobody knows. */
import type { FastifyReply } from "fastify";
import type { z } from "zod";
import { quote } from "../errors.ts";
import type { UploadedForm } from "./uploads.ts";

/** Names of one request that are told of; the others are counted. */
const MAX_NAMES = 10;
const MAX_NAME_CHARACTERS = 60;

/** A warning for each field of a form that its schema does not know. */
export function unknownFields(form: UploadedForm, schema: z.ZodObject): string[] {
  const unknown = [...new Set([...form.fields.keys()].map((name) => name.replace(/\[[^\]]*\]$/, "")))].filter(
    (name) => !Object.hasOwn(schema.shape, name),
  );
  const named = unknown
    .slice(0, MAX_NAMES)
    .map((name) => `${quote(name.slice(0, MAX_NAME_CHARACTERS))} has no effect: this server does not know it`);
  const more = unknown.length - named.length;
  return more > 0 ? [...named, `${more} more fields have no effect: this server does not know them`] : named;
}

/**
 * Puts warnings in the header `warning` of an answer (RFC 7234, section 5.5, code 199), where every format has room for them.
 *
 * @param warnings in ASCII, but for what they quote
 */
export function sendWarnings(reply: FastifyReply, warnings: readonly string[]): void {
  if (warnings.length === 0) return;
  const values = warnings.map((warning) => `199 sotto "${warning.replace(/[^ -~]/g, "?").replace(/["\\]/g, "\\$&")}"`);
  void reply.header("warning", values.join(", "));
}
