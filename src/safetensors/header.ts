/**
 * Parses the header of a safetensors file: 8 bytes of length (little-endian), that many bytes of JSON, then the data.
 *
 * Only the header is read; the data is reached by its offsets, mapped or read piecewise. The format is described at
 * https://github.com/huggingface/safetensors; ceilings after huggingface.js parse-safetensors-metadata.ts. As in its Rust parser, tensors
 * fill the data from the first byte to the file's last without gaps: a header whose length is wrong by a byte, or that names a tensor
 * twice, would shift or lose numbers and still be JSON.
 */
import { CheckpointSyntaxError, quote } from "../errors.ts";

/** Ceiling of the JSON: large-v3's is 170 KB. */
export const MAX_HEADER_BYTES = 25_000_000;
/** Ceiling of the number of tensors: large-v3 has 1,259. */
export const MAX_TENSORS = 20_000;
/** Ceiling of the number of dims of one tensor: Whisper's have at most 3. */
const MAX_RANK = 8;
/** Ceiling of a name: Whisper's have at most 60 characters. */
const MAX_NAME = 512;

/** Bytes of one element, for every dtype of the format that fills whole bytes. */
const BYTES: Readonly<Record<string, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1 },
  ...{ I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, BOOL: 1, C64: 8 },
};

/** One tensor of a safetensors file. */
export interface SafetensorsEntry {
  readonly name: string;
  /** As the file says it: F32, F16, BF16, I8, ... */
  readonly dtype: string;
  readonly dims: readonly number[];
  /** From the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  /** `__metadata__`: what the writer had to say. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Where the data begins. */
  readonly dataOffset: number;
}

/**
 * Length of the JSON, from the first 8 bytes of a file.
 *
 * @param fileSize bytes of the whole file
 * @throws {CheckpointSyntaxError} if the file is shorter, or the length more than any Whisper checkpoint needs
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number, path: string): number {
  if (prefix.length < 8 || fileSize < 8) {
    throw new CheckpointSyntaxError(path, `file has ${fileSize} bytes, expected a safetensors header`, 0, {
      hint: "the file is cut short; get it again",
    });
  }
  if (new TextDecoder("latin1").decode(prefix.subarray(0, 8)) === "version ") {
    throw new CheckpointSyntaxError(path, "file is a Git LFS pointer, expected the parameters themselves", 0, {
      hint: "run `git lfs pull` in the folder",
    });
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new CheckpointSyntaxError(path, `header has ${length} bytes, expected at most ${MAX_HEADER_BYTES}`, 0, {
      hint: "the file is damaged, or not a safetensors file",
    });
  }
  if (length > fileSize - 8) {
    throw new CheckpointSyntaxError(path, `header has ${length} bytes, but only ${fileSize - 8} follow`, 0, {
      hint: "the file is cut short; get it again",
    });
  }
  return length;
}

/**
 * Parses a header and checks every tensor against the file.
 *
 * @param json the header's bytes, without the 8 of the length
 * @param fileSize bytes of the whole file: every tensor must lie within it
 * @param path for messages
 * @throws {CheckpointSyntaxError} at the first fault: the offsets after it mean nothing
 */
export function parseSafetensorsHeader(json: Uint8Array, fileSize: number, path: string): SafetensorsHeader {
  const dataOffset = 8 + json.length;
  const fail = (problem: string, offset = 8, hint?: string): never => {
    throw new CheckpointSyntaxError(path, problem, offset, hint === undefined ? {} : { hint });
  };

  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    const position = /at position (\d+)/.exec((error as Error).message)?.[1];
    return fail(`header is not JSON: ${(error as Error).message}`, 8 + Number(position ?? 0));
  }
  if (!isObject(header)) return fail("header holds no JSON object");
  const names = Object.keys(header).filter((name) => name !== "__metadata__");
  if (names.length > MAX_TENSORS) fail(`header names ${names.length} tensors, expected at most ${MAX_TENSORS}`);

  const entries = new Map<string, SafetensorsEntry>();
  for (const name of names) {
    if (name.length > MAX_NAME) fail(`a name has ${name.length} characters, expected at most ${MAX_NAME}`);
    const entry = header[name];
    const where = `parameter ${quote(name)}`;
    if (!isObject(entry)) return fail(`${where} is described by ${quote(entry)}, expected an object`);

    const { dtype, shape, data_offsets: offsets } = entry;
    if (typeof dtype !== "string" || !Object.hasOwn(BYTES, dtype)) {
      return fail(`${where} has dtype ${quote(dtype)}, expected one of ${Object.keys(BYTES).join(", ")}`);
    }
    if (!isSizes(shape) || shape.length > MAX_RANK) {
      return fail(`${where} has shape ${quote(shape)}, expected at most ${MAX_RANK} whole numbers`);
    }
    if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
      return fail(`${where} has data_offsets ${quote(offsets)}, expected a begin and an end`);
    }
    const [begin, end] = offsets;
    const byteLength = shape.reduce((product, size) => product * size, BYTES[dtype]);
    if (byteLength !== end - begin) {
      fail(`${where} has ${end - begin} bytes, expected ${byteLength} for ${dtype} [${shape.join(", ")}]`);
    }
    if (dataOffset + end > fileSize) {
      const problem = `${where} ends at byte ${dataOffset + end}, but the file has only ${fileSize}`;
      fail(problem, fileSize, "the file is cut short; get it again");
    }
    entries.set(name, { name, dtype, dims: shape, byteOffset: dataOffset + begin, byteLength });
  }
  checkLayout(entries, dataOffset, fileSize, path);
  const metadata = header["__metadata__"];
  return { entries, metadata: isObject(metadata) ? metadata : {}, dataOffset };
}

/** Every byte of the data belongs to one tensor. */
function checkLayout(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  dataOffset: number,
  fileSize: number,
  path: string,
): void {
  const sorted = [...entries.values()].sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  const hint = "the file is damaged; get it again";
  let end = dataOffset;
  let before: SafetensorsEntry | undefined;
  for (const entry of sorted) {
    if (entry.byteOffset < end) {
      const problem = `parameters ${quote(before?.name)} and ${quote(entry.name)} overlap`;
      throw new CheckpointSyntaxError(path, problem, entry.byteOffset);
    }
    if (entry.byteOffset > end) {
      const place = before === undefined ? "the header" : `parameter ${quote(before.name)}`;
      const problem = `${entry.byteOffset - end} bytes between ${place} and parameter ${quote(entry.name)} belong to no parameter`;
      throw new CheckpointSyntaxError(path, problem, end, { hint });
    }
    end += entry.byteLength;
    before = entry;
  }
  if (end !== fileSize) {
    const problem = `the last parameter ends at byte ${end}, expected the end of the file at ${fileSize}`;
    throw new CheckpointSyntaxError(path, problem, end, { hint });
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
