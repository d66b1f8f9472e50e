/**
 * Builds ONNX models in memory: nodes, initializers (inline, or so many bytes of an external file), subgraphs.
 *
 * Knows the file format (ir_version 10, opset 21 and com.microsoft 1) and has never heard of Whisper. Nothing is checked here:
 * the runtime checks the graph when a session is made of it.
 */
import { MessageWriter } from "./protobuf.ts";

/** A value in a graph, by its name; "" stands for an optional input that is not given. */
export type Value = string;

export const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/** A size, or the name of one that is known only when the graph runs. */
export type Dim = number | string;

/** Attribute values; integers are written as such, so a float is wrapped: `{ float: 1 }`. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | GraphBuilder;

/** So many bytes of a file beside the model. */
export interface ExternalData {
  /** Path relative to the folder that the session is told. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export type ConstantData = Uint8Array | Int8Array | Float32Array | Int32Array | BigInt64Array;

const MICROSOFT = "com.microsoft";

/** Counters shared by a graph and its subgraphs, so that names are unique throughout. */
interface Names {
  next: number;
}

export class GraphBuilder {
  readonly #names: Names;
  readonly #root: GraphBuilder;
  readonly #nodes: MessageWriter[] = [];
  readonly #initializers = new Map<string, MessageWriter>();
  readonly #inputs: MessageWriter[] = [];
  readonly #outputs: MessageWriter[] = [];

  constructor(
    readonly name: string,
    parent?: GraphBuilder,
  ) {
    this.#root = parent === undefined ? this : parent.#root;
    this.#names = parent === undefined ? { next: 0 } : parent.#names;
  }

  /** A graph inside this one: the body of a Loop, a branch of an If. It sees this graph's values; its constants are kept in the outermost graph. */
  subgraph(name: string): GraphBuilder {
    return new GraphBuilder(name, this);
  }

  #fresh(prefix: string): string {
    return `${prefix}_${this.#names.next++}`;
  }

  input(name: string, type: ElementType, dims: readonly Dim[]): Value {
    this.#inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Declares an output; `value` is given the output's name by an Identity node if it has another. */
  output(name: string, value: Value, type: ElementType, dims: readonly Dim[]): void {
    if (value !== name) this.#node("Identity", [value], {}, [name], "");
    this.#outputs.push(valueInfo(name, type, dims));
  }

  /** Adds a standard operator with one output. */
  op(type: string, inputs: readonly Value[], attributes: Readonly<Record<string, Attribute>> = {}): Value {
    return this.#node(type, inputs, attributes, [this.#fresh(type)], "")[0];
  }

  /** Adds a standard operator with several outputs. */
  opMany(
    type: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: number,
  ): Value[] {
    const names = Array.from({ length: outputs }, () => this.#fresh(type));
    return this.#node(type, inputs, attributes, names, "");
  }

  /** Adds an operator of onnxruntime's own domain. */
  microsoft(
    type: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>> = {},
    outputs = 1,
  ): Value[] {
    const names = Array.from({ length: outputs }, () => this.#fresh(type));
    return this.#node(type, inputs, attributes, names, MICROSOFT);
  }

  #node(
    type: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: string[],
    domain: string,
  ): Value[] {
    const node = new MessageWriter();
    for (const input of inputs) node.string(1, input);
    for (const output of outputs) node.string(2, output);
    node.string(3, `${this.#fresh(type)}_node`);
    node.string(4, type);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    if (domain !== "") node.string(7, domain);
    this.#nodes.push(node);
    return outputs;
  }

  /** A constant kept in the model file itself: for small ones. The same name gives the same constant. */
  constant(name: string, type: ElementType, dims: readonly number[], data: ConstantData): Value {
    return this.#initializer(name, type, dims, (tensor) => {
      tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    });
  }

  /** A constant whose bytes lie in a file. The same name gives the same constant. */
  external(name: string, type: ElementType, dims: readonly number[], data: ExternalData): Value {
    return this.#initializer(name, type, dims, (tensor) => {
      for (const [key, value] of Object.entries(data)) {
        tensor.message(13, new MessageWriter().string(1, key).string(2, String(value)));
      }
      tensor.int(14, 1); // data_location = EXTERNAL
    });
  }

  #initializer(name: string, type: ElementType, dims: readonly number[], fill: (tensor: MessageWriter) => void): Value {
    if (!this.#root.#initializers.has(name)) {
      const tensor = new MessageWriter();
      for (const size of dims) tensor.int(1, size);
      tensor.int(2, ELEMENT_TYPES[type]).string(8, name);
      fill(tensor);
      this.#root.#initializers.set(name, tensor);
    }
    return name;
  }

  /** One-dimensional int64 constant: axes, shapes, slice ends. */
  ints(...values: number[]): Value {
    return this.constant(`ints_${values.join("_")}`, "int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** Scalar float32 constant. */
  scalar(value: number): Value {
    return this.constant(`float_${value}`, "float32", [], Float32Array.of(value));
  }

  /** Scalar int64 constant. */
  int(value: number): Value {
    return this.constant(`int_${value}`, "int64", [], BigInt64Array.of(BigInt(value)));
  }

  /** The graph as a message, for an attribute or a model. */
  toMessage(): MessageWriter {
    const graph = new MessageWriter();
    for (const node of this.#nodes) graph.message(1, node);
    graph.string(2, this.name);
    for (const tensor of this.#initializers.values()) graph.message(5, tensor);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return graph;
  }

  /** The bytes of a model file whose main graph this is. */
  toModel(): Uint8Array<ArrayBuffer> {
    const model = new MessageWriter().int(1, 10).string(2, "sotto").message(7, this.toMessage());
    model.message(8, new MessageWriter().string(1, "").int(2, 21));
    model.message(8, new MessageWriter().string(1, MICROSOFT).int(2, 1));
    return model.finish();
  }
}

function valueInfo(name: string, type: ElementType, dims: readonly Dim[]): MessageWriter {
  const shape = new MessageWriter();
  for (const dim of dims) {
    const size = new MessageWriter();
    if (typeof dim === "number") size.int(1, dim);
    else size.string(2, dim);
    shape.message(1, size);
  }
  const tensorType = new MessageWriter().int(1, ELEMENT_TYPES[type]).message(2, shape);
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensorType));
}

function attribute(name: string, value: Attribute): MessageWriter {
  const message = new MessageWriter().string(1, name);
  if (value instanceof GraphBuilder) return message.message(6, value.toMessage()).int(20, 5);
  if (typeof value === "string") return message.string(4, value).int(20, 3);
  if (typeof value === "number") return message.int(3, value).int(20, 2);
  if ("float" in value) return message.float(2, value.float).int(20, 1);
  for (const item of value) message.int(8, item);
  return message.int(20, 7);
}
