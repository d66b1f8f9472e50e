// The kernels as a Node-API addon. What it is given has been checked in TypeScript (src/engine/native): this is its only caller. Loading
// it is safe on any x86-64 CPU; calling it where the instructions are missing throws.
// Long work runs on a thread of the system's pool and gives a promise; one call at a time for each model, which the caller sees to.
#include <fcntl.h>
#include <node_api.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "checksum.h"
#include "cpu.h"
#include "decoder.h"
#include "encoder.h"
#include "model.h"
#include "threads.h"

namespace sotto {
namespace {

struct JsError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(napi_status status, const char* what) {
  if (status != napi_ok) throw JsError(std::string("Cannot ") + what);
}

// A file's bytes, mapped: shared with every process that maps the same file.
class MappedFile {
 public:
  MappedFile(const std::string& path, size_t length) : length_(length) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) throw std::runtime_error("Cannot open \"" + path + "\": " + std::strerror(errno));
    struct stat status;
    const bool whole = fstat(file, &status) == 0 && static_cast<size_t>(status.st_size) >= length;
    void* memory = whole ? mmap(nullptr, length, PROT_READ, MAP_SHARED, file, 0) : MAP_FAILED;
    close(file);
    if (!whole) throw std::runtime_error("\"" + path + "\" is shorter than its weights");
    if (memory == MAP_FAILED) throw std::runtime_error("Cannot map \"" + path + "\": " + std::strerror(errno));
    bytes_ = static_cast<const uint8_t*>(memory);
  }
  ~MappedFile() { munmap(const_cast<uint8_t*>(bytes_), length_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  const uint8_t* bytes() const { return bytes_; }

 private:
  const uint8_t* bytes_;
  size_t length_;
};

// Reads the parts of the file in the order in which layout.ts lists them.
class Parts {
 public:
  Parts(const uint8_t* bytes, const double* offsets) : bytes_(bytes), offset_(offsets) {}
  template <typename T>
  const T* next() {
    return reinterpret_cast<const T*>(bytes_ + static_cast<size_t>(*offset_++));
  }
  PackedMatrix matrix(int nIn, int nOut) { return viewPacked(next<uint8_t>(), nIn, nOut); }
  Norm norm() {
    const float* weight = next<float>();
    return {weight, next<float>()};
  }
  Linear linear(int nIn, int nOut) {
    const PackedMatrix weight = matrix(nIn, nOut);
    return {weight, next<float>()};
  }

 private:
  const uint8_t* bytes_;
  const double* offset_;
};

// A checkpoint ready to run. `model` keeps its address, since encoder and decoder refer to it.
struct Engine {
  Engine(const std::string& path, size_t length, const Dimensions& d, const double* offsets, int threadCount)
      : file(path, length), threads(threadCount) {
    Parts parts(file.bytes(), offsets);
    const int a = d.nAudioState, t = d.nTextState;
    model.dims = d;
    model.conv1 = parts.linear(3 * d.nMels, a);
    model.conv2 = parts.linear(3 * a, a);
    model.audioPositions = parts.next<float>();
    for (int layer = 0; layer < d.nAudioLayer; layer++) {
      EncoderBlock block;
      block.attnNorm = parts.norm();
      block.qkv = parts.linear(a, 3 * a);
      block.attnOut = parts.linear(a, a);
      block.mlpNorm = parts.norm();
      block.mlpIn = parts.linear(a, 4 * a);
      block.mlpOut = parts.linear(4 * a, a);
      model.encoder.push_back(block);
    }
    model.encoderNorm = parts.norm();
    model.tokenEmbedding = parts.next<uint16_t>();
    model.textPositions = parts.next<float>();
    for (int layer = 0; layer < d.nTextLayer; layer++) {
      DecoderBlock block;
      block.attnNorm = parts.norm();
      block.qkv = parts.linear(t, 3 * t);
      block.attnOut = parts.linear(t, t);
      block.crossNorm = parts.norm();
      block.crossQuery = parts.linear(t, t);
      block.crossKeyValue = parts.linear(a, 2 * t);
      block.crossOut = parts.linear(t, t);
      block.mlpNorm = parts.norm();
      block.mlpIn = parts.linear(t, 4 * t);
      block.mlpOut = parts.linear(4 * t, t);
      model.decoder.push_back(block);
    }
    model.decoderNorm = parts.norm();
    model.head = parts.matrix(t, d.nVocab);
    encoder = std::make_unique<Encoder>(model, threads);
    decoder = std::make_unique<Decoder>(model, threads);
  }

  MappedFile file;
  Threads threads;
  Model model;
  std::unique_ptr<Encoder> encoder;
  std::unique_ptr<Decoder> decoder;
};

// --- Values from JavaScript ---

template <typename T>
struct Span {
  T* data;
  size_t length;
  T* begin() const { return data; }
  T* end() const { return data + length; }
};

template <typename T>
Span<T> typedArray(napi_env env, napi_value value) {
  void* data = nullptr;
  size_t length = 0;
  napi_typedarray_type type;
  check(napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr), "read a typed array");
  return {static_cast<T*>(data), length};
}

std::vector<int> ints(napi_env env, napi_value value) {
  const Span<int32_t> span = typedArray<int32_t>(env, value);
  return std::vector<int>(span.begin(), span.end());
}

double number(napi_env env, napi_value value) {
  double result = 0;
  check(napi_get_value_double(env, value, &result), "read a number");
  return result;
}

int integer(napi_env env, napi_value value) { return static_cast<int>(number(env, value)); }

bool boolean(napi_env env, napi_value value) {
  bool result = false;
  check(napi_get_value_bool(env, value, &result), "read a boolean");
  return result;
}

std::string text(napi_env env, napi_value value) {
  size_t length = 0;
  check(napi_get_value_string_utf8(env, value, nullptr, 0, &length), "read a string");
  std::string result(length, '\0');
  check(napi_get_value_string_utf8(env, value, &result[0], length + 1, &length), "read a string");
  return result;
}

napi_value property(napi_env env, napi_value object, const char* name) {
  napi_value value;
  check(napi_get_named_property(env, object, name, &value), "read a property");
  return value;
}

std::vector<napi_value> elements(napi_env env, napi_value array) {
  uint32_t length = 0;
  check(napi_get_array_length(env, array, &length), "read an array");
  std::vector<napi_value> result(length);
  for (uint32_t i = 0; i < length; i++) check(napi_get_element(env, array, i, &result[i]), "read an array");
  return result;
}

// rules: Int32Array [eot, timestampBegin, timestamps, noTimestamps, maxInitialTimestampIndex, suppressed ids, ids suppressed at the
// beginning], the last two with their counts before them.
TokenRules tokenRules(napi_env env, napi_value value) {
  const std::vector<int> packed = ints(env, value);
  TokenRules rules;
  rules.eot = packed.at(0);
  rules.timestampBegin = packed.at(1);
  rules.timestamps = packed.at(2) != 0;
  rules.noTimestamps = packed.at(3);
  rules.maxInitialTimestampIndex = packed.at(4);
  size_t at = 5;
  for (std::vector<int>* ids : {&rules.suppress, &rules.suppressAtBegin}) {
    const int count = packed.at(at++);
    ids->assign(packed.begin() + at, packed.begin() + at + count);
    at += count;
  }
  return rules;
}

// --- Handles: shared pointers, so that what a running call uses outlives the handle ---

template <typename T>
napi_value makeHandle(napi_env env, std::shared_ptr<T> value, size_t bytes) {
  struct Held {
    std::shared_ptr<T> value;
    int64_t bytes;
  };
  auto* held = new Held{std::move(value), static_cast<int64_t>(bytes)};
  napi_value result;
  const auto release = [](napi_env e, void* data, void*) {
    auto* h = static_cast<Held*>(data);
    int64_t total;
    napi_adjust_external_memory(e, -h->bytes, &total);
    delete h;
  };
  check(napi_create_external(env, held, release, nullptr, &result), "make a handle");
  int64_t total;
  napi_adjust_external_memory(env, held->bytes, &total);
  return result;
}

template <typename T>
std::shared_ptr<T>& handle(napi_env env, napi_value value) {
  void* data = nullptr;
  check(napi_get_value_external(env, value, &data), "read a handle");
  auto& held = *static_cast<std::shared_ptr<T>*>(data);
  if (!held) throw JsError("Cannot use what has been released");
  return held;
}

// Frees what a handle holds before the handle itself is collected.
template <typename T>
void release(napi_env env, napi_value value) {
  void* data = nullptr;
  check(napi_get_value_external(env, value, &data), "read a handle");
  static_cast<std::shared_ptr<T>*>(data)->reset();
}

// --- Values to JavaScript ---

template <typename T>
napi_value typedArrayOf(napi_env env, napi_typedarray_type type, const T* data, size_t count) {
  void* memory = nullptr;
  napi_value buffer, result;
  check(napi_create_arraybuffer(env, count * sizeof(T), &memory, &buffer), "make an array");
  if (count > 0) std::memcpy(memory, data, count * sizeof(T));
  check(napi_create_typedarray(env, type, count, buffer, 0, &result), "make an array");
  return result;
}

napi_value floatsOf(napi_env env, const std::vector<float>& values) {
  return typedArrayOf(env, napi_float32_array, values.data(), values.size());
}

napi_value intsOf(napi_env env, const std::vector<int>& values) {
  return typedArrayOf(env, napi_int32_array, values.data(), values.size());
}

napi_value objectOf(napi_env env, const std::vector<std::pair<const char*, napi_value>>& properties) {
  napi_value object;
  check(napi_create_object(env, &object), "make an object");
  for (const auto& [name, value] : properties) {
    check(napi_set_named_property(env, object, name, value), "make an object");
  }
  return object;
}

napi_value numberOf(napi_env env, double value) {
  napi_value result;
  check(napi_create_double(env, value, &result), "make a number");
  return result;
}

napi_value stringOf(napi_env env, const char* value) {
  napi_value result;
  check(napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result), "make a string");
  return result;
}

