/**
 * The graph that generates: a Loop whose body is one decoder step and the choice of the next token by the rules.
 *
 * The same graph serves everything, so that its weights are in memory once: the first turn of the loop takes a whole prompt, and a
 * run of one turn is a plain step that gives logits. All state comes in and goes out, so that a caller may run some turns,
 * drop the rows that are done, and go on.
 *
 * "Masked" is a large negative number rather than -Infinity: differences of masked values stay numbers.
 */
import { decoderStep, type ModelDimensions, type SelfCache } from "../../model/index.ts";
import { GraphBuilder, type Value } from "../../onnx/index.ts";
import { crossCachePorts, type Port } from "./encoder-graph.ts";
import { OnnxOps } from "./ops.ts";
import type { Weights } from "./weights.ts";

/** Added to the logits of forbidden tokens; far below any logit, and far above the end of float32. */
export const MASKED = -1e30;

/** Self-attention caches of all layers, taken as `past_...` and given as `present_...`. */
export function selfCachePorts(dimensions: ModelDimensions): Port[] {
  const { nTextHead: heads, nTextState, nTextLayer } = dimensions;
  return Array.from({ length: 2 * nTextLayer }, (_, i) => ({
    name: `${i % 2 === 0 ? "key" : "value"}_${i >> 1}`,
    type: "float32",
    dims: ["rows", heads, "past", nTextState / heads],
  }));
}

/** Cross-attention queries of all layers in the last turn: word times are made of them. */
export function crossQueryPorts({ nTextLayer, nTextState }: ModelDimensions): Port[] {
  return Array.from({ length: nTextLayer }, (_, layer) => ({
    name: `cross_query_${layer}`,
    type: "float32",
    dims: ["rows", "queryLength", nTextState],
  }));
}

/**
 * State of the rows between runs. All int64 or bool [rows], except `begin`, a scalar.
 *
 * - begin: no token has been generated yet
 * - lastTimestamp: index after 0.00 of the newest timestamp, -1 without one
 * - lastIsTimestamp, penultimateIsTimestamp: of the last two tokens; a missing penultimate counts as one
 * - done: the row has ended
 */
export const ROW_STATE: readonly Port[] = [
  { name: "begin", type: "bool", dims: [] },
  { name: "lastTimestamp", type: "int64", dims: ["rows"] },
  { name: "lastIsTimestamp", type: "bool", dims: ["rows"] },
  { name: "penultimateIsTimestamp", type: "bool", dims: ["rows"] },
  { name: "done", type: "bool", dims: ["rows"] },
];

/**
 * Inputs: `turns` (most tokens to generate), `tokens` [rows, length], `select` [n] (positions whose logits are wanted, the last
 * one being the position that the next token is chosen from; in later turns there is one position), `firstMask` and
 * `mask` [1 or rows, nVocab] (added to the logits in the first and in later turns), `timestampRules` [rows] bool, `eot`,
 * `timestampBegin`, `noSpeech` (ids, scalars), the row state, past_ caches, cross caches.
 *
 * Outputs: `generated` int64 and `logprobs` [turns, rows], `noSpeechProb` [turns, rows] (of the first selected position; its
 * first row counts, if `begin`), `logits` [rows, n, nVocab] and `cross_query_..` of the last turn, the row state, present_ caches.
 */
