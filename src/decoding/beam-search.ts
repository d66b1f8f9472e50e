/**
 * Beam search, turn by turn as openai/whisper's BeamSearchDecoder (facts 2.4.9), of several windows at once: their beams are rows of one
 * decoder state, so that the weights are read once a step for all of them. A window's beams depend on no other's.
 *
 * What differs from openai/whisper is where beams lie: a beam stays in the row of the one that it continues, so that caches move only when a
 * beam splits.
 */
import type { DecoderState } from "../engine/engine.ts";
import type { Hypothesis } from "./result.ts";
import {
  applyRules,
  splitRows,
  startSearches,
  type SearchOutcome,
  type SearchStart,
  type SearchTask,
} from "./search-task.ts";
import { IDLE, topTokens } from "../engine/token-scores.ts";

export interface BeamOptions {
  readonly beamSize: number;
  /** Finished hypotheses that end the search of a window. */
  readonly maxCandidates: number;
}

interface Beam {
  readonly tokens: readonly number[];
  readonly sumLogprob: number;
  /** Row of its window, 0 to `beamSize` - 1, that has read all of its tokens but the last. */
  readonly row: number;
}

/** A beam and one token more. */
interface Candidate {
  readonly beam: Beam;
  readonly token: number;
  readonly sumLogprob: number;
}

/**
 * Searches windows of one audio state with beams: each beam is continued by its `beamSize + 1` likeliest tokens, the best `beamSize` of all
 * go on, and those better than them that end are finished.
 *
 * @param tasks at least one; of the same engine, audio, rules and phrases, with prompts of the same length, each for another window
 * @param onOutcome called with the index of each task and its outcome as soon as that is there: the finished hypotheses in the order they
 *   ended, with the best unfinished ones where fewer than `beamSize` have
 */
export async function beamSearch(
  tasks: readonly SearchTask[],
  options: BeamOptions,
  onOutcome: (index: number, outcome: SearchOutcome) => void,
): Promise<void> {
  const [{ engine }] = tasks;
  const { beamSize } = options;
  const { state, starts } = await startSearches(tasks, beamSize);
  const searches = tasks.map((task, i) => new WindowSearch(task, starts[i], options));
  const open = new Set(searches.keys());
  const settle = (): void => {
    for (const i of open) {
      if (!searches[i].isOver) continue;
      open.delete(i);
      onOutcome(i, searches[i].outcome);
    }
  };
  try {
    for (const [i, search] of searches.entries()) search.takeLogits(starts[i].logits);
    settle();
    for (let turn = 1; open.size > 0; turn++) {
      const from = searches.flatMap((search, i) => search.place().map((row) => i * beamSize + row));
      if (turn > 1 && from.some((row, i) => row !== i)) await engine.reorder(state, Int32Array.from(from));
      await step(searches, state, beamSize);
      settle();
    }
  } finally {
    state.dispose();
  }
}

/** Reads the last token of every beam, and gives every search what may follow. */
async function step(searches: readonly WindowSearch[], state: DecoderState, beamSize: number): Promise<void> {
  const [{ task }] = searches;
  const { engine, rules, phrases } = task;
  const generated = searches.flatMap((search) => search.rows());
  const last = Int32Array.from(generated, (sequence) => sequence[sequence.length - 1]);
  if (phrases !== null) {
    const logits = splitRows(await engine.step(state, last), engine.dimensions.nVocab);
    for (const [i, search] of searches.entries()) search.takeLogits(logits.slice(i * beamSize, (i + 1) * beamSize));
    return;
  }
  const k = beamSize + 1;
  // Windows whose search is over cost nothing.
  const tokens = last.map((token, row) => (searches[Math.floor(row / beamSize)].isOver ? IDLE : token));
  const { ids, logprobs } = await engine.stepRanked(state, { tokens, generated, rules, k });
  for (const [i, search] of searches.entries()) {
    const [begin, end] = [i * beamSize * k, (i + 1) * beamSize * k];
    search.takeRanked(ids.subarray(begin, end), logprobs.subarray(begin, end));
  }
}

