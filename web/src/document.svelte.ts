/** A transcript that is open on the page: what it says, the recording it was made of, and what a person changed. */

import type { Segment, Transcript } from "./api.ts";
import { editSegment } from "./lib/edit-words.ts";
import type { Entry, StoredTranscript } from "./lib/history.ts";

/** Names of files that never have a picture. */
const AUDIO_NAME = /\.(mp3|wav|flac|ogg|oga|opus|m4a|aac)([?#]|$)/i;

export class OpenDocument {
  entry = $state.raw() as Entry;
  segments = $state.raw<readonly Segment[]>([]);
  /** As the model wrote it; undefined while nothing was changed. */
  original = $state.raw<readonly Segment[] | undefined>();
  readonly audio: Blob | null;
  /** Where the page's player finds the recording, kept here or at its link; null where there is none. */
  readonly audioUrl: string | null;
  /** Whether it may have a picture; the player finds out. */
  readonly mayBeVideo: boolean;

  constructor(entry: Entry, { segments, original }: StoredTranscript, audio: Blob | null) {
    this.entry = entry;
    this.segments = segments;
    this.original = original;
    this.audio = audio;
    this.audioUrl = audio === null ? (entry.url ?? null) : URL.createObjectURL(audio);
    this.mayBeVideo = audio === null ? !AUDIO_NAME.test(entry.url ?? "") : !audio.type.startsWith("audio/");
  }

  get hasWords(): boolean {
    return this.segments.some(({ words }) => words !== undefined);
  }

  /** What downloads are written from: segments that were emptied are left out. */
  get transcript(): Transcript {
    const segments = this.segments.filter(({ text }) => text !== "").map((segment, id) => ({ ...segment, id }));
    const { language, languageProbability, duration, warnings, coverage } = this.entry;
    return {
      text: segments.map(({ text }) => text).join(""),
      segments,
      language,
      languageProbability,
      duration,
      ...(coverage !== undefined && { coverage }),
      warnings,
    };
  }

  get stored(): StoredTranscript {
    const { segments, original } = this;
    return { segments, ...(original !== undefined && { original }) };
  }

  /** @returns whether that changed anything */
  edit(index: number, text: string): boolean {
    const edited = editSegment(this.segments[index], text);
    if (edited.text.trim() === this.segments[index].text.trim()) return false;
    this.original ??= this.segments;
    this.segments = this.segments.with(index, edited);
    return true;
  }

  revert(): void {
    if (this.original !== undefined) this.segments = this.original;
    this.original = undefined;
  }

  close(): void {
    if (this.audio !== null && this.audioUrl !== null) URL.revokeObjectURL(this.audioUrl);
  }
}

/** The beginning of a text, for lists. */
export function excerpt(segments: readonly Segment[]): string {
  let text = "";
  for (const segment of segments) {
    text += segment.text;
    if (text.length > 160) break;
  }
  return text.trim().slice(0, 160);
}