export function decoderGraph(dimensions: ModelDimensions, weights: Weights): Uint8Array<ArrayBuffer> {
  const { nVocab, nTextState } = dimensions;
  const main = new GraphBuilder("decoder");
  const turns = main.input("turns", "int64", []);
  const tokens = main.input("tokens", "int64", ["rows", "length"]);
  const select = main.input("select", "int64", ["selected"]);
  const firstMask = main.input("firstMask", "float32", ["maskRows", nVocab]);
  const mask = main.input("mask", "float32", ["maskRows", nVocab]);
  const rules: RuleInputs = {
    active: main.input("timestampRules", "bool", ["rows"]),
    eot: main.input("eot", "int64", []),
    timestampBegin: main.input("timestampBegin", "int64", []),
    index: "",
  };
  const noSpeech = main.input("noSpeech", "int64", []);
  for (const port of ROW_STATE) main.input(port.name, port.type, port.dims);
  const caches = selfCachePorts(dimensions);
  for (const port of caches) main.input(`past_${port.name}`, port.type, port.dims);
  const crossCaches = crossCachePorts(dimensions, weights.quantized).map((ports) =>
    ports.map((port) => main.input(port.name, port.type, port.dims)),
  );
  rules.index = main.op("Range", [main.int(0), main.op("Sub", [main.int(nVocab), rules.timestampBegin]), main.int(1)]);

  const body = main.subgraph("turn");
  body.input("turn", "int64", []);
  body.input("running", "bool", []);
  const bodyTokens = body.input("turnTokens", "int64", ["rows", "turnLength"]);
  const bodySelect = body.input("turnSelect", "int64", ["turnSelected"]);
  const bodyMask = body.input("turnMask", "float32", ["maskRows", nVocab]);
  body.input("lastLogits", "float32", ["logitsRows", "logitsSelected", nVocab]);
  const queryPorts = crossQueryPorts(dimensions);
  for (const { name } of queryPorts) body.input(`last_${name}`, "float32", ["queryRows", "queryLength", nTextState]);
  const state = ROW_STATE.map((port) => body.input(`turn_${port.name}`, port.type, port.dims));
  const past = caches.map((port) => body.input(`turn_${port.name}`, port.type, port.dims));

  const pastLength = body.op("Squeeze", [body.op("Shape", [past[0]], { start: 2, end: 3 })]);
  const ops = new OnnxOps(body, weights, "blocks", dimensions.nAudioCtx, pastLength);
  const selfCaches: SelfCache<Value>[] = [];
  for (let i = 0; i < past.length; i += 2) selfCaches.push({ key: past[i], value: past[i + 1] });
  const step = decoderStep(ops, dimensions, bodyTokens, selfCaches, crossCaches);
  const logits = ops.logits(
    body.op("Gather", [step.hidden, bodySelect], { axis: 1 }),
    "decoder.token_embedding.weight",
    nVocab,
  );

  const [begin, lastTimestamp, lastIsTimestamp, penultimateIsTimestamp, done] = state;
  const noSpeechProb = noSpeechProbability(body, logits, begin, noSpeech);
  const masked = body.op("Add", [body.op("Gather", [logits, body.int(-1)], { axis: 1 }), bodyMask]);
  const choice = chooseToken(body, masked, { lastTimestamp, lastIsTimestamp, penultimateIsTimestamp }, rules, nVocab);
  const next = body.op("Where", [done, rules.eot, choice.token]);
  const nowDone = body.op("Or", [done, body.op("Equal", [next, rules.eot])]);
  const isTimestamp = body.op("GreaterOrEqual", [next, rules.timestampBegin]);
  const newState: Value[] = [
    body.constant("false", "bool", [], Uint8Array.of(0)),
    body.op("Where", [isTimestamp, body.op("Sub", [next, rules.timestampBegin]), lastTimestamp]),
    isTimestamp,
    body.op("Or", [begin, lastIsTimestamp]),
    nowDone,
  ];
  const allDone = body.op("ReduceMin", [body.op("Cast", [nowDone], { to: 6 }), body.ints(0)], { keepdims: 0 });

  body.output("keepRunning", body.op("Equal", [allDone, zeroInt32(body)]), "bool", []);
  body.output("nextTokens", body.op("Unsqueeze", [next, body.ints(1)]), "int64", ["rows", 1]);
  body.output("nextSelect", body.ints(0), "int64", [1]);
  body.output("nextMask", mask, "float32", ["maskRows", nVocab]);
  body.output("nextLogits", logits, "float32", ["rows", "turnSelected", nVocab]);
  queryPorts.forEach(({ name, dims }, layer) =>
    body.output(`next_${name}`, ops.crossQueries[layer], "float32", ["rows", "turnLength", dims[2]]),
  );
  ROW_STATE.forEach((port, i) => body.output(`next_${port.name}`, newState[i], port.type, port.dims));
  const present = step.selfCaches.flatMap(({ key, value }) => [key, value]);
  caches.forEach((port, i) =>
    body.output(`next_${port.name}`, present[i], port.type, [port.dims[0], port.dims[1], "present", port.dims[3]]),
  );
  body.output("turnGenerated", next, "int64", ["rows"]);
  body.output("turnLogprobs", choice.logprob, "float32", ["rows"]);
  body.output("turnNoSpeech", noSpeechProb, "float32", ["rows"]);

  const noLogits = main.op("ConstantOfShape", [main.ints(0, 0, nVocab)]);
  const noQueries = main.op("ConstantOfShape", [main.ints(0, 0, nTextState)]);
  const inputs = [turns, main.constant("true", "bool", [], Uint8Array.of(1)), tokens, select, firstMask, noLogits];
  inputs.push(...queryPorts.map(() => noQueries));
  inputs.push(...ROW_STATE.map(({ name }) => name), ...caches.map(({ name }) => `past_${name}`));
  const stateAt = 4 + queryPorts.length;
  const cachesAt = stateAt + ROW_STATE.length;
  const carried = cachesAt + caches.length;
  const outputs = main.opMany("Loop", inputs, { body }, carried + 3);
  main.output("logits", outputs[3], "float32", ["rows", "logitsSelected", nVocab]);
  queryPorts.forEach(({ name, type, dims }, i) => main.output(name, outputs[4 + i], type, dims));
  ROW_STATE.forEach((port, i) => main.output(`new_${port.name}`, outputs[stateAt + i], port.type, port.dims));
  caches.forEach((port, i) =>
    main.output(`present_${port.name}`, outputs[cachesAt + i], port.type, [
      port.dims[0],
      port.dims[1],
      "present",
      port.dims[3],
    ]),
  );
  main.output("generated", outputs[carried], "int64", ["turnsRun", "rows"]);
  main.output("logprobs", outputs[carried + 1], "float32", ["turnsRun", "rows"]);
  main.output("noSpeechProb", outputs[carried + 2], "float32", ["turnsRun", "rows"]);
  return main.toModel();
}

