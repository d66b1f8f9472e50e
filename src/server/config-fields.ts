/**
 * Names, kinds and help of everything that the server can be told. Apart from config.ts, which checks the values, because the
 * command line lists them in its help without loading more than this.
 */

/** How a word of a flag or an environment variable becomes a value. */
export type FieldKind = "text" | "number" | "boolean" | "list";

export interface ConfigField {
  /** In the configuration and its file. The flag is this with `_` for capitals; the variable SOTTO_ and the flag in capitals. */
  readonly key: string;
  /** Name of the flag, where it is another. */
  readonly flag?: string;
  readonly kind: FieldKind;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly help: string;
  readonly group: "Server" | "Model" | "Limits" | "Safety";
}

const LIST = "comma-separated";

/** All fields, in the order of the help. */
export const CONFIG_FIELDS = [
  { key: "host", kind: "text", help: "address to listen on; 0.0.0.0 = all (default: 127.0.0.1)", group: "Server" },
  { key: "port", kind: "number", help: "port to listen on; 0 = any free port (default: 8000)", group: "Server" },
  {
    key: "logLevel",
    kind: "text",
    help: "fatal, error, warn, info, debug, trace or silent (default: info)",
    group: "Server",
  },
  {
    key: "store",
    kind: "text",
    value: "dir",
    help: "folder that keeps the jobs (default: in the user's cache)",
    group: "Server",
  },
  {
    key: "jobTtl",
    kind: "number",
    value: "seconds",
    help: "how long finished jobs are kept (default: a day)",
    group: "Server",
  },
  {
    key: "shutdownGrace",
    kind: "number",
    value: "seconds",
    help: "time that running jobs get to finish (default: 30)",
    group: "Server",
  },
  {
    key: "uploadDir",
    kind: "text",
    value: "dir",
    help: "folder for temporary files (default: the system's)",
    group: "Server",
  },
  {
    key: "staticDir",
    kind: "text",
    value: "dir",
    help: "folder of the web page (default: the one in the package)",
    group: "Server",
  },
  {
    key: "models",
    flag: "model",
    kind: "list",
    value: "names",
    help: `models to serve, ${LIST}; the first is the default of requests (default: base; turbo on a GPU)`,
    group: "Model",
  },
  {
    key: "modelDir",
    kind: "text",
    value: "dir",
    help: "folder of downloaded models (default: the Hugging Face cache)",
    group: "Model",
  },
  { key: "offline", kind: "boolean", help: "use only models that are already on this machine", group: "Model" },
  { key: "device", kind: "text", value: "name", help: "device to run on (default: auto)", group: "Model" },
  { key: "dtype", kind: "text", value: "name", help: "compute precision (default: auto)", group: "Model" },
  { key: "threads", kind: "number", value: "n", help: "CPU threads; 0 = automatic", group: "Model" },
  {
    key: "batchSize",
    kind: "number",
    value: "n",
    help: "windows of one recording per batch; depends on the number of jobs by default",
    group: "Model",
  },
  {
    key: "maxRunning",
    kind: "number",
    value: "n",
    help: "jobs to run at once; enough to keep the engine busy by default",
    group: "Limits",
  },
  {
    key: "maxQueue",
    kind: "number",
    value: "n",
    help: "most waiting jobs; further requests get 503 (default: 100)",
    group: "Limits",
  },
  {
    key: "maxPerClient",
    kind: "number",
    value: "n",
    help: "most jobs per client; further requests get 429 (default: 100)",
    group: "Limits",
  },
  {
    key: "rateLimit",
    kind: "number",
    value: "n",
    help: "requests per minute and client; 0 = no limit (default)",
    group: "Limits",
  },
  {
    key: "maxUploadBytes",
    kind: "number",
    value: "bytes",
    help: "largest upload or download (default: 1 GiB)",
    group: "Limits",
  },
  {
    key: "maxSeconds",
    kind: "number",
    value: "seconds",
    help: "longest recording (default: 2 hours)",
    group: "Limits",
  },
  {
    key: "downloadTimeout",
    kind: "number",
    value: "seconds",
    help: "longest download of a URL (default: 30 minutes)",
    group: "Limits",
  },
  {
    key: "minDownloadRate",
    kind: "number",
    value: "n",
    help: "least bytes a second of a download, over 30 s; 0: any (default: 4096)",
    group: "Limits",
  },
  {
    key: "apiKeys",
    kind: "list",
    value: "keys",
    help: `keys that clients authenticate with, ${LIST}`,
    group: "Safety",
  },
  {
    key: "corsOrigins",
    kind: "list",
    value: "origins",
    help: `web origins that may call the server, ${LIST}; "*" = all`,
    group: "Safety",
  },
  { key: "trustProxy", kind: "boolean", help: "trust X-Forwarded-For for the client's address", group: "Safety" },
  {
    key: "allowPrivateAddresses",
    kind: "boolean",
    help: "allow URLs that point to this machine or to private networks",
    group: "Safety",
  },
] as const satisfies readonly ConfigField[];

/** Name of a field's flag, without dashes: `max_queue`. */
export function flagOf({ key, flag }: Pick<ConfigField, "key" | "flag">): string {
  return flag ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Name of a field's environment variable: `SOTTO_MAX_QUEUE`. */
export function variableOf(field: Pick<ConfigField, "key" | "flag">): string {
  return `SOTTO_${flagOf(field).toUpperCase()}`;
}
