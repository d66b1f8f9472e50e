/**
 * Makes sure that weights which an engine does not read itself, but maps or copies as they lie in their files, are all numbers: once for
 * each state of a checkpoint, which a small file in sotto's cache remembers. Weights that are packed are looked at while they are read.
 */
import { EngineUnavailableError } from "../errors.ts";
import { parameterDims, type ParameterSource } from "../model/index.ts";
import { PackedFile } from "./packed-file.ts";

/** Changes when weights that have passed must be looked at again. */
const VERSION = 1;

/**
 * The first time, reads all weights, at about the speed of memory: 0.3 s for base, whose pages are then in memory.
 *
 * @param cacheDir default $SOTTO_CACHE, else sotto/ in the user's cache folder; where nothing can be written, nothing is remembered
 * @throws {CheckpointError} naming a parameter that has NaN or an infinity
 */
export async function checkWeights(source: ParameterSource, cacheDir?: string): Promise<void> {
  const read = async (): Promise<Uint8Array> => {
    for (const name of parameterDims(source.dimensions).keys()) await source.read(name);
    return Uint8Array.of(1);
  };
  const passed = new PackedFile(`finite ${VERSION} ${source.fingerprint}`);
  passed.add("passed", 1, read);
  try {
    await passed.ready(cacheDir);
  } catch (error) {
    if (!(error instanceof EngineUnavailableError)) throw error;
    await read();
  }
}