function zeroInt32(graph: GraphBuilder): Value {
  return graph.constant("int32_zero", "int32", [], Int32Array.of(0));
}

/** Softmax over everything costs as much as a rule, and is wanted once: so it hides in a branch. */
function noSpeechProbability(graph: GraphBuilder, logits: Value, begin: Value, noSpeech: Value): Value {
  const wanted = graph.subgraph("readNoSpeech");
  const first = wanted.op("Gather", [logits, wanted.int(0)], { axis: 1 });
  const probabilities = wanted.op("Softmax", [first], { axis: -1 });
  wanted.output("readProb", wanted.op("Gather", [probabilities, noSpeech], { axis: 1 }), "float32", ["rows"]);
  const unwanted = graph.subgraph("skipNoSpeech");
  const zeros = unwanted.op("ConstantOfShape", [unwanted.op("Shape", [logits], { start: 0, end: 1 })]);
  unwanted.output("skippedProb", zeros, "float32", ["rows"]);
  return graph.op("If", [begin], { then_branch: wanted, else_branch: unwanted });
}

interface RuleInputs {
  readonly active: Value;
  readonly eot: Value;
  readonly timestampBegin: Value;
  /** 0, 1, 2 ... over the timestamps. */
  index: Value;
}

interface RuleState {
  readonly lastTimestamp: Value;
  readonly lastIsTimestamp: Value;
  readonly penultimateIsTimestamp: Value;
}