napi_value undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

napi_value errorOf(napi_env env, const char* message) {
  napi_value error;
  napi_create_error(env, nullptr, stringOf(env, message), &error);
  return error;
}

// --- Work on another thread ---

struct Job {
  std::function<void()> work;
  std::function<napi_value(napi_env)> result;
  std::string failure;
  bool failed = false;
  napi_deferred deferred;
  napi_async_work handle;
};

// A promise of `result`, made on the main thread after `work` has run on another one.
napi_value promise(napi_env env, std::function<void()> work, std::function<napi_value(napi_env)> result) {
  auto job = std::make_unique<Job>();
  job->work = std::move(work);
  job->result = std::move(result);
  napi_value value;
  check(napi_create_promise(env, &job->deferred, &value), "make a promise");
  const auto execute = [](napi_env, void* data) {
    auto* j = static_cast<Job*>(data);
    try {
      j->work();
    } catch (const std::exception& error) {
      j->failed = true;
      j->failure = error.what();
    }
  };
  const auto complete = [](napi_env e, napi_status status, void* data) {
    std::unique_ptr<Job> j(static_cast<Job*>(data));
    napi_value resolved = nullptr;
    if (status != napi_ok && !j->failed) {
      j->failed = true;
      j->failure = "The call was cancelled";
    }
    if (!j->failed) {
      try {
        resolved = j->result(e);
      } catch (const std::exception& error) {
        j->failed = true;
        j->failure = error.what();
      }
    }
    if (j->failed) {
      napi_reject_deferred(e, j->deferred, errorOf(e, j->failure.c_str()));
    } else {
      napi_resolve_deferred(e, j->deferred, resolved);
    }
    napi_delete_async_work(e, j->handle);
  };
  check(napi_create_async_work(env, nullptr, stringOf(env, "sotto"), execute, complete, job.get(), &job->handle), "start a call");
  check(napi_queue_async_work(env, job->handle), "start a call");
  job.release();
  return value;
}

