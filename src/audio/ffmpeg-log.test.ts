import { describe, expect, it } from "vitest";

import { FfmpegLog } from "./ffmpeg-log.ts";

const LOG = `[info] Input #0, matroska,webm, from 'file:film.mkv':
[info]   Metadata:
[info]     title           : The film
[info]   Duration: 00:00:11.01, start: -0.007000, bitrate: 62 kb/s
[info]   Stream #0:0(eng): Video: h264 (High), yuv420p, 1920x1080
[info]     Metadata:
[info]       title           : The picture
[info]   Stream #0:1(ger): Audio: opus, 48000 Hz, stereo, fltp (default)
[info]   Stream #0:2[0x101](eng): Audio: opus, 48000 Hz, mono, fltp
[info]     Metadata:
[info]       title           : Commentary: the director
[mp3 @ 0x55d0c0] [warning] Estimating duration from bitrate
[mp3float @ 0x55d0c0] [error] Header missing
[info] Stream mapping:
[info]   Stream #0:2 -> #0:0 (opus (native) -> pcm_f32le (native))
[info]   Stream #0:0 -> #1:0 (copy)
[error] Error while decoding stream #0:2: Invalid data
[error] Another error
[info] Output #0, wav, to 'pipe:1':
[info]   Stream #0:0: Audio: pcm_f32le, 48000 Hz, mono, flt, 1536 kb/s
`;

describe("FfmpegLog", () => {
  it.each([1, 7, 100_000])("finds tracks and complaints in pieces of %d characters", (size) => {
    const log = new FfmpegLog();
    for (let at = 0; at < LOG.length; at += size) log.add(LOG.slice(at, at + size));
    expect(log.tracks).toEqual([
      { language: "ger", title: null },
      { language: "eng", title: "Commentary: the director" },
    ]);
    expect(log.taken).toBe(2);
    expect(log.complaint).toBe("mp3float: Header missing; Error while decoding stream #0:2: Invalid data");
  });

  it("reads a last line without an end", () => {
    const log = new FfmpegLog();
    log.add("nothing works");
    expect(log.complaint).toBe("nothing works");
    expect(log.taken).toBe(1);
  });
});
