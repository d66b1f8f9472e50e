/** Multipart forms against schemas: one zod object says what a form may hold, for requests and for the OpenAPI document. */
import { z } from "zod";
import { quote } from "../errors.ts";
import { RequestError } from "./errors.ts";
import type { UploadedFile, UploadedForm } from "./uploads.ts";

const FORMS = new WeakSet<object>();

/** Marks a schema as that of a multipart form: it is in the document, and `readForm` checks it, not Fastify. */
export function formSchema<T extends z.ZodObject>(schema: T): T {
  FORMS.add(schema);
  return schema;
}

/** Whether a schema is that of a form. */
export function isFormSchema(schema: unknown): boolean {
  return typeof schema === "object" && schema !== null && FORMS.has(schema);
}

/** For the document: the contents of a file. */
export const fileField = (): z.ZodType<unknown> => z.unknown().meta({ type: "string", format: "binary" });

/** A field that may be repeated, under its name or with brackets behind it, as OpenAI's clients send it. */
export function repeatable<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item).max(100);
}

/** true, 1, yes, y, on; false, 0, no, n, off, nothing. */
export const booleanField = (): z.ZodType<boolean, string> =>
  z
    .stringbool({ truthy: ["true", "1", "yes", "y", "on"], falsy: ["false", "0", "no", "n", "off", ""] })
    .meta({ type: "boolean" });

/** A number written out. */
export function numberField({ min = -Infinity, max = Infinity, whole = false } = {}): z.ZodType<number, string> {
  return z
    .string()
    .transform((text, context) => {
      const value = text.trim() === "" ? NaN : Number(text);
      if (Number.isFinite(value) && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
      const range = Number.isFinite(min) && Number.isFinite(max) ? ` from ${min} to ${max}` : "";
      context.addIssue({ code: "custom", message: `expected a ${whole ? "whole " : ""}number${range}` });
      return z.NEVER;
    })
    .meta({ type: whole ? "integer" : "number" });
}

/**
 * The fields of a form that a schema knows. Others are let be: clients send what servers to come will understand. An empty
 * field counts as missing, as forms of browsers send all of theirs.
 *
 * @throws {RequestError} 400, which names the field
 */
export function readForm<T extends z.ZodObject>(form: UploadedForm, schema: T): z.output<T> {
  const raw: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(schema.shape)) {
    if ((type as z.ZodType).meta()?.["format"] === "binary") {
      raw[name] = null; // `fileOf` sees to files
      continue;
    }
    const values = [...(form.fields.get(name) ?? []), ...(form.fields.get(`${name}[]`) ?? [])].filter(
      (value) => value !== "",
    );
    if (values.length > 0) raw[name] = isList(type as z.ZodType) ? values : values.at(-1);
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const param = String(issue.path[0]);
  const value = raw[param];
  const message = `${issue.message[0].toLowerCase()}${issue.message.slice(1)}`.replace(/^invalid \w+: /, "");
  throw new RequestError(400, `Cannot use ${quote(value)} as "${param}": ${message}`, { param, code: "invalid_value" });
}

function isList(type: z.ZodType): boolean {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault) return isList(type.unwrap() as z.ZodType);
  return type instanceof z.ZodArray;
}

/**
 * The file of a form.
 *
 * @throws {RequestError} 400 if there is none
 */
export function fileOf(form: UploadedForm, field = "file"): UploadedFile {
  const file = form.files.find((one) => one.field === field);
  if (file !== undefined) return file;
  throw new RequestError(400, `The form has no file "${field}"`, { param: field, code: "missing_required_parameter" });
}
