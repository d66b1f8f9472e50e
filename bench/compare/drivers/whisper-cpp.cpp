// Runs whisper.cpp for compare.mjs, through its C API: encoder and greedy decoder, log-Mel given, so many tokens a window.
//   g++ -O2 -std=c++17 whisper-cpp.cpp -I$W/include -I$W/ggml/include -L$W/build/src -lwhisper ... (see ../README.md)
// Arguments: model= threads= workers= flash=0|1 mel= mels= audio= prompt=ID,ID suppress=ID,ID
// `workers` states of one model share the windows, each with threads / workers threads.
#include <algorithm>
#include <cmath>
#include <thread>

#include "driver.hpp"
#include "ggml-backend.h"
#include "whisper.h"

namespace {

constexpr int kFrames = 3000;
constexpr int kSamples = 480000;

struct Peer {
  whisper_context* context;
  std::vector<whisper_state*> states;
  int threads;  // of each state
  int mels;
  std::vector<float> mel, audio;
  std::vector<int> prompt, suppress;

  void must(int status, const char* what) const {
    if (status != 0) throw std::runtime_error(std::string(what) + " failed");
  }

  void set_window(whisper_state* state, int window) const {
    must(whisper_set_mel_with_state(context, state, mel.data() + static_cast<size_t>(window) * mels * kFrames, kFrames, mels), "set_mel");
  }

  std::vector<int> decode(whisper_state* state, int tokens) const {
    const int vocabulary = whisper_n_vocab(context);
    std::vector<int> generated;
    std::vector<whisper_token> input(prompt.begin(), prompt.end());
    int past = 0;
    while (static_cast<int>(generated.size()) < tokens) {
      const int count = static_cast<int>(input.size());
      must(whisper_decode_with_state(context, state, input.data(), count, past, threads), "decode");
      past += count;
      float* logits = whisper_get_logits_from_state(state) + static_cast<size_t>(count - 1) * vocabulary;
      for (const int id : suppress) logits[id] = -INFINITY;
      generated.push_back(static_cast<int>(std::max_element(logits, logits + vocabulary) - logits));
      input.assign(1, generated.back());
    }
    return generated;
  }

  // Each state has its share of the windows, side by side; times of the stages are those of the first state.
  Answer run(int windows, int tokens, bool whole) const {
    std::vector<Answer> parts(states.size());
    std::vector<std::thread> others;
    const auto work = [&](size_t worker) {
      whisper_state* state = states[worker];
      const auto share = [&](size_t before) { return static_cast<int>((windows * before + states.size() - 1) / states.size()); };
      const int first = share(worker), last = share(worker + 1);
      if (whole) {
        const int samples = (last - first) * kSamples;
        must(whisper_pcm_to_mel_with_state(context, state, audio.data() + static_cast<size_t>(first) * kSamples, samples, threads), "pcm_to_mel");
      }
      for (int window = first; window < last; window++) {
        const double started = now_ms();
        if (!whole) set_window(state, window);
        must(whisper_encode_with_state(context, state, whole ? (window - first) * kFrames : 0, threads), "encode");
        const double encoded = now_ms();
        const std::vector<int> generated = decode(state, tokens);
        parts[worker].encode_ms += encoded - started;
        parts[worker].decode_ms += now_ms() - encoded;
        parts[worker].count += generated.size();
        if (window == 0) parts[worker].tokens = generated;
      }
    };
    for (size_t worker = 1; worker < states.size(); worker++) others.emplace_back(work, worker);
    work(0);
    for (std::thread& thread : others) thread.join();
    for (size_t worker = 1; worker < states.size(); worker++) parts[0].count += parts[worker].count;
    return parts[0];
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  ggml_backend_load_all();
  whisper_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  const double started = now_ms();
  whisper_context_params parameters = whisper_context_default_params();
  parameters.use_gpu = false;
  parameters.flash_attn = arguments.number("flash") != 0;
  Peer peer;
  peer.context = whisper_init_from_file_with_params_no_state(arguments.text("model").c_str(), parameters);
  if (peer.context == nullptr) throw std::runtime_error("cannot load the model");
  const int workers = arguments.number("workers");
  peer.threads = std::max(1, arguments.number("threads") / workers);
  for (int i = 0; i < workers; i++) peer.states.push_back(whisper_init_state(peer.context));
  const double loaded = now_ms() - started;
  peer.mels = arguments.number("mels");
  peer.mel = read_floats(arguments.text("mel"));
  if (arguments.values.count("audio") != 0) peer.audio = read_floats(arguments.text("audio"));
  peer.prompt = arguments.list("prompt");
  peer.suppress = arguments.list("suppress");

  bool encoded = false;
  serve(loaded, [&](const std::string& command, int windows, int tokens) {
    if (command == "run") return peer.run(windows, tokens, false);
    if (command == "long") return peer.run(windows, tokens, true);
    if (command != "steps") throw std::runtime_error("unknown command " + command);
    if (!encoded) {
      peer.set_window(peer.states[0], 0);
      peer.must(whisper_encode_with_state(peer.context, peer.states[0], 0, peer.threads), "encode");
      encoded = true;
    }
    Answer answer;
    const double began = now_ms();
    answer.tokens = peer.decode(peer.states[0], tokens);
    answer.ms = answer.decode_ms = now_ms() - began;
    answer.count = answer.tokens.size();
    return answer;
  });
}
