/** The server: OpenAI's, whisper.cpp's and Gradio's protocols, jobs, live captions and the web page over one engine. */
export { readConfig, resolveConfig, type ConfigSources, type ServerConfig, type ServerOptions } from "./config.ts";
export { CONFIG_FIELDS, flagOf, variableOf, type ConfigField } from "./config-fields.ts";
export { startServer, type RunningServer, type ServerStartOptions } from "./server.ts";
export type {
  EngineLease,
  Job,
  JobAudio,
  JobEvent,
  JobOptions,
  JobRequest,
  JobStatus,
  ServedModel,
  TranscriptionService,
} from "./service.ts";
