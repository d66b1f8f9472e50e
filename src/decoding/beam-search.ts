/**
 * Beam search of one window, turn by turn as openai/whisper's BeamSearchDecoder (facts 2.4.9). What differs is where beams
 * lie: a beam stays in the row of the one that it goes on from, so that caches move only when a beam splits.
 */
import type { DecoderState } from "../engine/engine.ts";
import type { Hypothesis } from "./result.ts";
import { applyRules, splitRows, startSearch, type SearchOutcome, type SearchTask } from "./search-task.ts";
import { topTokens } from "../engine/token-scores.ts";

interface Beam {
  readonly tokens: readonly number[];
  readonly sumLogprob: number;
  /** Row of the decoder state that has read all of its tokens but the last. */
  readonly row: number;
}

/** A beam and one token more. */
interface Candidate {
  readonly beam: Beam;
  readonly token: number;
  readonly sumLogprob: number;
}

/**
 * Searches with beams: each is continued by its `beamSize + 1` likeliest tokens, the best `beamSize` of all go on, and those
 * better than them that end are finished.
 *
 * @param maxCandidates finished texts that end the search
 * @returns the finished texts in the order they ended, with the best unfinished ones where fewer than `beamSize` have
 */
export async function beamSearch(
  task: SearchTask,
  { beamSize, maxCandidates }: { readonly beamSize: number; readonly maxCandidates: number },
): Promise<SearchOutcome> {
  const { engine, rules, maxTurns } = task;
  const start = await startSearch(task, beamSize);
  const finished: Hypothesis[] = [];
  // The rows are equal at first: one beam, whose continuations fill them.
  let beams: Beam[] = [{ tokens: [], sumLogprob: 0, row: 0 }];
  try {
    for (let turn = 0; turn < maxTurns && beams.length > 0; turn++) {
      if (turn > 0) {
        const { beams: placed, from } = place(beams, beamSize);
        beams = placed;
        if (turn > 1 && from.some((row, i) => row !== i)) await engine.reorder(start.state, from);
      }
      const found =
        turn === 0 ? rank(task, beams, start.logits, beamSize) : await step(task, start.state, beams, beamSize);
      const { going, ended } = select(found, beamSize, rules.eot);
      if (going.length + ended.length === 0) break; // the rules leave nothing
      for (const { beam, sumLogprob } of ended.slice(0, maxCandidates - finished.length)) {
        finished.push({ tokens: beam.tokens, sumLogprob, stop: "eot" });
      }
      beams = going.map(({ beam, token, sumLogprob }) => ({
        tokens: [...beam.tokens, token],
        sumLogprob,
        row: beam.row,
      }));
      if (finished.length >= maxCandidates) break;
    }
  } finally {
    start.state.dispose();
  }
  return {
    hypotheses: [...finished, ...unfinished(beams, beamSize - finished.length)],
    noSpeechProb: start.noSpeechProb,
  };
}

/** Reads each beam's last token; every beam's best continuations, in the order of the beams. */
async function step(
  task: SearchTask,
  state: DecoderState,
  beams: readonly Beam[],
  beamSize: number,
): Promise<Candidate[]> {
  const { engine, rules, phrases } = task;
  // Rows without a beam read anything.
  const generated = new Array<readonly number[]>(beamSize).fill([rules.eot]);
  for (const { tokens, row } of beams) generated[row] = tokens;
  const tokens = Int32Array.from(generated, (text) => text[text.length - 1]);
  if (phrases !== null) {
    const logits = splitRows(await engine.step(state, tokens), engine.dimensions.nVocab);
    return rank(task, beams, logits, beamSize);
  }
  const k = beamSize + 1;
  const { ids, logprobs } = await engine.stepRanked(state, { tokens, generated, rules, k });
  return beams.flatMap((beam) => {
    const from = beam.row * k;
    const own = ids.subarray(from, from + k);
    return continued(
      beam,
      [...own].filter((id) => id >= 0),
      logprobs.subarray(from, from + k),
    );
  });
}

/** Every beam's best continuations by logits [nVocab] of its row, which are changed in place. */
function rank(
  task: SearchTask,
  beams: readonly Beam[],
  logits: readonly Float32Array[],
  beamSize: number,
): Candidate[] {
  return beams.flatMap((beam) => {
    applyRules(task, logits[beam.row], beam.tokens);
    const { ids, logprobs } = topTokens(logits[beam.row], beamSize + 1);
    return continued(beam, ids, logprobs);
  });
}

function continued(beam: Beam, ids: readonly number[], logprobs: ArrayLike<number>): Candidate[] {
  return ids.map((token, i) => ({ beam, token, sumLogprob: beam.sumLogprob + logprobs[i] }));
}

/** The best continuations that go on, and those before the last of them that end; the earlier candidate wins a tie. */
function select(all: readonly Candidate[], beamSize: number, eot: number): { going: Candidate[]; ended: Candidate[] } {
  const going: Candidate[] = [];
  const ended: Candidate[] = [];
  for (const candidate of [...all].sort((a, b) => b.sumLogprob - a.sumLogprob)) {
    (candidate.token === eot ? ended : going).push(candidate);
    if (going.length === beamSize) break;
  }
  return { going, ended };
}

/**
 * Gives every beam a row of its own: the first to go on from a row keeps it, the others get rows that are free.
 *
 * @returns the beams, and for each row the one that it is to be a copy of
 */
function place(beams: readonly Beam[], rows: number): { beams: Beam[]; from: Int32Array } {
  const from = Int32Array.from({ length: rows }, (_, row) => row);
  const keepers = new Map<number, Beam>();
  for (const beam of beams) if (!keepers.has(beam.row)) keepers.set(beam.row, beam);
  const free = [...from].filter((row) => !keepers.has(row));
  const placed = beams.map((beam) => {
    if (keepers.get(beam.row) === beam) return beam;
    const row = free.shift()!;
    from[row] = beam.row;
    return { ...beam, row };
  });
  return { beams: placed, from };
}

/** The best beams that have not ended; the later one wins a tie, as numpy's sort read backwards has it. */
function unfinished(beams: readonly Beam[], count: number): Hypothesis[] {
  return [...beams]
    .reverse()
    .sort((a, b) => b.sumLogprob - a.sumLogprob)
    .slice(0, Math.max(0, count))
    .map(({ tokens, sumLogprob }) => ({ tokens, sumLogprob, stop: "length" }));
}