// --- The functions ---

using Arguments = std::vector<napi_value>;

// checksumFile(path, length): Promise of 32 bits.
napi_value checksumFile(napi_env env, const Arguments& args) {
  const std::string path = text(env, args[0]);
  const auto length = static_cast<size_t>(number(env, args[1]));
  auto sum = std::make_shared<uint32_t>(0);
  return promise(
      env, [=] { *sum = length == 0 ? checksum(nullptr, 0) : checksum(MappedFile(path, length).bytes(), length); },
      [=](napi_env e) { return numberOf(e, *sum); });
}

// packMatrix(weight: Float32Array [nOut, nIn], nIn, nOut): Uint8Array.
napi_value pack(napi_env env, const Arguments& args) {
  const Span<float> weight = typedArray<float>(env, args[0]);
  const int nIn = integer(env, args[1]), nOut = integer(env, args[2]);
  if (weight.length != static_cast<size_t>(nIn) * nOut) throw JsError("A weight has another size than its dims");
  Scratch scratch;
  const size_t bytes = packedBytes(nIn, nOut);
  auto* packed = scratch.get<uint8_t>(bytes);
  packMatrix(weight.data, nIn, nOut, nIn, packed);
  return typedArrayOf(env, napi_uint8_array, packed, bytes);
}

