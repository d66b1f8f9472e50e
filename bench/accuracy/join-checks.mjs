// What must hold for the transcript of a join, whose clips' places and texts are known.
import { align } from "../../dist/evaluation/index.js";
import { wordsOf } from "./words.mjs";

/** Seconds that a segment's start or end may be from that of the clip that it begins or ends with. */
const TIME_TOLERANCE = 0.3;
/** Seconds that a segment may reach beyond speech. */
const OUTSIDE_TOLERANCE = 0.5;
/** A clip of which more than this share of words is missing is lost: a weak model mishears words, but it leaves few out. */
const MISSING_SHARE = 0.4;
/** Against rounding of times. */
const EPSILON = 0.011;

/**
 * @param {ReturnType<import("./join-clips.mjs").makeJoin>} joined
 * @param {import("../../dist/index.js").Transcript} transcript
 * @returns {{ rule: "coverage" | "order" | "time" | "outside", message: string }[]} empty if all is well
 */
export function violationsOf(joined, { segments, coverage, duration }) {
  const { language, clips } = joined;
  const rows = segments.map(({ start, end, text }) => ({ start, end, words: wordsOf(text, language) }));
  const placed = placeWords(rows, clips, language);
  return [
    ...lostClips(clips, placed, coverage),
    ...disorder(segments, duration),
    ...wrongTimes(rows, clips, placed),
    ...outsideSpeech(segments, clips),
  ];
}

/**
 * Which word of which clip each word of the segments is.
 *
 * @returns {{ places: ({ clip: number, word: number } | null)[], lengths: number[], missing: number[] }} place of each word in order, null for
 *   words that nobody said; number of words of each clip; how many of them are missing
 */
function placeWords(rows, clips, language) {
  const said = clips.flatMap(({ text }, clip) =>
    wordsOf(text, language).map((word, i) => ({ clip, word: i, key: word })),
  );
  const written = rows.flatMap(({ words }) => words);
  const places = written.map(() => null);
  const lengths = clips.map((_, clip) => said.filter((one) => one.clip === clip).length);
  const missing = clips.map(() => 0);
  const { edits } = align(
    said.map(({ key }) => key),
    written,
  );
  for (const {
    kind,
    reference: [r0, r1],
    hypothesis: [h0],
  } of edits) {
    for (let i = r0; i < r1; i++) {
      const { clip, word } = said[i];
      if (kind === "deletion") missing[clip]++;
      else places[h0 + i - r0] = { clip, word };
    }
  }
  return { places, lengths, missing };
}

function lostClips(clips, { lengths, missing }, coverage) {
  const lost = clips.flatMap(({ name, start }, i) =>
    missing[i] > MISSING_SHARE * lengths[i]
      ? [
          {
            rule: "coverage",
            message: `${missing[i]} of ${lengths[i]} words of ${name} at ${start.toFixed(2)} s are missing`,
          },
        ]
      : [],
  );
  const told = (coverage?.untranscribed ?? []).map(({ start, end }) => ({
    rule: "coverage",
    message: `by its own report there is no text for ${start.toFixed(2)}-${end.toFixed(2)} s`,
  }));
  return [...lost, ...told];
}

function disorder(segments, duration) {
  return segments.flatMap(({ start, end }, i) => {
    const before = i === 0 ? 0 : segments[i - 1].end;
    const at = `segment ${start.toFixed(2)}-${end.toFixed(2)}`;
    if (end < start - EPSILON) return [{ rule: "order", message: `${at} ends before it starts` }];
    if (start < before - EPSILON)
      return [{ rule: "order", message: `${at} starts before ${before.toFixed(2)}, where the last one ends` }];
    if (end > duration + EPSILON)
      return [{ rule: "order", message: `${at} ends after the audio, ${duration.toFixed(2)} s` }];
    return [];
  });
}

/** Segments that begin with the first word of a clip begin when it does, and those that end with the last one end with it. */
function wrongTimes(rows, clips, { places, lengths }) {
  const faults = [];
  let at = 0;
  for (const { start, end, words } of rows) {
    const first = places[at];
    const last = places[at + words.length - 1];
    at += words.length;
    if (words.length === 0) continue;
    if (first?.word === 0) check("starts", start, clips[first.clip], clips[first.clip].start);
    if (last && last.word === lengths[last.clip] - 1) check("ends", end, clips[last.clip], clips[last.clip].end);
  }
  return faults;

  function check(verb, time, { name }, truth) {
    if (Math.abs(time - truth) <= TIME_TOLERANCE) return;
    faults.push({
      rule: "time",
      message: `the segment of ${name} ${verb} at ${time.toFixed(2)}, speech at ${truth.toFixed(2)}`,
    });
  }
}

/** Parts of segments that are further than the tolerance from all speech. */
function outsideSpeech(segments, clips) {
  const gaps = [...clips, { start: Infinity }].map(({ start }, i) => ({
    from: (i === 0 ? -Infinity : clips[i - 1].end) + OUTSIDE_TOLERANCE,
    to: start - OUTSIDE_TOLERANCE,
  }));
  return segments.flatMap(({ start, end, text }) =>
    gaps
      .filter(({ from, to }) => from < to && Math.min(end, to) - Math.max(start, from) > EPSILON)
      .map(({ from, to }) => ({
        rule: "outside",
        message: `segment ${start.toFixed(2)}-${end.toFixed(2)} "${text.trim().slice(0, 40)}" is where nobody speaks, ${from.toFixed(2)}-${to.toFixed(2)}`,
      })),
  );
}
