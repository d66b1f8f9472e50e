/** The likeliest token at every turn, in the engine's own loop: the fast search. */
import { hypothesisOf } from "./result.ts";
import { applyRules, startSearch, type SearchOutcome, type SearchTask } from "./search-task.ts";
import { topTokens } from "../engine/token-scores.ts";

/** Decodes a window greedily; the task has no phrases, which engines do not know. */
export async function greedyText(task: SearchTask): Promise<SearchOutcome> {
  const { engine, audio, window, prompt, sotIndex, noSpeech, rules, maxTurns } = task;
  const maxNewTokens = Math.min(maxTurns, engine.dimensions.nTextCtx - prompt.length);
  const request = { window, prompt, sotIndex, noSpeech, rules, maxNewTokens };
  const [generated] = await engine.generate(audio, [request]);
  const { noSpeechProb } = generated;
  let hypothesis = hypothesisOf(generated);
  if (hypothesis.stop === "length" && hypothesis.tokens.length < maxTurns) {
    // The token past the end of the context, which engines do not generate since it can never be read.
    const { tokens, sumLogprob } = hypothesis;
    const { state, logits } = await startSearch({ ...task, prompt: [...prompt, ...tokens] }, 1);
    state.dispose();
    applyRules(task, logits[0], tokens);
    const { ids, logprobs } = topTokens(logits[0], 1);
    hypothesis = {
      tokens: ids[0] === rules.eot ? tokens : [...tokens, ids[0]],
      sumLogprob: sumLogprob + logprobs[0],
      stop: ids[0] === rules.eot ? "eot" : "length",
    };
  }
  return { hypotheses: [hypothesis], noSpeechProb };
}
