/** The page's one state: which part is shown, what the server offers, choices, history, and what is under way. */

import { type Algorithm, ApiError, type JobOptions, listModels, type Model, type Task } from "./api.ts";
import { type Entry, History } from "./lib/history.ts";
import { LiveCaptions } from "./live.svelte.ts";
import { Player } from "./player.svelte.ts";
import { JobWatch } from "./job-watch.svelte.ts";
import type { Wait } from "./lib/line.ts";
import { Recorder } from "./recorder.svelte.ts";
import { type Failure, Session, type Source } from "./session.svelte.ts";

export type View = "transcribe" | "live" | "history";
export type Theme = "system" | "light" | "dark";

/** What a person chose, kept for the next time. */
interface Choices {
  task: Task;
  /** "" to let the model hear. */
  language: string;
  model: string;
  words: boolean;
  algorithm: Algorithm;
  prompt: string;
  languagePerWindow: boolean;
  subtitles: SubtitleChoices;
}

/** How subtitles are written that are taken away. */
export interface SubtitleChoices {
  /** Divided for reading; else a cue is a segment. */
  isReadable: boolean;
  width: number;
  lines: number;
  isHighlighted: boolean;
}

const CHOICES = "sotto.choices";
const THEME = "sotto.theme";
const DEFAULTS: Choices = {
  ...{ task: "transcribe", language: "", model: "", words: true },
  ...{ algorithm: "vad", prompt: "", languagePerWindow: false },
  subtitles: { isReadable: true, width: 42, lines: 2, isHighlighted: false },
};

class App {
  view = $state<View>("transcribe");
  models = $state.raw<readonly Model[]>([]);
  serverFailure = $state.raw<Failure | null>(null);
  /** Set while the page waits for a server that does not answer. */
  serverWait = $state.raw<Wait<ApiError> | null>(null);
  needsKey = $state(false);
  choices = $state<Choices>(DEFAULTS);
  theme = $state<Theme>("system");
  entries = $state.raw<readonly Entry[]>([]);
  history = $state.raw<History | null>(null);
  isHistoryOff = $state(false);
  isHelpOpen = $state(false);
  isKeyOpen = $state(false);
  /** Said to everyone for a moment, and by screen readers. */
  notice = $state("");
  /** What was chosen, and has not been started. */
  chosen = $state.raw<Source | null>(null);
  readonly recorder = new Recorder();
  readonly player = new Player();
  readonly live = new LiveCaptions();
  readonly session = new Session(
    () => this.history,
    () => void this.loadHistory(),
    () => (this.isKeyOpen = true),
  );
  readonly jobs = new JobWatch(
    (entry) => this.session.lose(entry),
    (entry, failure) => this.session.giveUp(entry, failure),
  );
  private noticeTimer: ReturnType<typeof setTimeout> | undefined;
  private modelsAbort: AbortController | null = null;

  get model(): Model | undefined {
    return this.models.find(({ id }) => id === this.choices.model) ?? this.models[0];
  }

  /** A prompt needs an algorithm that takes one. */
  get algorithm(): Algorithm {
    const { algorithm, prompt } = this.choices;
    return algorithm === "chunked" && prompt.trim() !== "" ? "vad" : algorithm;
  }

  /** Whether something is chosen that most people leave alone. */
  get hasMore(): boolean {
    const { algorithm, prompt, languagePerWindow } = this.choices;
    return algorithm !== "vad" || prompt !== "" || languagePerWindow;
  }

  /** As the server is asked. */
  get jobOptions(): JobOptions {
    const { task, language, words, prompt, languagePerWindow } = this.choices;
    const isMultilingual = this.model?.isMultilingual !== false;
    return {
      model: this.model?.id,
      task: isMultilingual ? task : "transcribe",
      language: isMultilingual && language !== "" ? language : undefined,
      hasWordTimes: words,
      algorithm: this.algorithm,
      ...(prompt.trim() !== "" && { prompt: prompt.trim() }),
      ...(isMultilingual && language === "" && languagePerWindow && { languagePerWindow }),
    };
  }

  constructor() {
    this.restoreChoices();
  }

  async begin(): Promise<void> {
    this.route();
    window.addEventListener("hashchange", () => this.route());
    void this.loadModels();
    const [own] = await Promise.all([this.session.restore(), this.openHistory()]);
    const left = this.entries.find(({ id }) => id === own);
    // Another tab may have found out by now that the job has failed.
    const isOpen = left?.jobId !== undefined || left?.failure !== undefined;
    if (isOpen && this.session.phase === "idle") await this.session.open(left);
  }

  /** Whether closing the page now would lose something. */
  get isUnsaved(): boolean {
    const isRecorded = this.recorder.isRecording || this.chosen?.kind === "recording" || !this.live.isEmpty;
    return isRecorded || this.session.phase === "sending";
  }

  /** Stops what is under way, and offers what it was made of again. */
  cancel(): void {
    this.chosen = this.session.cancel();
  }

  go(view: View): void {
    location.hash = view === "transcribe" ? "#/" : `#/${view}`;
  }

  say(notice: string): void {
    this.notice = notice;
    clearTimeout(this.noticeTimer);
    this.noticeTimer = setTimeout(() => (this.notice = ""), 4000);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    const { dataset } = document.documentElement;
    if (theme === "system") {
      delete dataset["theme"];
      localStorage.removeItem(THEME);
    } else {
      dataset["theme"] = theme;
      localStorage.setItem(THEME, theme);
    }
  }

  saveChoices(): void {
    localStorage.setItem(CHOICES, JSON.stringify(this.choices));
  }

  async loadModels(): Promise<void> {
    this.modelsAbort?.abort();
    const abort = new AbortController();
    this.modelsAbort = abort;
    try {
      this.models = await listModels((wait) => (this.serverWait = wait), abort.signal);
      this.serverFailure = null;
      this.needsKey = false;
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.needsKey = error.status === 401;
      if (this.needsKey) this.isKeyOpen = true;
      this.serverFailure = error;
    }
  }

  async loadHistory(): Promise<void> {
    if (this.history !== null) this.entries = await this.history.list();
  }

  private async openHistory(): Promise<void> {
    try {
      this.history = await History.open();
      this.history.onChange = () => void this.loadHistory();
      await this.loadHistory();
    } catch {
      this.isHistoryOff = true;
    }
  }

  private route(): void {
    const name = location.hash.replace(/^#\/?/, "");
    this.view = name === "live" || name === "history" ? name : "transcribe";
    if (this.view !== "live" && this.live.isActive) this.live.stop();
    if (this.view !== "transcribe") this.player.pause();
  }

  private restoreChoices(): void {
    const theme = localStorage.getItem(THEME);
    if (theme === "light" || theme === "dark") this.theme = theme;
    try {
      this.choices = { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(CHOICES) ?? "{}") as Partial<Choices>) };
    } catch {
      // Written by another page: the defaults hold.
    }
  }
}

export const app = new App();
