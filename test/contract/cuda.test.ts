/** The CUDA engine: on a GPU where there is one, else on the stand-in for its driver. */
import { it } from "vitest";
import { createCudaEngine } from "../../src/engine/cuda/index.ts";
import { useTestDriver } from "../helpers/cuda.ts";
import { engineContract } from "./engine-contract.ts";

const missing = await useTestDriver();
if (missing === null) {
  const joins = {
    "startGeneration() gives what generate() gives, however it is advanced, and gives up what is cancelled":
      "rows join those under way in generate()",
  };
  engineContract("cuda, float32", (source) => createCudaEngine(source, { dtype: "float32" }), { skip: joins });

  const skip = {
    ...joins,
    "generate() gives the reference engine's tokens": "16 bits round: other tokens are no defect",
  };
  engineContract("cuda, float16", (source) => createCudaEngine(source, { dtype: "float16" }), {
    againstReference: 0.02,
    againstItself: 0.02,
    skip,
  });
  engineContract("cuda, bfloat16", (source) => createCudaEngine(source, { dtype: "bfloat16" }), {
    againstReference: 0.1,
    againstItself: 0.1,
    skip,
  });
} else {
  it("engine contract: cuda", (context) => context.skip(missing.reason));
}
