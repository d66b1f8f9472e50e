/**
 * What was transcribed, kept in this browser (IndexedDB) and nowhere else: a list, transcripts, and recordings where they
 * are small enough. Lists are read often and transcripts seldom, so they lie apart.
 */

import type { Coverage, Segment } from "../../../src/transcription/transcript.ts";
import type { JobOptions, Task } from "../api.ts";

/** Why there is no text, and what can be done. */
export interface Failure {
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What a list shows of a transcript. */
export interface Entry {
  readonly id: string;
  readonly name: string;
  readonly kind: "file" | "recording" | "link" | "live";
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly url?: string;
  readonly task: Task;
  readonly model?: string;
  /** Code. */
  readonly language: string;
  readonly languageProbability: number | null;
  /** Codes of all that are spoken, those that are spoken most first; missing in entries of older pages. */
  readonly languages?: readonly string[];
  /** Of the audio, in seconds. */
  readonly duration: number;
  /** The beginning of the text. */
  readonly excerpt: string;
  readonly warnings: readonly string[];
  /** How much of the speech has text, where the server looked for speech. */
  readonly coverage?: Coverage;
  /** Set while the server still works on it. */
  readonly jobId?: string;
  /** Set where there is no text because something went wrong. */
  readonly failure?: Failure;
  /** What the server was asked for, so that it can be asked again. */
  readonly options?: JobOptions;
  /** Of the recording that is kept; 0 for none. */
  readonly audioBytes: number;
}

export interface StoredTranscript {
  readonly segments: readonly Segment[];
  /** As the model wrote it; only where a person changed it. */
  readonly original?: readonly Segment[];
}

/** A list that nobody reads to its end. The oldest go first. */
export const MAX_ENTRIES = 200;
/** Of one recording, in bytes: an hour and a half of mp3. Larger ones are not kept. */
export const MAX_AUDIO = 100e6;
/** Of all recordings, in bytes; the oldest go first, their transcripts stay. Browsers give a page some gigabytes. */
export const MAX_AUDIO_TOTAL = 500e6;

/** A name for a new entry. Pages that came over plain http have no `crypto.randomUUID`. */
export function randomId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const NAME = "sotto";
const STORES = ["entries", "transcripts", "audio"] as const;
type Store = (typeof STORES)[number];

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("The browser's storage failed"));
  });
}

export class History {
  /** Told when another tab has changed something. */
  onChange: () => void = () => undefined;
  private readonly channel = new BroadcastChannel("sotto.history");

  private constructor(private readonly database: IDBDatabase) {
    this.channel.onmessage = () => this.onChange();
  }

  /** @throws if the browser stores nothing, as in some private windows */
  static async open(): Promise<History> {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const store of STORES) request.result.createObjectStore(store);
    };
    const database = await result(request);
    // Another tab with a newer page may change the layout.
    database.onversionchange = () => database.close();
    return new History(database);
  }

  /** Newest first. */
  async list(): Promise<Entry[]> {
    const entries = (await this.read("entries", (store) => store.getAll())) as Entry[];
    return entries.sort((a, b) => b.createdAt - a.createdAt);
  }

  async entry(id: string): Promise<Entry | undefined> {
    return (await this.read("entries", (store) => store.get(id))) as Entry | undefined;
  }

  async transcript(id: string): Promise<StoredTranscript | undefined> {
    return (await this.read("transcripts", (store) => store.get(id))) as StoredTranscript | undefined;
  }

  async audio(id: string): Promise<Blob | undefined> {
    return (await this.read("audio", (store) => store.get(id))) as Blob | undefined;
  }

  /** Keeps an entry and, where given, its transcript. */
  async put(entry: Entry, transcript?: StoredTranscript): Promise<void> {
    await this.write(["entries", "transcripts"], (store) => {
      store("entries").put(entry, entry.id);
      if (transcript !== undefined) store("transcripts").put(transcript, entry.id);
    });
    const entries = await this.list();
    for (const { id } of entries.slice(MAX_ENTRIES)) await this.delete(id);
  }

  /**
   * Keeps a recording, if it is small enough; older ones make room.
   *
   * @returns the entry as it is now: `audioBytes` says whether it is kept
   */
  async putAudio(entry: Entry, audio: Blob): Promise<Entry> {
    if (audio.size > MAX_AUDIO) return entry;
    const others = (await this.list()).filter(({ id }) => id !== entry.id);
    let total = others.reduce((sum, { audioBytes }) => sum + audioBytes, 0);
    for (const old of others.reverse()) {
      if (total + audio.size <= MAX_AUDIO_TOTAL) break;
      if (old.audioBytes === 0) continue;
      total -= old.audioBytes;
      await this.write(["entries", "audio"], (store) => {
        store("entries").put({ ...old, audioBytes: 0 }, old.id);
        store("audio").delete(old.id);
      });
    }
    const kept = { ...entry, audioBytes: audio.size };
    try {
      await this.write(["entries", "audio"], (store) => {
        store("entries").put(kept, kept.id);
        store("audio").put(audio, kept.id);
      });
      return kept;
    } catch {
      // The disk is full: the transcript is worth more than the recording.
      return entry;
    }
  }

  async delete(id: string): Promise<void> {
    await this.write(STORES, (store) => STORES.forEach((name) => store(name).delete(id)));
  }

  async clear(): Promise<void> {
    await this.write(STORES, (store) => STORES.forEach((name) => store(name).clear()));
  }

  private read<T>(store: Store, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return result(ask(this.database.transaction(store).objectStore(store)));
  }

  private write(stores: readonly Store[], change: (store: (name: Store) => IDBObjectStore) => void): Promise<void> {
    const transaction = this.database.transaction([...stores], "readwrite");
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => {
        this.channel.postMessage("changed");
        resolve();
      };
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser's storage failed"));
      change((name) => transaction.objectStore(name));
    });
  }
}
