import { createReferenceEngine } from "../../src/engine/index.ts";
import { EngineScheduler } from "../../src/scheduling/index.ts";
import { engineContract } from "./engine-contract.ts";

engineContract(
  "a scheduler's view of the reference engine",
  async (source) => new EngineScheduler(await createReferenceEngine(source)).client(),
  {
    skip: {
      "startGeneration() gives what generate() gives, however it is advanced, and gives up what is cancelled":
        "the scheduler advances generations itself",
    },
  },
);
