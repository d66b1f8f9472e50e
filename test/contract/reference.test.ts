import { createReferenceEngine } from "../../src/engine/reference/index.ts";
import { engineContract } from "./engine-contract.ts";

engineContract("reference", createReferenceEngine);