napi_value packedSize(napi_env env, const Arguments& args) {
  return numberOf(env, static_cast<double>(packedBytes(integer(env, args[0]), integer(env, args[1]))));
}

// open(path, length, dimensions: Int32Array, offsets: Float64Array, threads)
napi_value openEngine(napi_env env, const Arguments& args) {
  const std::vector<int> d = ints(env, args[2]);
  const Dimensions dims{d.at(0), d.at(1), d.at(2), d.at(3), d.at(4), d.at(5), d.at(6), d.at(7), d.at(8), d.at(9)};
  const Span<double> offsets = typedArray<double>(env, args[3]);
  auto engine = std::make_shared<Engine>(text(env, args[0]), static_cast<size_t>(number(env, args[1])), dims, offsets.data,
                                         integer(env, args[4]));
  return makeHandle(env, engine, 0);
}

// encode(engine, mel, keepFeatures): Promise of { window, features, finite }; one window.
napi_value encode(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  const Span<float> mel = typedArray<float>(env, args[1]);
  struct State {
    std::vector<float> mel, features;
    std::shared_ptr<Window> window;
    bool finite = false;
  };
  auto state = std::make_shared<State>();
  state->mel.assign(mel.begin(), mel.end());
  const bool keepFeatures = boolean(env, args[2]);
  return promise(
      env,
      [=] {
        const Dimensions& d = engine->model.dims;
        state->window = std::make_shared<Window>(d);
        if (keepFeatures) state->features.resize(static_cast<size_t>(d.nAudioCtx) * d.nAudioState);
        state->finite = engine->encoder->encode(state->mel.data(), *state->window, keepFeatures ? state->features.data() : nullptr);
      },
      [=](napi_env e) {
        napi_value features, finite;
        napi_get_boolean(e, state->finite, &finite);
        if (keepFeatures) {
          features = floatsOf(e, state->features);
        } else {
          napi_get_null(e, &features);
        }
        const size_t bytes = state->window->bytes();
        return objectOf(e, {{"window", makeHandle(e, state->window, bytes)}, {"features", features}, {"finite", finite}});
      });
}

GenerateRequest generateRequest(napi_env env, napi_value asked) {
  GenerateRequest request;
  request.window = handle<Window>(env, property(env, asked, "window"));
  request.prompt = ints(env, property(env, asked, "prompt"));
  request.sotIndex = integer(env, property(env, asked, "sotIndex"));
  request.noSpeech = integer(env, property(env, asked, "noSpeech"));
  request.maxNewTokens = integer(env, property(env, asked, "maxNewTokens"));
  request.rules = tokenRules(env, property(env, asked, "rules"));
  return request;
}

// startGeneration(engine, maxRows): handle.
napi_value startGeneration(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  return makeHandle(env, std::make_shared<Generation>(engine->model.dims, integer(env, args[1])), 0);
}

