// Threads: every chunk runs once, a worker number is used by one call at a time, errors come back, idle workers sleep.
#include "../threads.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "check.h"

using namespace sotto;

namespace {

// Many short runs of every size, with pauses now and then so that workers fall asleep in between.
bool chunksRunOnce(int count) {
  Threads threads(count);
  std::vector<std::atomic<int>> ran(257);
  std::vector<std::atomic<int>> busy(count);
  std::atomic<bool> clash{false};
  for (int round = 0; round < 20000; round++) {
    size_t chunks = round % 257;
    for (auto& n : ran) n.store(0, std::memory_order_relaxed);
    threads.run(chunks, [&](size_t chunk, int worker) {
      if (worker < 0 || worker >= count || busy[worker].fetch_add(1) != 0) clash = true;
      ran[chunk].fetch_add(1, std::memory_order_relaxed);
      if (worker >= 0 && worker < count) busy[worker].fetch_sub(1);
    });
    for (size_t i = 0; i < ran.size(); i++) {
      if (ran[i].load(std::memory_order_relaxed) != (i < chunks ? 1 : 0)) return false;
    }
    if (round % 500 == 0) usleep(500);
  }
  return !clash;
}

// What the workers write is seen by the caller, and what the caller wrote before by them.
bool writesAreSeen(int count) {
  Threads threads(count);
  std::vector<long> values(64);
  for (int round = 0; round < 5000; round++) {
    threads.run(values.size(), [&](size_t chunk, int) { values[chunk] += static_cast<long>(chunk) + round; });
  }
  for (size_t i = 0; i < values.size(); i++) {
    if (values[i] != static_cast<long>(i) * 5000 + 4999L * 2500) return false;
  }
  return true;
}

bool errorsComeBack(int count) {
  Threads threads(count);
  std::atomic<int> ran{0};
  try {
    threads.run(50, [&](size_t chunk, int) {
      ran++;
      if (chunk == 20) throw std::runtime_error("chunk 20");
    });
    return false;
  } catch (const std::runtime_error&) {
  }
  int after = 0;
  std::atomic<int> sum{0};
  threads.run(10, [&](size_t chunk, int) { sum += static_cast<int>(chunk); });
  after = sum;
  return after == 45 && (count == 1 || ran == 50);
}

double processorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

bool idleWorkersSleep() {
  Threads threads(4);
  threads.run(8, [](size_t, int) {});
  usleep(20000);
  double before = processorSeconds();
  usleep(200000);
  return processorSeconds() - before < 0.02;
}

}  // namespace

int main() {
  char name[100];
  for (int count : {1, 2, 3, 8}) {
    std::snprintf(name, sizeof name, "run() takes each chunk once, %d threads", count);
    check(chunksRunOnce(count), name);
    std::snprintf(name, sizeof name, "run() orders reads and writes, %d threads", count);
    check(writesAreSeen(count), name);
    std::snprintf(name, sizeof name, "run() throws what work throws, %d threads", count);
    check(errorsComeBack(count), name);
  }
  check(Threads(0).count() == 1 && Threads(3).count() == 3, "count()");
  check(idleWorkersSleep(), "idle workers use no processor time");
  return result();
}
