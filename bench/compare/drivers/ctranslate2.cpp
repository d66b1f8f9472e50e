// Runs CTranslate2's Whisper, the engine of faster-whisper, for compare.mjs: greedy (beam 1), log-Mel given, so many tokens a window.
//   g++ -O2 -std=c++17 ctranslate2.cpp -I$C/include -L$C/build -lctranslate2 (see ../README.md)
// Arguments: model= dtype=int8|float32 threads= workers= batch= mel= mels= prompt=ID,ID suppress=ID,ID
// `workers` replicas of one model, each with threads / workers threads, share batches of at most `batch` windows.
#include <ctranslate2/models/whisper.h>

#include <algorithm>
#include <future>
#include <memory>

#include "driver.hpp"

namespace ct2 = ctranslate2;

namespace {

constexpr ct2::dim_t kFrames = 3000;

struct Peer {
  std::unique_ptr<ct2::models::Whisper> pool;
  int workers, batch;
  ct2::dim_t mels;
  std::vector<float> mel;
  std::vector<size_t> prompt;
  ct2::models::WhisperOptions options;

  ct2::StorageView features(int first, int count) const {
    const size_t size = static_cast<size_t>(mels * kFrames);
    const auto begin = mel.begin() + static_cast<std::ptrdiff_t>(size * first);
    return ct2::StorageView({count, mels, kFrames}, std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(size * count)));
  }

  // Posts one batch; `audio` is log-Mel or encoder output.
  std::vector<std::future<ct2::models::WhisperGenerationResult>> generate(const ct2::StorageView& audio, int tokens) {
    // Its limit is the smaller of half of max_length and what the prompt leaves of it.
    options.max_length = 2 * static_cast<size_t>(tokens);
    return pool->generate(audio, std::vector<std::vector<size_t>>(static_cast<size_t>(audio.dim(0)), prompt), options);
  }

  Answer run(int windows, int tokens) {
    Answer answer;
    const int size = std::min(batch, (windows + workers - 1) / workers);
    // As many batches under way as there are replicas, so that memory does not grow with the number of windows.
    for (int first = 0; first < windows; first += size * workers) {
      const double started = now_ms();
      std::vector<std::future<ct2::StorageView>> encoding;
      for (int at = first; at < std::min(windows, first + size * workers); at += size) {
        encoding.push_back(pool->encode(features(at, std::min(size, windows - at)), false));
      }
      std::vector<ct2::StorageView> encoded;
      for (auto& future : encoding) encoded.push_back(future.get());
      const double between = now_ms();
      std::vector<std::future<ct2::models::WhisperGenerationResult>> results;
      for (const auto& audio : encoded) {
        for (auto& future : generate(audio, tokens)) results.push_back(std::move(future));
      }
      for (size_t i = 0; i < results.size(); i++) {
        const auto ids = results[i].get().sequences_ids.at(0);
        answer.count += ids.size();
        if (first == 0 && i == 0) answer.tokens.assign(ids.begin(), ids.end());
      }
      answer.encode_ms += between - started;
      answer.decode_ms += now_ms() - between;
    }
    return answer;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const double started = now_ms();
  Peer peer;
  peer.workers = arguments.number("workers");
  peer.batch = arguments.number("batch");
  ct2::models::ModelLoader loader(arguments.text("model"));
  loader.device = ct2::Device::CPU;
  loader.compute_type = ct2::str_to_compute_type(arguments.text("dtype"));
  loader.num_replicas_per_device = static_cast<size_t>(peer.workers);
  ct2::ReplicaPoolConfig config;
  config.num_threads_per_replica = static_cast<size_t>(std::max(1, arguments.number("threads") / peer.workers));
  peer.pool = std::make_unique<ct2::models::Whisper>(loader, config);
  const double loaded = now_ms() - started;
  peer.mels = arguments.number("mels");
  peer.mel = read_floats(arguments.text("mel"));
  for (const int id : arguments.list("prompt")) peer.prompt.push_back(static_cast<size_t>(id));
  peer.options.beam_size = 1;
  peer.options.suppress_blank = false;
  peer.options.suppress_tokens = arguments.list("suppress");

  std::unique_ptr<ct2::StorageView> encoded;
  serve(loaded, [&](const std::string& command, int windows, int tokens) {
    // It has no log-Mel of its own, so that a long recording is windows like others.
    if (command == "run" || command == "long") return peer.run(windows, tokens);
    if (command != "steps") throw std::runtime_error("unknown command " + command);
    if (!encoded) encoded = std::make_unique<ct2::StorageView>(peer.pool->encode(peer.features(0, 1), false).get());
    Answer answer;
    const double began = now_ms();
    const auto ids = peer.generate(*encoded, tokens)[0].get().sequences_ids.at(0);
    answer.ms = answer.decode_ms = now_ms() - began;
    answer.tokens.assign(ids.begin(), ids.end());
    answer.count = ids.size();
    return answer;
  });
}