/** The search of one window. */
class WindowSearch {
  readonly task: SearchTask;
  readonly #beamSize: number;
  readonly #maxCandidates: number;
  readonly #noSpeechProb: number;
  readonly #finished: Hypothesis[] = [];
  /** The rows are equal at first: one beam, whose continuations fill them. */
  #beams: readonly Beam[] = [{ tokens: [], sumLogprob: 0, row: 0 }];
  #turns = 0;

  constructor(task: SearchTask, { noSpeechProb }: SearchStart, { beamSize, maxCandidates }: BeamOptions) {
    this.task = task;
    this.#beamSize = beamSize;
    this.#maxCandidates = maxCandidates;
    this.#noSpeechProb = noSpeechProb;
  }

  get isOver(): boolean {
    return (
      this.#turns >= this.task.maxTurns || this.#beams.length === 0 || this.#finished.length >= this.#maxCandidates
    );
  }

  get outcome(): SearchOutcome {
    const open = unfinished(this.#beams, this.#beamSize - this.#finished.length);
    return { hypotheses: [...this.#finished, ...open], noSpeechProb: this.#noSpeechProb };
  }

  /** Logits [nVocab] of each row, which are changed in place. */
  takeLogits(logits: readonly Float32Array[]): void {
    if (!this.isOver) this.#take(this.#rank(logits));
  }

  /** The likeliest tokens of each row, [beamSize, beamSize + 1]. */
  takeRanked(ids: Int32Array, logprobs: Float32Array): void {
    if (this.isOver) return;
    const k = this.#beamSize + 1;
    const found = this.#beams.flatMap((beam) => {
      const from = beam.row * k;
      const own = ids.subarray(from, from + k);
      return continued(
        beam,
        [...own].filter((id) => id >= 0),
        logprobs.subarray(from, from + k),
      );
    });
    this.#take(found);
  }

  /** Gives every beam a row of its own. @returns for each row the one that it is to be a copy of */
  place(): number[] {
    if (this.isOver) return Array.from({ length: this.#beamSize }, (_, row) => row);
    const { beams, from } = place(this.#beams, this.#beamSize);
    this.#beams = beams;
    return from;
  }

  /** The tokens of each row. Rows without a beam read anything. */
  rows(): (readonly number[])[] {
    const generated = new Array<readonly number[]>(this.#beamSize).fill([this.task.rules.eot]);
    if (!this.isOver) for (const { tokens, row } of this.#beams) generated[row] = tokens;
    return generated;
  }

  /** Every beam's best continuations by logits [nVocab] of its row, which are changed in place. */
  #rank(logits: readonly Float32Array[]): Candidate[] {
    return this.#beams.flatMap((beam) => {
      applyRules(this.task, logits[beam.row], beam.tokens);
      const { ids, logprobs } = topTokens(logits[beam.row], this.#beamSize + 1);
      return continued(beam, ids, logprobs);
    });
  }

  #take(found: readonly Candidate[]): void {
    this.#turns++;
    const { going, ended } = select(found, this.#beamSize, this.task.rules.eot);
    if (going.length + ended.length === 0) {
      this.#turns = this.task.maxTurns; // the rules leave nothing
      return;
    }
    for (const { beam, sumLogprob } of ended.slice(0, this.#maxCandidates - this.#finished.length)) {
      this.#finished.push({ tokens: beam.tokens, sumLogprob, stop: "eot" });
    }
    this.#beams = going.map(({ beam, token, sumLogprob }) => ({
      tokens: [...beam.tokens, token],
      sumLogprob,
      row: beam.row,
    }));
  }
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
function place(beams: readonly Beam[], rows: number): { beams: Beam[]; from: number[] } {
  const from = Array.from({ length: rows }, (_, row) => row);
  const keepers = new Map<number, Beam>();
  for (const beam of beams) if (!keepers.has(beam.row)) keepers.set(beam.row, beam);
  const free = from.filter((row) => !keepers.has(row));
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
