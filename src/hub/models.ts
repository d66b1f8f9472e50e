/** The models that have a short name: openai's (facts 2.4.13), the distilled ones (facts 3.1.1), and the bundled one. */
import { fileURLToPath } from "node:url";

export interface KnownModel {
  readonly name: string;
  /** Hub id; null for the bundled model. */
  readonly repository: string | null;
  /** As published; counted for the bundled one. */
  readonly parameters: number;
  readonly multilingual: boolean;
  /** How many languages it understands; the bundled one, only as a synthesiser speaks them. */
  readonly languages: number;
  /** Bytes of its weights on the hub, rounded; what is downloaded is told by the hub before it starts. */
  readonly downloadBytes: number;
  /** Other names of the same model. */
  readonly aliases: readonly string[];
}

const openai = (
  name: string,
  millions: number,
  megabytes: number,
  repository: string,
  { aliases = [], languages = 99 }: { aliases?: string[]; languages?: number } = {},
): KnownModel => ({
  name,
  repository: `openai/${repository}`,
  parameters: millions * 1e6,
  multilingual: !name.endsWith(".en"),
  languages: name.endsWith(".en") ? 1 : languages,
  downloadBytes: megabytes * 1e6,
  aliases,
});

const distil = (name: string, millions: number, megabytes: number): KnownModel => ({
  name,
  repository: `distil-whisper/${name}`,
  parameters: millions * 1e6,
  multilingual: false,
  languages: 1,
  downloadBytes: megabytes * 1e6,
  aliases: [],
});

/** Every model that `resolveModel` knows by name, smallest first. */
export const MODELS: readonly KnownModel[] = [
  {
    name: "nano",
    repository: null,
    parameters: 8_554_240,
    multilingual: true,
    languages: 4,
    downloadBytes: 0,
    aliases: [],
  },
  openai("tiny", 39, 151, "whisper-tiny"),
  openai("tiny.en", 39, 151, "whisper-tiny.en"),
  openai("base", 74, 290, "whisper-base"),
  openai("base.en", 74, 290, "whisper-base.en"),
  openai("small", 244, 967, "whisper-small"),
  openai("small.en", 244, 967, "whisper-small.en"),
  openai("medium", 769, 3056, "whisper-medium"),
  openai("medium.en", 769, 3056, "whisper-medium.en"),
  openai("large-v1", 1550, 6173, "whisper-large"),
  openai("large-v2", 1550, 6173, "whisper-large-v2"),
  openai("large-v3", 1550, 3087, "whisper-large-v3", { aliases: ["large"], languages: 100 }),
  openai("turbo", 809, 1618, "whisper-large-v3-turbo", { aliases: ["large-v3-turbo"], languages: 100 }),
  distil("distil-small.en", 166, 332),
  distil("distil-medium.en", 394, 789),
  distil("distil-large-v2", 756, 1513),
  distil("distil-large-v3", 756, 1513),
  distil("distil-large-v3.5", 756, 3026),
];

/** @returns the model of this name or alias; names are lower case */
export function findModel(name: string): KnownModel | undefined {
  return MODELS.find((model) => model.name === name || model.aliases.includes(name));
}

/** What a repository of the hub is called here: its short name where it has one. */
export function nameOfRepository(repository: string): string {
  return MODELS.find((model) => model.repository === repository)?.name ?? repository;
}

/** Folder of the bundled model: at the same distance from the sources as from the built modules. */
export function bundledModelFolder(): string {
  return fileURLToPath(new URL("../../models/nano", import.meta.url));
}
