/**
 * What the ffmpeg program writes on stderr at `-loglevel level+info`: complaints, and the file's audio tracks.
 */

/** Characters of a line, lines of complaint and tracks that are kept: a damaged hour gives megabytes. */
const MAX_LINE = 4096;
const MAX_COMPLAINTS = 2;
const MAX_TRACKS = 1000;

const LEVEL = /^(?:\[[^\]]* @ [^\]]*\] )?\[(info|warning|verbose|debug)\] ?/;
const INPUT_STREAM = /^\s*Stream #0:(\d+)(?:\[[^\]]*\])?(?:\(([^)]*)\))?: (\w+)/;
const TITLE = /^\s*title\s*: (.*)/;
const MAPPING = /^\s*Stream #0:(\d+) -> #0:/;

/** Fed with text in pieces of any size. */
export class FfmpegLog {
  /** Audio tracks of the file, in order. */
  readonly tracks: { language: string | null; title: string | null }[] = [];
  private readonly complaints: string[] = [];
  private readonly streams: number[] = []; // index among all streams, of each track
  private takenStream = -1;
  private last: { title: string | null } | null = null;
  private isInput = true;
  private line = "";

  add(text: string): void {
    const lines = (this.line + text).split(/\r?\n|\r/);
    this.line = (lines.pop() ?? "").slice(0, MAX_LINE);
    for (const line of lines) this.read(line);
  }

  /** The first complaints, without memory addresses; "" if there were none. */
  get complaint(): string {
    if (this.line !== "") this.read(this.line);
    this.line = "";
    return this.complaints.join("; ");
  }

  /** Number of the track that is decoded, from 1. */
  get taken(): number {
    return Math.max(0, this.streams.indexOf(this.takenStream)) + 1;
  }

  private read(line: string): void {
    const level = LEVEL.exec(line);
    if (level === null) {
      const text = line
        .replace(/\[(error|fatal|panic)\] /, "")
        .replace(/\[([^\]@]+) @ [^\]]+\]/g, "$1:")
        .trim();
      if (text !== "" && this.complaints.length < MAX_COMPLAINTS) this.complaints.push(text);
      return;
    }
    this.readInfo(line.slice(level[0].length));
  }

  private readInfo(text: string): void {
    const mapping = MAPPING.exec(text);
    if (mapping !== null) this.takenStream = Number(mapping[1]);
    if (text.startsWith("Output #")) this.isInput = false;
    if (!this.isInput) return;
    const stream = INPUT_STREAM.exec(text);
    if (stream !== null) {
      const track = { language: stream[2] ?? null, title: null };
      this.last = track;
      if (stream[3] !== "Audio" || this.tracks.length === MAX_TRACKS) return;
      this.tracks.push(track);
      this.streams.push(Number(stream[1]));
    }
    const title = TITLE.exec(text);
    if (title !== null && this.last !== null) this.last.title ??= title[1];
  }
}
