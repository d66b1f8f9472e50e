// What the C++ drivers share: arguments as key=value, the log-Mel file, the clock, and one line of JSON an answer.
// Protocol: see ../peer-process.mjs.
#pragma once
#include <sys/resource.h>
#include <time.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Arguments {
  std::map<std::string, std::string> values;

  Arguments(int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
      const std::string argument = argv[i];
      const auto equals = argument.find('=');
      if (equals == std::string::npos) throw std::runtime_error("expected key=value, got \"" + argument + "\"");
      values[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
  }

  std::string text(const std::string& key) const {
    const auto found = values.find(key);
    if (found == values.end()) throw std::runtime_error("missing argument " + key + "=");
    return found->second;
  }

  int number(const std::string& key) const { return std::stoi(text(key)); }

  std::vector<int> list(const std::string& key) const {
    std::vector<int> result;
    std::stringstream stream(text(key));
    for (std::string item; std::getline(stream, item, ',');) result.push_back(std::stoi(item));
    return result;
  }
};

// float32 numbers of a file.
inline std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<float> values(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

inline double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Milliseconds of processor time of all threads of this process.
inline double cpu_ms() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

// Highest resident memory of this process; not getrusage on Linux, which counts the process that started it, too.
inline double peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) * 1024;
  }
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss);
#else
  return static_cast<double>(usage.ru_maxrss) * 1024;
#endif
}

struct Answer {
  double ms = 0, encode_ms = 0, decode_ms = 0, cpu = 0;
  std::vector<int> tokens;  // of the first window
  size_t count = 0;         // of all windows
};

inline void print(const Answer& answer) {
  std::printf("{\"ms\":%.3f,\"encodeMs\":%.3f,\"decodeMs\":%.3f,\"cpuMs\":%.3f,\"peakBytes\":%.0f,\"count\":%zu,\"tokens\":[",
              answer.ms, answer.encode_ms, answer.decode_ms, answer.cpu, peak_bytes(), answer.count);
  for (size_t i = 0; i < answer.tokens.size(); i++) std::printf("%s%d", i == 0 ? "" : ",", answer.tokens[i]);
  std::printf("]}\n");
  std::fflush(stdout);
}

// Reads commands until stdin ends and answers each with what `handle(command, windows, tokens)` gives.
template <typename Handle>
void serve(double load_ms, Handle handle) {
  std::printf("{\"ready\":true,\"loadMs\":%.1f}\n", load_ms);
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::stringstream words(line);
    std::string command;
    int windows = 1, tokens = 0;
    words >> command;
    if (command != "steps") words >> windows;
    words >> tokens;
    const double started = now_ms(), cpu = cpu_ms();
    Answer answer = handle(command, windows, tokens);
    if (answer.ms == 0) answer.ms = now_ms() - started;
    answer.cpu = cpu_ms() - cpu;
    print(answer);
  }
}
