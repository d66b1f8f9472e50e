/**
 * The words that a caller chooses among, and the types that they make. Nothing is imported here, so that the command line
 * lists them in its help, and refuses others, without loading an engine.
 */

/** Where a model runs. */
export const DEVICES = ["auto", "cpu", "reference"] as const;
export type Device = (typeof DEVICES)[number];

/** Numbers that a model computes with. */
export const DTYPES = ["auto", "float32", "int8"] as const;
export type DTypeOption = (typeof DTYPES)[number];

/**
 * The way through long recordings. `chunked`: fixed windows that overlap, many at once (Whisper JAX, Hugging Face).
 * `sequential`: one window after the other, each knowing the text before it (openai/whisper): slower, and more accurate.
 */
export const ALGORITHMS = ["chunked", "sequential"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** The bundled model, for trying sotto: it is in the package, so nothing is downloaded. */
export const BUNDLED_MODEL = "nano";