// addRequest(generation, { window, prompt, sotIndex, noSpeech, maxNewTokens, rules }): number of the request. Not while it advances.
napi_value addRequest(napi_env env, const Arguments& args) {
  return numberOf(env, handle<Generation>(env, args[0])->add(generateRequest(env, args[1])));
}

// cancelRequest(generation, number). Not while it advances.
napi_value cancelRequest(napi_env env, const Arguments& args) {
  handle<Generation>(env, args[0])->cancel(integer(env, args[1]));
  return undefined(env);
}

// advance(engine, generation, steps): Promise of { number, tokens, logprobs, noSpeechProb, ended }[], the requests that ended.
napi_value advance(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  auto generation = handle<Generation>(env, args[1]);
  const int steps = integer(env, args[2]);
  auto finished = std::make_shared<std::vector<Finished>>();
  return promise(
      env, [=] { *finished = engine->decoder->advance(*generation, steps); },
      [=](napi_env e) {
        napi_value array;
        check(napi_create_array_with_length(e, finished->size(), &array), "make an array");
        for (size_t i = 0; i < finished->size(); i++) {
          const auto& [number, row] = (*finished)[i];
          napi_value ended;
          napi_get_boolean(e, row.ended, &ended);
          const napi_value object = objectOf(e, {{"number", numberOf(e, number)},
                                                 {"tokens", intsOf(e, row.tokens)},
                                                 {"logprobs", floatsOf(e, row.logprobs)},
                                                 {"noSpeechProb", numberOf(e, row.noSpeechProb)},
                                                 {"ended", ended}});
          check(napi_set_element(e, array, static_cast<uint32_t>(i), object), "make an array");
        }
        return array;
      });
}

// startRows(engine, windows[]): handle.
napi_value startRows(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  std::vector<std::shared_ptr<Window>> windows;
  for (napi_value window : elements(env, args[1])) windows.push_back(handle<Window>(env, window));
  return makeHandle(env, std::make_shared<Rows>(engine->model.dims, std::move(windows)), 0);
}

// run(engine, rows, rowOfToken: Int32Array, tokens: Int32Array, wanted: Int32Array): Promise of logits [wanted, nVocab].
napi_value run(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  auto rows = handle<Rows>(env, args[1]);
  const std::vector<int> row = ints(env, args[2]), ids = ints(env, args[3]), wanted = ints(env, args[4]);
  std::vector<NewToken> tokens(ids.size());
  for (size_t i = 0; i < ids.size(); i++) tokens[i] = {row.at(i), ids[i]};
  auto logits = std::make_shared<std::vector<float>>();
  return promise(
      env,
      [=] {
        logits->resize(wanted.size() * engine->model.dims.nVocab);
        engine->decoder->run(*rows, tokens, wanted, logits->data());
      },
      [=](napi_env e) { return floatsOf(e, *logits); });
}

// stepTop(engine, rows, tokens: Int32Array, history: Int32Array [rows, 4], rules, k): Promise of { ids, logprobs }.
napi_value stepTop(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  auto rows = handle<Rows>(env, args[1]);
  const std::vector<int> tokens = ints(env, args[2]), packed = ints(env, args[3]);
  std::vector<History> history(tokens.size());
  for (size_t i = 0; i < history.size(); i++) {
    history[i].count = packed.at(4 * i);
    history[i].lastIsTimestamp = packed.at(4 * i + 1) != 0;
    history[i].penultimateIsTimestamp = packed.at(4 * i + 2) != 0;
    history[i].lastTimestamp = packed.at(4 * i + 3);
  }
  const TokenRules rules = tokenRules(env, args[4]);
  const int k = integer(env, args[5]);
  auto top = std::make_shared<Top>();
  return promise(
      env, [=] { *top = engine->decoder->stepTop(*rows, tokens, history, rules, k); },
      [=](napi_env e) { return objectOf(e, {{"ids", intsOf(e, top->ids)}, {"logprobs", floatsOf(e, top->logprobs)}}); });
}

