/** The models that have a short name: openai's (facts 2.4.13), the distilled ones (facts 3.1.1), and the bundled one. */
import { fileURLToPath } from "node:url";

export interface KnownModel {
  readonly name: string;
  /** Hub id; null for the bundled model. */
  readonly repository: string | null;
  /** As published; counted for the bundled one. */
  readonly parameters: number;
  readonly multilingual: boolean;
  /** Other names of the same model. */
  readonly aliases: readonly string[];
}

const openai = (name: string, millions: number, repository: string, aliases: string[] = []): KnownModel => ({
  name,
  repository: `openai/${repository}`,
  parameters: millions * 1e6,
  multilingual: !name.endsWith(".en"),
  aliases,
});

const distil = (name: string, millions: number): KnownModel => ({
  name,
  repository: `distil-whisper/${name}`,
  parameters: millions * 1e6,
  multilingual: false,
  aliases: [],
});

/** Every model that `resolveModel` knows by name, smallest first. */
export const MODELS: readonly KnownModel[] = [
  { name: "nano", repository: null, parameters: 8_554_240, multilingual: true, aliases: [] },
  openai("tiny", 39, "whisper-tiny"),
  openai("tiny.en", 39, "whisper-tiny.en"),
  openai("base", 74, "whisper-base"),
  openai("base.en", 74, "whisper-base.en"),
  openai("small", 244, "whisper-small"),
  openai("small.en", 244, "whisper-small.en"),
  openai("medium", 769, "whisper-medium"),
  openai("medium.en", 769, "whisper-medium.en"),
  openai("large-v1", 1550, "whisper-large"),
  openai("large-v2", 1550, "whisper-large-v2"),
  openai("large-v3", 1550, "whisper-large-v3", ["large"]),
  openai("turbo", 809, "whisper-large-v3-turbo", ["large-v3-turbo"]),
  distil("distil-small.en", 166),
  distil("distil-medium.en", 394),
  distil("distil-large-v2", 756),
  distil("distil-large-v3", 756),
  distil("distil-large-v3.5", 756),
];

/** @returns the model of this name or alias; names are lower case */
export function findModel(name: string): KnownModel | undefined {
  return MODELS.find((model) => model.name === name || model.aliases.includes(name));
}

/** Folder of the bundled model: at the same distance from the sources as from the built modules. */
export function bundledModelFolder(): string {
  return fileURLToPath(new URL("../../models/nano", import.meta.url));
}
