/**
 * The three functions of Whisper JAX's Gradio app (facts 1.16.3, 1.16.4), and how Gradio describes them to its clients: the
 * `config` and `info` documents of Gradio 6, whose shapes @gradio/client and gradio_client read (facts ecosystem 5.8).
 */
import type { Task } from "../../tokenizer/index.ts";

/** Of which Gradio the protocol is. */
const GRADIO_VERSION = "6.25.0";
/** Where Gradio 5 and 6 have their routes; older ones have them at the root. */
export const API_PREFIX = "/gradio_api";

/** What is transcribed: the first argument. */
type Source = "microphone" | "file" | "video";

interface Parameter {
  readonly name: string;
  readonly label: string;
  readonly component: "Audio" | "Radio" | "Checkbox" | "Textbox" | "HTML" | "Number";
  readonly python: string;
  readonly fallback?: unknown;
}

export interface GradioEndpoint {
  /** Without the slash. */
  readonly name: string;
  readonly source: Source;
  readonly inputs: readonly Parameter[];
  readonly outputs: readonly Parameter[];
}

const TASK: Parameter = {
  name: "task",
  label: "Task",
  component: "Radio",
  python: "Literal['transcribe', 'translate']",
  fallback: "transcribe",
};
const TIMESTAMPS: Parameter = {
  name: "return_timestamps",
  label: "Return timestamps",
  component: "Checkbox",
  python: "bool",
  fallback: false,
};
const AUDIO: Parameter = { name: "inputs", label: "Audio", component: "Audio", python: "filepath" };
const VIDEO_URL: Parameter = { name: "yt_url", label: "YouTube URL", component: "Textbox", python: "str" };
const TEXT: Parameter = { name: "text", label: "Transcription", component: "Textbox", python: "str" };
const SECONDS: Parameter = { name: "runtime", label: "Transcription Time (s)", component: "Number", python: "float" };
const EMBED: Parameter = { name: "html", label: "Video", component: "HTML", python: "str" };

/** In the order of the app's tabs, which gives them their names and numbers. */
export const ENDPOINTS: readonly GradioEndpoint[] = [
  { name: "predict", source: "microphone", inputs: [AUDIO, TASK, TIMESTAMPS], outputs: [TEXT, SECONDS] },
  { name: "predict_1", source: "file", inputs: [AUDIO, TASK, TIMESTAMPS], outputs: [TEXT, SECONDS] },
  { name: "predict_2", source: "video", inputs: [VIDEO_URL, TASK, TIMESTAMPS], outputs: [EMBED, TEXT, SECONDS] },
];

/** What a call asks for. */
export interface CallArguments {
  /** A file as the client names it, or a URL; null if there is none. */
  readonly input: string | null;
  /** Whether it was given as text alone, not as Gradio's FileData. */
  readonly isBare: boolean;
  readonly task: Task;
  readonly returnTimestamps: boolean;
}

/** A call that cannot be understood; the message is for the client. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
}

/**
 * Reads the arguments of a call. Those that are missing or null have their defaults, as clients that know a function's
 * parameters pad calls with nulls.
 *
 * @throws {ArgumentError} for arguments of another kind
 */
export function readArguments(endpoint: GradioEndpoint, data: readonly unknown[]): CallArguments {
  if (data.length > endpoint.inputs.length) {
    throw new ArgumentError(`Too many arguments: got ${data.length}, expected at most ${endpoint.inputs.length}`);
  }
  const [source, task, timestamps] = data;
  if (task !== undefined && task !== null && task !== "transcribe" && task !== "translate") {
    throw new ArgumentError('Value of "task" is not in the list of choices: ["transcribe", "translate"]');
  }
  if (timestamps !== undefined && timestamps !== null && typeof timestamps !== "boolean") {
    throw new ArgumentError('Value of "return_timestamps" is not true or false');
  }
  return {
    input: readSource(source),
    isBare: typeof source === "string",
    task: task ?? "transcribe",
    returnTimestamps: timestamps ?? false,
  };
}

/** Gradio's FileData, or the bare path or URL of it. */
function readSource(value: unknown): string | null {
  if (value === undefined || value === null || value === "") return null;
  if (typeof value === "string") return value;
  if (typeof value === "object") {
    const { path, url } = value as { readonly path?: unknown; readonly url?: unknown };
    const named = path ?? url;
    if (typeof named === "string" && named !== "") return named;
  }
  throw new ArgumentError("Value of the first argument is no file, expected one that was uploaded, or a URL");
}