// reorder(rows, from: Int32Array)
napi_value reorder(napi_env env, const Arguments& args) {
  handle<Rows>(env, args[0])->reorder(ints(env, args[1]));
  return undefined(env);
}

// attend(engine, window, tokens: Int32Array, from, eot, heads: Int32Array [n, 2]): Promise of { scores, tokenProbs }.
napi_value attend(napi_env env, const Arguments& args) {
  auto engine = handle<Engine>(env, args[0]);
  auto window = handle<Window>(env, args[1]);
  const std::vector<int> tokens = ints(env, args[2]), packed = ints(env, args[5]);
  const int from = integer(env, args[3]), eot = integer(env, args[4]);
  std::vector<std::pair<int, int>> heads;
  for (size_t i = 0; i + 1 < packed.size(); i += 2) heads.emplace_back(packed[i], packed[i + 1]);
  struct State {
    std::vector<float> scores, tokenProbs;
  };
  auto state = std::make_shared<State>();
  return promise(
      env,
      [=] {
        state->scores.resize(heads.size() * tokens.size() * engine->model.dims.nAudioCtx);
        state->tokenProbs.resize(tokens.size() - from - 2);
        engine->decoder->attend(window, tokens, from, eot, heads, state->scores.data(), state->tokenProbs.data());
      },
      [=](napi_env e) {
        return objectOf(e, {{"scores", floatsOf(e, state->scores)}, {"tokenProbs", floatsOf(e, state->tokenProbs)}});
      });
}

template <typename T>
napi_value releaseHandle(napi_env env, const Arguments& args) {
  release<T>(env, args[0]);
  return undefined(env);
}

template <napi_value (*function)(napi_env, const Arguments&)>
napi_value call(napi_env env, napi_callback_info info) {
  size_t count = 8;
  Arguments arguments(count);
  if (napi_get_cb_info(env, info, &count, arguments.data(), nullptr, nullptr) != napi_ok) return nullptr;
  try {
    // Everything but this file and cpu.cc is compiled for the instructions that the CPU was asked for.
    if (detectIsa() == Isa::kNone) throw JsError("Cannot use the native kernels: the CPU or the system lacks " + missingInstructions());
    return function(env, arguments);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
}

template <napi_value (*function)(napi_env, const Arguments&)>
void define(napi_env env, napi_value exports, const char* name) {
  napi_value value;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, call<function>, nullptr, &value), "define a function");
  check(napi_set_named_property(env, exports, name, value), "define a function");
}

}  // namespace

napi_value initialize(napi_env env, napi_value exports) {
  try {
    check(napi_set_named_property(env, exports, "isa", stringOf(env, isaName(detectIsa()))), "define isa");
    check(napi_set_named_property(env, exports, "missing", stringOf(env, missingInstructions().c_str())), "define missing");
    check(napi_set_named_property(env, exports, "sources", stringOf(env, SOTTO_SOURCES)), "define sources");
    define<checksumFile>(env, exports, "checksumFile");
    define<packedSize>(env, exports, "packedSize");
    define<pack>(env, exports, "packMatrix");
    define<openEngine>(env, exports, "open");
    define<encode>(env, exports, "encode");
    define<startGeneration>(env, exports, "startGeneration");
    define<addRequest>(env, exports, "addRequest");
    define<cancelRequest>(env, exports, "cancelRequest");
    define<advance>(env, exports, "advance");
    define<startRows>(env, exports, "startRows");
    define<run>(env, exports, "run");
    define<stepTop>(env, exports, "stepTop");
    define<reorder>(env, exports, "reorder");
    define<attend>(env, exports, "attend");
    define<releaseHandle<Window>>(env, exports, "releaseWindow");
    define<releaseHandle<Rows>>(env, exports, "releaseRows");
    define<releaseHandle<Generation>>(env, exports, "releaseGeneration");
    define<releaseHandle<Engine>>(env, exports, "close");
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return exports;
}

NAPI_MODULE(NODE_GYP_MODULE_NAME, initialize)

}  // namespace sotto
