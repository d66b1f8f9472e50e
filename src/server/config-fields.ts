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

const LIST = "several with commas";

/** All fields, in the order of the help. */
export const CONFIG_FIELDS = [
  { key: "host", kind: "text", help: "address to listen on; 0.0.0.0: all (default: 127.0.0.1)", group: "Server" },
  { key: "port", kind: "number", help: "port to listen on; 0: any free one (default: 8000)", group: "Server" },
  { key: "logLevel", kind: "text", help: "fatal, error, warn, info, debug, trace or silent", group: "Server" },
  {
    key: "store",
    kind: "text",
    value: "dir",
    help: "folder of the jobs API's jobs (default: in the user's cache)",
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
    help: "what running jobs get to end (default: 30)",
    group: "Server",
  },
  {
    key: "shutdownDelay",
    kind: "number",
    value: "seconds",
    help: "how long after SIGTERM the port stays open, /health and new work get 503 (default: 5)",
    group: "Server",
  },
  {
    key: "uploadDir",
    kind: "text",
    value: "dir",
    help: "folder of temporary files (default: the system's)",
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
    help: `models to serve, ${LIST}; the first is the default`,
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
  { key: "device", kind: "text", value: "name", help: "where it runs (default: auto)", group: "Model" },
  { key: "dtype", kind: "text", value: "name", help: "numbers it computes with (default: auto)", group: "Model" },
  { key: "threads", kind: "number", value: "n", help: "processor threads; 0: as many as are good", group: "Model" },
  {
    key: "batchSize",
    kind: "number",
    value: "n",
    help: "windows of one recording in a batch; default: by the jobs there are",
    group: "Model",
  },
  {
    key: "maxRunning",
    kind: "number",
    value: "n",
    help: "jobs that run at once; default: what keeps the engine busy",
    group: "Limits",
  },
  { key: "maxQueue", kind: "number", value: "n", help: "jobs that wait; more get 503 (default: 100)", group: "Limits" },
  {
    key: "maxPerClient",
    kind: "number",
    value: "n",
    help: "jobs of one client; more get 429 (default: 100)",
    group: "Limits",
  },
  {
    key: "rateLimit",
    kind: "number",
    value: "n",
    help: "requests a minute of one client, without those of pages; 0: no limit (default)",
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
    help: `keys of which a request must have one, ${LIST}`,
    group: "Safety",
  },
  {
    key: "allowedHosts",
    kind: "list",
    value: "names",
    help: `names that the server is reached by, beside addresses and localhost, ${LIST}; ".name": all below it; "*": any`,
    group: "Safety",
  },
  {
    key: "corsOrigins",
    kind: "list",
    value: "origins",
    help: `web origins whose pages may ask, ${LIST}; "*": all`,
    group: "Safety",
  },
  { key: "trustProxy", kind: "boolean", help: "take a client's address from X-Forwarded-For", group: "Safety" },
  {
    key: "allowPrivateAddresses",
    kind: "boolean",
    help: "let URLs point into private networks and at this machine",
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