/**
 * The arguments in order, given by name (`/call/v2`).
 *
 * @throws {ArgumentError} for names that the function does not have
 */
export function positional(endpoint: GradioEndpoint, named: Readonly<Record<string, unknown>>): unknown[] {
  const names = endpoint.inputs.map(({ name }) => name);
  for (const name of Object.keys(named)) {
    if (!names.includes(name)) throw new ArgumentError(`Parameter "${name}" is not one of ${names.join(", ")}`);
  }
  return names.map((name) => (Object.hasOwn(named, name) ? named[name] : null));
}

/**
 * What clients read first. `root` is left out: clients then take the address that they were given, which is right behind
 * every proxy.
 */
export function configDocument(appId: number): object {
  const components: { id: number; type: string; props: object; component_class_id: string }[] = [];
  const add = ({ component, label }: Parameter): number => {
    const id = components.length + 1;
    const type = component.toLowerCase();
    components.push({ id, type, props: { label, name: type, visible: true }, component_class_id: type });
    return id;
  };
  const dependencies = ENDPOINTS.map((endpoint, id) => {
    const inputs = endpoint.inputs.map(add);
    const outputs = endpoint.outputs.map(add);
    return {
      id,
      api_name: endpoint.name,
      api_visibility: "public",
      show_api: true,
      targets: [[inputs[0], "click"]],
      inputs,
      outputs,
      queue: true,
      backend_fn: true,
      js: null,
      types: { generator: false, cancel: false },
      connection: "sse",
      batch: false,
      cancels: [],
      collects_event_data: false,
      max_batch_size: 4,
      scroll_to_output: false,
      show_progress: "full",
      trigger: null,
      trigger_after: null,
      trigger_mode: "once",
      time_limit: null,
      rendered_in: null,
    };
  });
  const ids = components.map(({ id }) => id);
  const layout = { id: 0, children: ids.map((id) => ({ id })) };
  return {
    version: GRADIO_VERSION,
    api_prefix: API_PREFIX,
    protocol: "sse_v3",
    app_id: appId,
    title: "sotto",
    mode: "tabbed_interface",
    enable_queue: true,
    connect_heartbeat: false,
    run_history: false,
    is_space: false,
    is_colab: false,
    dev_mode: false,
    analytics_enabled: false,
    auth_required: false,
    space_id: null,
    username: null,
    show_api: true,
    components,
    dependencies,
    layout,
    pages: [["", "Home", true]],
    page: { "": { components: ids, dependencies: dependencies.map(({ id }) => id), layout } },
    current_page: "",
  };
}

const TYPES: Readonly<Record<Parameter["component"], object>> = {
  Audio: {
    type: "object",
    title: "FileData",
    description: "a file that was uploaded, or a URL",
    properties: {
      path: { type: "string", title: "Path" },
      url: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
      orig_name: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
      meta: { type: "object", properties: { _type: { const: "gradio.FileData" } } },
    },
    required: ["path"],
  },
  Radio: { type: "string", enum: ["transcribe", "translate"] },
  Checkbox: { type: "boolean" },
  Textbox: { type: "string" },
  HTML: { type: "string" },
  Number: { type: "number" },
};

/** What the functions take and give, for clients that pass arguments by name. */
export function infoDocument(): object {
  const describe = (parameter: Parameter): object => ({
    label: parameter.label,
    type: TYPES[parameter.component],
    python_type: { type: parameter.python, description: "" },
    component: parameter.component,
  });
  const describeInput = (parameter: Parameter): object => ({
    ...describe(parameter),
    parameter_name: parameter.name,
    parameter_has_default: parameter.fallback !== undefined,
    parameter_default: parameter.fallback ?? null,
    example_input: parameter.fallback ?? null,
  });
  const named = ENDPOINTS.map(({ name, inputs, outputs }) => [
    `/${name}`,
    { parameters: inputs.map(describeInput), returns: outputs.map(describe), api_visibility: "public", show_api: true },
  ]);
  return { named_endpoints: Object.fromEntries(named) as object, unnamed_endpoints: {} };
}