/**
 * Greedy choice under the timestamp rules (engine/token-rules.ts; facts 2.4.7). The vocabulary falls into text, specials and
 * timestamps; each part gives its maximum, the place of it and its log-sum-exp, and the rules are logic on these few numbers a row.
 *
 * @param masked logits [rows, nVocab] with forbidden ids already masked
 */
function chooseToken(
  graph: GraphBuilder,
  masked: Value,
  state: RuleState,
  rules: RuleInputs,
  nVocab: number,
): { token: Value; logprob: Value } {
  const { op, vector } = {
    op: graph.op.bind(graph),
    vector: (scalar: Value): Value => graph.op("Reshape", [scalar, graph.ints(1)]),
  };
  const slice = (from: Value, to: Value): Value => op("Slice", [masked, from, to, graph.ints(1)]);
  const eot = vector(rules.eot);
  const timestampBegin = vector(rules.timestampBegin);
  const negative = graph.scalar(MASKED);

  // [MASKED] for timestamps below `lowest`: those already passed, or all of them after a pair.
  const inPair = op("And", [rules.active, state.lastIsTimestamp]);
  const afterPair = op("And", [inPair, state.penultimateIsTimestamp]);
  const afterSingle = op("And", [inPair, op("Not", [state.penultimateIsTimestamp])]);
  const count = op("Sub", [graph.int(nVocab), rules.timestampBegin]);
  const strict = op("Add", [state.lastTimestamp, graph.int(1)]);
  const passed = op("Where", [afterSingle, state.lastTimestamp, strict]);
  const lowest = op("Where", [rules.active, op("Where", [afterPair, count, passed]), graph.int(0)]);
  const below = op("Less", [rules.index, op("Unsqueeze", [lowest, graph.ints(1)])]);

  const text = part(graph, slice(graph.ints(0), eot));
  const specials = part(graph, slice(eot, timestampBegin));
  const timestamps = part(graph, op("Where", [below, negative, slice(timestampBegin, graph.ints(nVocab))]));
  const textMax = op("Where", [afterSingle, negative, text.max]);
  const textLse = op("Where", [afterSingle, negative, text.logSumExp]);

  const wordMax = op("Max", [textMax, specials.max]);
  const word = op("Where", [
    op("GreaterOrEqual", [textMax, specials.max]),
    text.argmax,
    op("Add", [specials.argmax, rules.eot]),
  ]);
  const forced = op("And", [rules.active, op("Greater", [timestamps.logSumExp, wordMax])]);
  const isTimestamp = op("Or", [forced, op("Greater", [timestamps.max, wordMax])]);
  const token = op("Where", [isTimestamp, op("Add", [timestamps.argmax, rules.timestampBegin]), word]);

  const parts = [textLse, specials.logSumExp, timestamps.logSumExp];
  const largest = op("Max", parts);
  const sum = op(
    "Sum",
    parts.map((lse) => op("Exp", [op("Sub", [lse, largest])])),
  );
  const everything = op("Add", [largest, op("Log", [sum])]);
  const normaliser = op("Where", [forced, timestamps.logSumExp, everything]);
  const best = op("Where", [isTimestamp, timestamps.max, wordMax]);
  return { token, logprob: op("Sub", [best, normaliser]) };
}

/** Maximum, its place, and log-sum-exp of each row. The largest softmax value is exp(max - logSumExp), and softmax is a fast kernel. */
function part(graph: GraphBuilder, values: Value): { max: Value; argmax: Value; logSumExp: Value } {
  const max = graph.op("ReduceMax", [values, graph.ints(1)], { keepdims: 0 });
  const argmax = graph.op("ArgMax", [values], { axis: 1, keepdims: 0 });
  const softmax = graph.op("Softmax", [values], { axis: -1 });
  const top = graph.op("ReduceMax", [softmax, graph.ints(1)], { keepdims: 0 });
  return { max, argmax, logSumExp: graph.op("Sub", [max, graph.op("Log", [top])]) };
}
