// Kernels one by one, launched as the engine launches them: each is checked at random places against plain sums, then timed.
import { randomFrom } from "../../dist/decoding/random.js";
import { Buffers } from "../../dist/engine/cuda/buffers.js";
import { Kernels } from "../../dist/engine/cuda/kernels.js";
import { Lanes } from "../../dist/engine/cuda/lanes.js";
import { planProduct } from "../../dist/engine/cuda/products.js";
import { DeviceRules } from "../../dist/engine/cuda/token-rules.js";
import { gelu } from "../../dist/engine/reference/gelu.js";
import { BYTES_PER_ELEMENT } from "../../dist/tensor/index.js";
import { assertClose, RandomNumbers, TOLERANCE } from "./gpu.mjs";
import { isSmall } from "./report.mjs";

const HEAD = 64;

/** Bytes of data that launches go through in turn, so that none finds its own in the cache: several times any GPU's. */
const CACHE_BYTES = isSmall ? 0 : 300e6;
const setsFor = (bytes) => Math.max(1, Math.min(64, Math.ceil(CACHE_BYTES / bytes)));

/** What a row of float32 results may be off by: sums of rounded inputs are exact but for their order. */
const SUM_TOLERANCE = 3e-5;

const FLOAT_EPILOGUES = new Set(["residual", "positions", "float"]);

export class KernelBench {
  static async make(gpu, dtype) {
    const bench = new KernelBench();
    bench.gpu = gpu;
    bench.device = gpu.device;
    bench.dtype = dtype;
    bench.size = BYTES_PER_ELEMENT[dtype];
    bench.kernels = new Kernels(gpu.device, dtype);
    /** Numbers of deviation 1, and small ones for weights. */
    bench.random = await RandomNumbers.make(gpu, dtype, 1, 1);
    bench.weights = await RandomNumbers.make(gpu, dtype, 0.03, 2);
    bench.floats = await RandomNumbers.make(gpu, "float32", 1, 3);
    bench.pick = randomFrom(4);
    return bench;
  }

  free() {
    for (const numbers of [this.random, this.weights, this.floats]) numbers.free();
    this.kernels.dispose();
    this.device.trim();
  }

  below(count) {
    return Math.floor(this.pick() * count);
  }

