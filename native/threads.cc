// The team behind Threads. A run publishes its chunks as one number that everybody counts down; who brings it from n to n - 1
// owns a chunk, and the run cannot end before that chunk is done. So a worker that wakes too late finds zero and harms nothing,
// and the caller never waits for a worker that has not begun.
#include "threads.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace sotto {
namespace {

// How long to spin before sleeping, in ticks of the time stamp counter (2 to 4 a nanosecond): the short runs of a decoder's step
// follow each other within some ten microseconds, and waking a sleeper costs about as much.
constexpr uint64_t kSpinTicks = 120000;

void futexWait(std::atomic<uint32_t>& word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void futexWake(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

// Spins until ready() holds; false if the time is over first.
template <typename Ready>
bool spin(const Ready& ready) {
  uint64_t start = __rdtsc();
  do {
    for (int i = 0; i < 8; i++) {
      if (ready()) return true;
      _mm_pause();
    }
  } while (__rdtsc() - start < kSpinTicks);
  return ready();
}

}  // namespace

struct Threads::Team {
  using Work = std::function<void(size_t, int)>;

  // Each on its own cache line: workers hammer `left`, the caller watches `done`.
  alignas(64) std::atomic<int64_t> left{0};  // chunks that nobody has taken; may sink below 0
  alignas(64) std::atomic<int64_t> done{0};
  alignas(64) std::atomic<uint32_t> bell{0};  // counts up to wake sleepers
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  alignas(64) std::atomic<uint32_t> finished{0};  // 1 once a sleeping caller may go on
  std::atomic<bool> callerSleeps{false};

  // Of the run under way: written before `left`, read by those who own a chunk.
  alignas(64) const Work* work = nullptr;
  int64_t total = 0;
  std::mutex errorMutex;
  std::exception_ptr error;

  std::vector<pthread_t> threads;
  std::vector<std::pair<Team*, int>> seats;

  // Works on chunks while there are any; false if there was none.
  bool takeChunks(int worker) {
    bool any = false;
    while (left.load(std::memory_order_relaxed) > 0) {
      int64_t mine = left.fetch_sub(1, std::memory_order_acq_rel);
      if (mine <= 0) break;
      any = true;
      int64_t all = total;
      try {
        (*work)(static_cast<size_t>(all - mine), worker);
      } catch (...) {
        std::lock_guard<std::mutex> lock(errorMutex);
        if (!error) error = std::current_exception();
      }
      if (done.fetch_add(1, std::memory_order_seq_cst) + 1 == all && worker != 0 && callerSleeps.load()) {
        finished.store(1);
        futexWake(finished, 1);
      }
    }
    return any;
  }

  void runWorker(int worker) {
    auto called = [this] { return left.load(std::memory_order_relaxed) > 0 || stop.load(std::memory_order_relaxed); };
    while (!stop.load()) {
      takeChunks(worker);
      if (spin(called)) continue;
      uint32_t seen = bell.load();
      sleepers.fetch_add(1);
      // The caller first publishes chunks and then looks for sleepers; here it is the other way round, so one sees the other.
      if (left.load() <= 0 && !stop.load()) futexWait(bell, seen);
      sleepers.fetch_sub(1);
    }
  }

  void ring(int64_t wanted) {
    int asleep = sleepers.load();
    if (asleep <= 0 || wanted <= 0) return;
    bell.fetch_add(1);
    futexWake(bell, wanted < asleep ? static_cast<int>(wanted) : asleep);
  }

  void awaitDone() {
    auto ready = [this] { return done.load(std::memory_order_acquire) == total; };
    if (spin(ready)) return;
    callerSleeps.store(true);
    for (;;) {
      finished.store(0);
      if (done.load() == total) break;
      futexWait(finished, 0);
    }
    callerSleeps.store(false);
  }

  static void* enter(void* seat) {
    auto* s = static_cast<std::pair<Team*, int>*>(seat);
    char name[16];
    std::snprintf(name, sizeof name, "sotto-%d", s->second);
    pthread_setname_np(pthread_self(), name);
    s->first->runWorker(s->second);
    return nullptr;
  }

  explicit Team(int count) {
    seats.reserve(static_cast<size_t>(count));
    threads.reserve(static_cast<size_t>(count));
    // The host program's signals are none of the workers' business.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int worker = 1; worker < count; worker++) {
      seats.emplace_back(this, worker);
      pthread_t thread;
      // Where the system gives no more threads, those there are do the work.
      if (pthread_create(&thread, nullptr, enter, &seats.back()) != 0) break;
      threads.push_back(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~Team() {
    stop.store(true);
    bell.fetch_add(1);
    futexWake(bell, INT_MAX);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
  }
};

Threads::Threads(int count) : team_(new Team(count < 1 ? 1 : count)) {}

Threads::~Threads() = default;

int Threads::count() const { return static_cast<int>(team_->threads.size()) + 1; }

void Threads::run(size_t chunks, const std::function<void(size_t chunk, int worker)>& work) {
  if (chunks <= 1 || team_->threads.empty()) {
    for (size_t chunk = 0; chunk < chunks; chunk++) work(chunk, 0);
    return;
  }
  Team& team = *team_;
  team.work = &work;
  team.total = static_cast<int64_t>(chunks);
  team.done.store(0);
  team.left.store(team.total);
  team.ring(team.total - 1);
  team.takeChunks(0);
  team.awaitDone();
  if (team.error) {
    std::exception_ptr error;
    std::swap(error, team.error);
    std::rethrow_exception(error);
  }
}

}  // namespace sotto
