import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CheckpointError, CheckpointSyntaxError } from "../errors.ts";
import { parseSileroWeights } from "./silero-weights.ts";

const file = readFileSync(new URL("../../models/silero-vad/silero_vad_16k.safetensors", import.meta.url));

/** The file with another text in its header, of the same length. */
function renamed(from: string, to: string): Uint8Array {
  const bytes = Uint8Array.from(file);
  const at = file.indexOf(from);
  expect(at).toBeGreaterThan(0);
  expect(to).toHaveLength(from.length);
  bytes.set(new TextEncoder().encode(to), at);
  return bytes;
}

describe("parseSileroWeights()", () => {
  it("reads the bundled file, wherever its bytes lie", () => {
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    const weights = parseSileroWeights(shifted.subarray(1), "x");
    expect(weights["conv1.weight"]).toHaveLength(128 * 129 * 3);
    expect(weights["final_conv.bias"]).toEqual(parseSileroWeights(file, "x")["final_conv.bias"]);
  });

  it("names every parameter that is missing or unknown", () => {
    const error = fault(renamed("conv2.bias", "conv9.bias"));
    expect(error).toMatchObject({
      problems: ['parameter "conv9.bias" is not part of Silero\'s network', 'parameter "conv2.bias" is missing'],
    });
  });

  it("refuses another shape", () => {
    expect(fault(renamed("[258,1,256]", "[129,2,256]")).message).toContain(
      'parameter "stft_conv.weight" is F32 [129, 2, 256], expected F32 [258, 1, 256]',
    );
  });

  it("refuses a first convolution that is not a Fourier transform", () => {
    const bytes = Uint8Array.from(file);
    const view = new DataView(bytes.buffer);
    const data = 8 + view.getUint32(0, true);
    view.setFloat32(data + 4 * 1000, view.getFloat32(data + 4 * 1000, true) + 1e-3, true);
    expect(fault(bytes).message).toContain(
      'parameter "stft_conv.weight" is not a Fourier transform under a Hann window',
    );
  });

  it("refuses a file that is cut short", () => {
    expect(fault(file.subarray(0, file.length - 4))).toBeInstanceOf(CheckpointSyntaxError);
    expect(fault(file.subarray(0, 4))).toBeInstanceOf(CheckpointSyntaxError);
  });
});

function fault(bytes: Uint8Array): CheckpointError {
  try {
    parseSileroWeights(bytes, "x.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return error as CheckpointError;
  }
  throw new Error("the file was read");
}