  /** Times work on buffers, which are freed at the end. */
  async #timed(buffers, work, options, check) {
    try {
      work(0);
      await this.device.finished();
      const error = check();
      const timing = await this.gpu.measure(work, options);
      return { ...timing, error };
    } finally {
      for (const buffer of buffers) this.device.free(buffer);
      this.device.trim();
    }
  }

  #poisoned(bytes) {
    const buffer = this.device.alloc(bytes);
    this.device.fill(buffer.address, 0xff, bytes);
    return buffer;
  }

  /**
   * out = a · wᵀ + bias, and an epilogue.
   *
   * @param product m, n, k, epilogue; `a` and `out` as rows in batches; `live`: rows are counted on the device
   * @param options `cold`: every launch has weights of its own; `tensorCores: 80`: the kernels of older GPUs
   */
  async product({ m, n, k, epilogue, a, out, heads, live = false }, { cold = false, tensorCores = null } = {}) {
    const { device, gpu, random, weights } = this;
    const kernels = tensorCores === null ? this.kernels : new Kernels(asOlder(device, tensorCores), this.dtype);
    const aLayout = { perBatch: m, batchStride: 0, stride: k, ...a };
    const outDType = FLOAT_EPILOGUES.has(epilogue) ? "float32" : this.dtype;
    const outLayout = { perBatch: m, batchStride: epilogue === "crossCache" ? m * n : 0, stride: n, ...out };
    const offset = ({ perBatch, batchStride, stride }, row) =>
      Math.floor(row / perBatch) * batchStride + (row % perBatch) * stride;
    const place = (row, column) => {
      if (epilogue !== "crossCache") return offset(outLayout, row) + column;
      const { perBatch, batchStride } = outLayout;
      const head = Math.floor(column / (n / 2)) * heads + Math.floor((column % (n / 2)) / HEAD);
      return Math.floor(row / perBatch) * batchStride + (head * perBatch + (row % perBatch)) * HEAD + (column % HEAD);
    };
    const outNumbers =
      epilogue === "crossCache"
        ? Math.ceil(m / outLayout.perBatch) * outLayout.batchStride
        : offset(outLayout, m - 1) + n;

    const sets = cold ? setsFor(n * k * this.size) : 1;
    const shift = (set) => 1048 * 8 * set;
    const aBuffer = random.buffer(offset(aLayout, m - 1) + k);
    const wBuffers = Array.from({ length: sets }, (_, set) => weights.buffer(n * k, shift(set)));
    const bias = this.floats.buffer(n);
    const positions = this.floats.buffer(outLayout.perBatch * n, 8);
    const outBuffer = this.#poisoned(outNumbers * BYTES_PER_ELEMENT[outDType]);
    if (epilogue === "residual") device.fill(outBuffer.address, 0, outNumbers * 4);
    const rowCount = device.upload(Int32Array.of(m));

    const hasBias = epilogue !== "float";
    const work = (set) =>
      kernels.product({
        a: { address: aBuffer.address, ...aLayout },
        weight: wBuffers[set].address,
        bias: hasBias ? bias.address : null,
        out: { address: outBuffer.address, ...outLayout },
        ...{ m, n, k, epilogue },
        ...(epilogue === "positions" && { positions: positions.address }),
        ...(heads !== undefined && { heads }),
        ...(live && { rowCount: rowCount.address }),
      });
    const check = () => {
      const rows = [0, m - 1, ...Array.from({ length: 10 }, () => this.below(m))];
      const columns = [0, n - 1, ...Array.from({ length: 30 }, () => this.below(n))];
      const places = [];
      const expected = [];
      for (const row of rows) {
        const values = random.slice(offset(aLayout, row), k);
        for (const column of columns) {
          let v = hasBias ? this.floats.at(column) : 0;
          for (let i = 0; i < k; i++) v += values[i] * weights.at(column * k + i);
          if (epilogue === "gelu" || epilogue === "positions") v = gelu(v);
          if (epilogue === "positions") v += this.floats.at((row % outLayout.perBatch) * n + column, 8);
          places.push(place(row, column));
          expected.push(v);
        }
      }
      const tolerance = outDType === "float32" ? SUM_TOLERANCE : TOLERANCE[outDType];
      const name = `product ${m}x${n}x${k} ${epilogue}`;
      const error = assertClose(name, gpu.values(outDType, outBuffer.address, places), expected, tolerance);
      if (epilogue !== "crossCache") {
        for (let i = 0; i < 40; i++) {
          const written = gpu.row(outDType, outBuffer.address, offset(outLayout, this.below(m)), n);
          if (written.some(Number.isNaN)) throw new Error(`${name} leaves numbers unwritten`);
        }
      }
      return error;
    };
    const timing = await this.#timed(
      [aBuffer, ...wBuffers, bias, positions, outBuffer, rowCount],
      work,
      { sets },
      check,
    );
    const planFor = tensorCores === null ? device : asOlder(device, tensorCores);
    const { multiprocessors, maxShared, info } = planFor;
    const plan = planProduct(
      { multiprocessors, maxShared, computeCapability: info.computeCapability },
      this.dtype,
      m,
      n,
      k,
    );
    if (kernels !== this.kernels) kernels.dispose();
    const written = outNumbers * BYTES_PER_ELEMENT[outDType] * (epilogue === "residual" ? 2 : 1);
    return {
      ...timing,
      kernel: plan.splits > 1 ? `${plan.name}/${plan.splits}` : plan.name,
      flops: 2 * m * n * k,
      bytes: (offset(aLayout, m - 1) + k + n * k) * this.size + written,
    };
  }

  async layerNorm(rows, size) {
    const { device, gpu, floats } = this;
    const sets = setsFor(rows * size * 6);
    const x = floats.buffer(rows * size * sets);
    const weight = floats.buffer(size, 16);
    const bias = floats.buffer(size, 24);
    const out = this.#poisoned(rows * size * this.size);
    const work = (set) =>
      this.kernels.layerNorm({
        x: x.address + 4 * set * rows * size,
        weight: weight.address,
        bias: bias.address,
        out: out.address,
        ...{ rowIndex: null, rowCount: undefined, rows, size },
      });
    const check = () => {
      const [actual, expected] = [[], []];
      for (const row of [0, rows - 1, this.below(rows), this.below(rows)]) {
        const values = floats.slice(row * size, size);
        const mean = values.reduce((sum, v) => sum + v, 0) / size;
        const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / size;
        actual.push(...gpu.row(this.dtype, out.address, row * size, size));
        values.forEach((v, i) =>
          expected.push(((v - mean) / Math.sqrt(variance + 1e-5)) * floats.at(i, 16) + floats.at(i, 24)),
        );
      }
      return assertClose(`norm of ${rows} rows`, actual, expected, TOLERANCE[this.dtype]);
    };
    const timing = await this.#timed([x, weight, bias, out], work, { sets }, check);
    return { ...timing, kernel: "layer_norm", flops: 0, bytes: rows * size * (4 + this.size) };
  }

  async encoderAttention({ batch, nCtx, nHead }) {
    const { gpu, random } = this;
    const width = HEAD * nHead;
    const qkv = random.buffer(batch * nCtx * 3 * width);
    const out = this.#poisoned(batch * nCtx * width * this.size);
    const work = () => this.kernels.encoderAttention({ qkv: qkv.address, out: out.address, batch, nCtx, nHead });
    const check = () => {
      const [actual, expected] = [[], []];
      for (let i = 0; i < 12; i++) {
        const [b, t, h] = i === 0 ? [batch - 1, nCtx - 1, nHead - 1] : [batch, nCtx, nHead].map((n) => this.below(n));
        const part = (position, index) => random.slice(((b * nCtx + position) * 3 + index) * width + h * HEAD, HEAD);
        const all = (index) => Array.from({ length: nCtx }, (_, position) => part(position, index));
        expected.push(...attention(part(t, 0), all(1), all(2)));
        actual.push(...gpu.row(this.dtype, out.address, (b * nCtx + t) * width + h * HEAD, HEAD));
      }
      return assertClose(`attention over ${nCtx} positions`, actual, expected, TOLERANCE[this.dtype]);
    };
    const timing = await this.#timed([qkv, out], work, {}, check);
    return {
      ...timing,
      kernel: "encoder_attention",
      flops: 4 * batch * nHead * nCtx * nCtx * HEAD,
      bytes: 4 * batch * nCtx * width * this.size,
    };
  }

  /** Each group of `beams` rows listens to a window of its own. */
  async crossAttention({ groups, nCtx, nHead, layers, beams = 1 }) {
    const { device, gpu, random } = this;
    const width = HEAD * nHead;
    const rows = groups * beams;
    const layer = 2 * nHead * nCtx * HEAD;
    const sets = Math.min(layers, setsFor(groups * layer * this.size));
    const windows = random.buffer(groups * sets * layer);
    const query = random.buffer(rows * width, 8000);
    const out = this.#poisoned(rows * width * this.size);
    const slotAudio = device.upload(
      BigInt64Array.from({ length: rows }, (_, row) =>
        BigInt(windows.address + Math.floor(row / beams) * sets * layer * this.size),
      ),
    );
    const numbers = (count, of) => device.upload(Int32Array.from({ length: count }, (_, i) => of(i)));
    const step = {
      slot: numbers(rows, (i) => i),
      groupFirst: numbers(groups, (i) => i * beams),
      groupRows: numbers(groups, () => beams),
      groupCount: numbers(1, () => groups),
    };
    const addresses = Object.fromEntries(Object.entries(step).map(([name, { address }]) => [name, address]));
    const work = (set) =>
      this.kernels.crossAttention({
        query: query.address,
        rows: addresses,
        slotAudio: slotAudio.address,
        layer: set,
        out: out.address,
        ...{ groups, groupSize: beams === 1 ? 1 : 8, nHead, nCtx },
      });
    const check = () => {
      const [actual, expected] = [[], []];
      for (let i = 0; i < 12; i++) {
        const [row, h] = i === 0 ? [rows - 1, nHead - 1] : [rows, nHead].map((n) => this.below(n));
        const begin = Math.floor(row / beams) * sets * layer;
        const all = (part) =>
          Array.from({ length: nCtx }, (_, t) => random.slice(begin + ((part * nHead + h) * nCtx + t) * HEAD, HEAD));
        expected.push(...attention(random.slice(row * width + h * HEAD, HEAD, 8000), all(0), all(1)));
        actual.push(...gpu.row(this.dtype, out.address, row * width + h * HEAD, HEAD));
      }
      return assertClose(`cross-attention of ${groups} groups`, actual, expected, TOLERANCE[this.dtype]);
    };
    const buffers = [windows, query, out, slotAudio, ...Object.values(step)];
    const timing = await this.#timed(buffers, work, { sets }, check);
    return {
      ...timing,
      kernel: beams === 1 ? "cross_attention1" : "cross_attention8",
      flops: 4 * rows * nHead * nCtx * HEAD,
      bytes: (groups * layer + 2 * rows * width) * this.size,
    };
  }

  /** A step of rows that all stand at one position. */
  async selfAttention({ rows, position, nHead, nTextCtx }) {
    const { device, gpu, random } = this;
    const width = HEAD * nHead;
    const layer = 2 * rows * nHead * nTextCtx * HEAD;
    const sets = setsFor(layer * this.size);
    const cache = random.buffer(sets * layer);
    const qkv = random.buffer(rows * 3 * width, 16000);
    const out = this.#poisoned(rows * width * this.size);
    const numbers = (count, of) => device.upload(Int32Array.from({ length: count }, (_, i) => of(i)));
    const slot = numbers(rows, (i) => i);
    const positions = numbers(rows, () => position);
    const count = numbers(1, () => rows);
    const places = numbers(rows * nTextCtx, (i) => Math.floor(i / nTextCtx));
    const work = (set) =>
      this.kernels.selfAttention({
        qkv: qkv.address,
        rows: { position: positions.address, slot: slot.address, count: count.address },
        cache: cache.address + set * layer * this.size,
        places: places.address,
        slots: rows,
        out: out.address,
        ...{ m: rows, nHead, nTextCtx, append: true },
      });
    const check = () => {
      const [actual, expected] = [[], []];
      for (let i = 0; i < 12; i++) {
        const [row, h] = i === 0 ? [rows - 1, nHead - 1] : [rows, nHead].map((n) => this.below(n));
        const own = (part) => random.slice((row * 3 + part) * width + h * HEAD, HEAD, 16000);
        const seen = (part) => [
          ...Array.from({ length: position }, (_, t) =>
            random.slice((((part * rows + row) * nHead + h) * nTextCtx + t) * HEAD, HEAD),
          ),
          own(part + 1),
        ];
        expected.push(...attention(own(0), seen(0), seen(1)));
        actual.push(...gpu.row(this.dtype, out.address, row * width + h * HEAD, HEAD));
      }
      return assertClose(`self-attention of ${rows} rows`, actual, expected, TOLERANCE[this.dtype]);
    };
    const timing = await this.#timed([cache, qkv, out, slot, positions, count, places], work, { sets }, check);
    const seen = 2 * rows * nHead * (position + 1) * HEAD;
    return {
      ...timing,
      kernel: "self_attention",
      flops: 2 * seen,
      bytes: (seen + rows * 6 * width) * this.size,
    };
  }

  /** The choice of a step's tokens, with the copy that puts the sequences back to their beginning. */
  async chooseTokens({ rows, dimensions }) {
    const { device, gpu, floats } = this;
    const { nVocab, nTextCtx } = dimensions;
    const memory = new Buffers(device);
    const lanes = new Lanes(device, memory, this.dtype, { ...dimensions, nTextLayer: 1 }, rows);
    const rules = { eot: nVocab - 1, timestampBegin: nVocab, suppress: [1, 2], suppressAtBegin: [3], timestamps: null };
    const masks = new DeviceRules(memory, [rules], nVocab);
    for (let slot = 0; slot < rows; slot++) lanes.begin(slot, 4, nTextCtx - 4, masks.record(rules));
    const bytes = 64 * rows;
    const fresh = device.alloc(bytes);
    device.copy(fresh.address, lanes.states, bytes);
    const logits = floats.buffer(rows * nVocab);
    const slots = device.upload(Int32Array.from({ length: rows }, (_, i) => i));
    const work = () => {
      device.copy(lanes.states, fresh.address, bytes);
      this.kernels.chooseTokens({
        ...{ logits: logits.address, rowSlot: slots.address, rowCount: null },
        ...{ slots: lanes.states, rules: lanes.rules, tokens: lanes.tokens, logprobs: lanes.logprobs },
        ...{ rows, nVocab, nTextCtx },
      });
    };
    const check = () => {
      for (const row of [0, rows - 1, this.below(rows)]) {
        const values = floats.slice(row * nVocab, nVocab);
        for (const id of [1, 2, 3]) values[id] = -Infinity;
        const best = values.reduce((at, value, id) => (value > values[at] ? id : at), 0);
        const total = values.reduce((sum, value) => sum + Math.exp(value - values[best]), 0);
        const [token] = new Int32Array(gpu.row("float32", lanes.tokens, row * nTextCtx, 1).buffer);
        const [logprob] = gpu.row("float32", lanes.logprobs, row * nTextCtx, 1);
        const isEot = best === rules.eot;
        if ((!isEot && token !== best) || Math.abs(logprob + Math.log(total)) > 1e-4) {
          throw new Error(`Row ${row} chose ${token} (${logprob}), expected ${best} (${-Math.log(total)})`);
        }
      }
      return 0;
    };
    try {
      const timing = await this.#timed([logits, slots, fresh], work, {}, check);
      return { ...timing, kernel: "choose_tokens", flops: 0, bytes: 4 * rows * nVocab };
    } finally {
      lanes.free();
      device.trim();
    }
  }

  /** What begins a step: which rows go on, and their embeddings. */
  async beginStep({ rows, dimensions }) {
    const { device, random, floats } = this;
    const { nVocab, nTextCtx, nTextState } = dimensions;
    const memory = new Buffers(device);
    const lanes = new Lanes(device, memory, this.dtype, { ...dimensions, nTextLayer: 1 }, rows);
    const rules = { eot: 1, timestampBegin: nVocab, suppress: [], suppressAtBegin: [], timestamps: null };
    const masks = new DeviceRules(memory, [rules], nVocab);
    for (let slot = 0; slot < rows; slot++) lanes.begin(slot, 4, nTextCtx - 4, masks.record(rules));
    lanes.setLive(Array.from({ length: rows }, (_, slot) => slot));
    const embedding = random.buffer(nVocab * nTextState);
    const positions = floats.buffer(nTextCtx * nTextState);
    const out = device.alloc(4 * rows * nTextState);
    const work = () => {
      this.kernels.beginStep({ slots: lanes.states, live: lanes.live, rows: lanes.rows });
      this.kernels.embed({
        rows: lanes.rows,
        tokenEmbedding: embedding.address,
        positionalEmbedding: positions.address,
        out: out.address,
        places: lanes.places,
        ...{ m: rows, size: nTextState, nTextCtx },
      });
    };
    try {
      const timing = await this.#timed([embedding, positions, out], work, {}, () => 0);
      return { ...timing, kernel: "begin_step, embed", flops: 0, bytes: rows * nTextState * (this.size + 8) };
    } finally {
      lanes.free();
      device.trim();
    }
  }
}

/** Attention of one query of one head. */
function attention(query, keys, values) {
  const scores = keys.map((key) => key.reduce((sum, x, i) => sum + x * query[i], 0) / 8);
  const largest = scores.reduce((a, b) => Math.max(a, b));
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return Array.from({ length: HEAD }, (_, e) => weights.reduce((sum, w, t) => sum + w * values[t][e], 0) / total);
}

/** The same device, as if it were of an older kind: kernels for newer ones are not chosen. */
function asOlder(device, computeCapability) {
  return new Proxy(device, {
    get(target, name) {
      if (name === "info") return { ...target.info, computeCapability };
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
