/** One engine for many callers. */
export {
  EngineScheduler,
  type ClientOptions,
  type SchedulerCounters,
  type SchedulerOptions,
} from "./engine-scheduler.ts";
