// Blocks, warps and fibers, and the words that make them wait for each other. One worker is one thread of the machine with stacks for
// a block's fibers and a window of shared memory; blocks of a launch are dealt to the workers.

#include "block.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "launch.h"
#include "multiply.h"
#include "switch.h"

namespace standin {

__thread Fiber* fiber = nullptr;
__thread Block* block = nullptr;

namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kBehindBytes = 256 << 10;  // unreadable, behind shared memory
constexpr unsigned kMaxWorkers = 256;
constexpr unsigned char kCanary = 0xc5;
constexpr size_t kCanaryBytes = 64;  // behind each static shared array

struct StaticArray {
  uint64_t epoch = 0;
  unsigned char* at = nullptr;
};

struct Worker {
  Block block;
  Fiber fibers[kMaxThreads];
  Copies copies[kMaxThreads];
  Warp warps[kMaxThreads / kLanes];
  Warp* firstWarp = nullptr;
  unsigned threads = 0, live = 0, stacksReady = 0;
  void* mainStack = nullptr;
  char* stacks = nullptr;
  unsigned short freeStacks[kMaxThreads];  // those that no fiber has; the latest first
  unsigned freeCount = 0;
  std::vector<StaticArray> staticArrays;
  std::vector<std::pair<const unsigned char*, const char*>> canaries;  // of this block: where, behind which array
  const Launch* launch = nullptr;
  std::vector<void*> values;  // pointers to the launch's parameters
  sigjmp_buf escape;
  volatile bool inKernel = false;
  int error = 0;
  uint64_t random = 1;
};

thread_local Worker* worker = nullptr;

uint64_t nextRandom(uint64_t& state) {  // splitmix64
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "sotto stand-in: %s: %s\n", what, strerror(errno));
  abort();
}

void* map(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) die("cannot map memory");
  return at;
}

void poison(void* at, size_t bytes) {
  uint32_t* words = static_cast<uint32_t*>(at);
  for (size_t i = 0; i < bytes / 4; i++) words[i] = kPoison;
  memset(words + bytes / 4, 0x7f, bytes % 4);
}

// The next fiber that may run: of the same warp if there is one, so that a warp stays together; null if none may.
inline bool mayRun(const Fiber& f) { return f.waitsFor == nullptr || *f.waitsFor != f.waitValue; }

Fiber* nextFiber(Fiber* from) {
  for (Fiber* f = from->next; f != from; f = f->next) {
    if (mayRun(*f)) return f;
  }
  for (Warp* w = from->warp->next; w != from->warp; w = w->next) {
    Fiber* f = w->first;
    do {
      if (mayRun(*f)) return f;
      f = f->next;
    } while (f != w->first);
  }
  return mayRun(*from) ? from : nullptr;
}

const unsigned kNever = 0;

[[noreturn]] void faultDeadlock() {
  unsigned ended = 0, atBlock = 0, atNamed = 0, atWarp = 0;
  const Worker& w = *worker;
  for (unsigned i = 0; i < w.threads; i++) {
    const unsigned* what = w.fibers[i].waitsFor;
    if (what == &kNever) ended++;
    else if (what == &w.block.barriers[0].phase) atBlock++;
    else if (what >= &w.block.barriers[1].phase && what <= &w.block.barriers[15].phase) atNamed++;
    else atWarp++;
  }
  fault(kLaunchFailed, "threads wait for others that never come: of %u, %u wait at the block's barrier, %u at numbered ones, %u at a word of their warp, %u have ended",
        w.threads, atBlock, atNamed, atWarp, ended);
}

// Comes to a word of the warp. True for the last lane, which does the work of all and then calls leave().
inline bool come(Warp& warp, Word word) {
  if (warp.word != word) {
    if (warp.barrier.arrived != 0) fault(kLaunchFailed, "lanes of warp %u say different words at a time", warp.index);
    warp.word = word;
  }
  if (word != Word::sync && warp.barrier.expected != kLanes) {
    fault(kLaunchFailed, "warp %u has %u lanes, and a warp's words need 32", warp.index, warp.barrier.expected);
  }
  return ++warp.barrier.arrived == warp.barrier.expected;
}

inline void leave(Warp& warp) {
  warp.barrier.arrived = 0;
  warp.barrier.phase++;
}

inline void meet(Warp& warp, Word word) {
  unsigned phase = warp.barrier.phase;
  if (come(warp, word)) leave(warp);
  else waitFor(&warp.barrier.phase, phase);
}

// Where a stack begins: spread over the pages, as at the same place in each a warp's stacks would fight for the same lines of the cache.
char* stackTop(Worker& w, unsigned stack) { return w.stacks + (stack + 1) * kStackBytes - stack * 9 % 64 * 64; }

// Runs threads of the block one after the other, as long as they end without waiting: those need no stack of their own.
void enterFiber() {
  Worker& w = *worker;
  const Kernel& kernel = *w.launch->kernel;
  for (;;) {
    kernel.call(kernel.function, w.values.data());
    Fiber* me = fiber;
    me->waitsFor = &kNever;
    me->waitValue = 0;
    if (--w.live == 0) {
      w.freeStacks[w.freeCount++] = me->stack;
      standin_switch(&me->stackPointer, w.mainStack);
      __builtin_trap();
    }
    Fiber* next = nextFiber(me);
    if (next == nullptr) faultDeadlock();
    fiber = next;
    if (!next->started) {
      next->started = true;
      next->stack = me->stack;
      continue;
    }
    w.freeStacks[w.freeCount++] = me->stack;
    standin_switch(&me->stackPointer, next->stackPointer);
    __builtin_trap();
  }
}

// Gives a fiber that has not begun a stack.
inline void start(Worker& w, Fiber& f) {
  f.started = true;
  f.stack = w.freeStacks[--w.freeCount];
  f.stackPointer = newStack(stackTop(w, f.stack), enterFiber);
}

std::mutex faultLock;
std::string faultText;
std::atomic<bool> stopped{false};  // the running launch has failed

std::mutex staticLock;
std::map<const Kernel*, size_t> staticBytes;

// Gives as many fibers a stack as the block has threads. Each has an unreadable page below, of which a process cannot have very many.
void prepareStacks(Worker& w) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (; w.stacksReady < w.threads; w.stacksReady++) mprotect(w.stacks + w.stacksReady * kStackBytes, page, PROT_NONE);
  // All are free: a launch that failed has left some taken.
  w.freeCount = 0;
  for (unsigned i = w.stacksReady; i > 0; i--) w.freeStacks[w.freeCount++] = static_cast<unsigned short>(i - 1);
}

// Puts fibers and warps in the order in which they are to run.
void arrange(Worker& w) {
  unsigned warps = (w.threads + kLanes - 1) / kLanes;
  unsigned order[kMaxThreads / kLanes], lanes[kLanes];
  auto fill = [&](unsigned* to, unsigned count) {
    bool reversed = settings().order == Settings::reverse;
    for (unsigned i = 0; i < count; i++) to[i] = reversed ? count - 1 - i : i;
    if (settings().order != Settings::shuffle) return;
    for (unsigned i = count; i > 1; i--) std::swap(to[i - 1], to[nextRandom(w.random) % i]);
  };
  fill(order, warps);
  for (unsigned i = 0; i < warps; i++) {
    Warp& warp = w.warps[order[i]];
    warp.next = &w.warps[order[(i + 1) % warps]];
    warp.index = order[i];
    unsigned from = warp.index * kLanes, size = std::min(kLanes, w.threads - from);
    warp.barrier = {};
    warp.barrier.expected = size;
    fill(lanes, size);
    for (unsigned j = 0; j < size; j++) {
      Fiber& f = w.fibers[from + lanes[j]];
      f.next = &w.fibers[from + lanes[(j + 1) % size]];
      f.warp = &warp;
      f.lane = lanes[j];
    }
    warp.first = &w.fibers[from + lanes[0]];
  }
  w.firstWarp = &w.warps[order[0]];
}

void checkCanaries(Worker& w) {
  for (auto [at, name] : w.canaries) {
    for (size_t i = 0; i < kCanaryBytes; i++) {
      if (at[i] != kCanary) fault(kIllegalAddress, "%zu bytes behind the shared array \"%s\" were written", i + 1, name);
    }
  }
  const unsigned char* end = w.block.window + kWindowBytes;
  for (const unsigned char* at = w.block.dynamic + w.block.dynamicBytes; at < end; at++) {
    if (*at != kCanary) {
      fault(kIllegalAddress, "dynamic shared memory of %zu bytes was written at %td", w.block.dynamicBytes, at - w.block.dynamic);
    }
  }
}

void runBlock(Worker& w, uint3 index) {
  Block& b = w.block;
  b.index = index;
  b.epoch++;
  b.staticEnd = kStaticStart;
  w.canaries.clear();
  unsigned char* end = b.window + kWindowBytes;
  poison(b.dynamic, b.dynamicBytes);
  memset(b.dynamic + b.dynamicBytes, kCanary, static_cast<size_t>(end - b.dynamic) - b.dynamicBytes);
  if (settings().order == Settings::shuffle) {
    arrange(w);
    b.earlyCopies = nextRandom(w.random) % 2 != 0;
  }
  for (Barrier& barrier : b.barriers) barrier = {};
  b.barriers[0].expected = w.threads;
  for (unsigned i = 0; i < w.threads; i++) {
    Fiber& f = w.fibers[i];
    f.waitsFor = nullptr;
    f.started = false;
    if (f.copied) {
      f.copied = false;
      w.copies[i].copies.clear();
      w.copies[i].groupEnds.clear();
      w.copies[i].done = 0;
      w.copies[i].unfenced = false;
    }
  }
  for (unsigned i = 0; i * kLanes < w.threads; i++) {
    w.warps[i].barrier.arrived = 0;
    w.warps[i].word = Word::none;
  }
  w.live = w.threads;
  fiber = w.firstWarp->first;
  start(w, *fiber);
  standin_switch(&w.mainStack, fiber->stackPointer);
  checkCanaries(w);
}

struct Team {
  std::mutex lock;  // of what follows
  std::condition_variable wake[kMaxWorkers], done;
  const Launch* launch[kMaxWorkers] = {};  // what each is to work on; null for nothing
  unsigned busy = 0;
  std::atomic<uint64_t> taken{0};
  std::atomic<int> error{0};
};
Team* team = nullptr;

void runShare(Worker& w, const Launch& launch) {
  w.launch = &launch;
  Block& b = w.block;
  b.grid = launch.grid;
  b.size = launch.size;
  b.dynamicBytes = launch.dynamicBytes;
  b.dynamic = b.window + kWindowBytes - (launch.dynamicBytes + 1023) / 1024 * 1024;
  b.earlyCopies = settings().order == Settings::reverse;
  w.threads = launch.size.x * launch.size.y * launch.size.z;
  w.values.clear();
  unsigned char* bytes = reinterpret_cast<unsigned char*>(const_cast<uint64_t*>(launch.bytes.data()));
  for (size_t offset : launch.offsets) w.values.push_back(bytes + offset);
  for (unsigned i = 0; i < w.threads; i++) {
    w.fibers[i].thread = {i % b.size.x, i / b.size.x % b.size.y, i / (b.size.x * b.size.y)};
  }
  prepareStacks(w);
  arrange(w);
  uint64_t blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  w.error = 0;
  size_t staticEnd = 0;
  if (sigsetjmp(w.escape, 1) == 0) {
    w.inKernel = true;
    for (;;) {
      uint64_t i = team->taken.fetch_add(1, std::memory_order_relaxed);
      if (i >= blocks || stopped.load(std::memory_order_relaxed)) break;
      if (settings().order != Settings::forward) i = blocks - 1 - i;
      runBlock(w, {static_cast<unsigned>(i % launch.grid.x), static_cast<unsigned>(i / launch.grid.x % launch.grid.y),
                   static_cast<unsigned>(i / launch.grid.x / launch.grid.y)});
      staticEnd = b.staticEnd;
    }
  }
  w.inKernel = false;
  fiber = nullptr;
  if (w.error != 0) team->error.store(w.error);
  if (staticEnd > 0) {
    std::lock_guard<std::mutex> guard(staticLock);
    size_t& known = staticBytes[launch.kernel];
    known = std::max(known, staticEnd - kStaticStart);
  }
}

// Makes the calling thread a worker.
void enlist(unsigned index) {
  Worker* w = new Worker;
  worker = w;
  w->random = settings().seed * 1000003 + index;
  block = &w->block;
  // The window begins at a multiple of its size, so that an address's low bits are its place in shared memory.
  char* at = static_cast<char*>(map(2 * kWindowBytes + kBehindBytes));
  at += kWindowBytes - reinterpret_cast<uintptr_t>(at) % kWindowBytes;
  w->block.window = reinterpret_cast<unsigned char*>(at);
  mprotect(at + kWindowBytes, kBehindBytes, PROT_NONE);
  w->stacks = static_cast<char*>(map(kMaxThreads * kStackBytes));
  stack_t alternative = {};
  alternative.ss_size = 64 << 10;
  alternative.ss_sp = map(alternative.ss_size);
  sigaltstack(&alternative, nullptr);
}

void work(unsigned index) {
  enlist(index);
  for (;;) {
    const Launch* launch;
    {
      std::unique_lock<std::mutex> guard(team->lock);
      team->wake[index].wait(guard, [&] { return team->launch[index] != nullptr; });
      launch = std::exchange(team->launch[index], nullptr);
    }
    runShare(*worker, *launch);
    std::lock_guard<std::mutex> guard(team->lock);
    if (--team->busy == 0) team->done.notify_all();
  }
}

struct sigaction earlier[2];

// An access that the machine refuses ends the launch, if a kernel made it; anything else is for whoever handled it before.
void onSignal(int number, siginfo_t* info, void* context) {
  Worker* w = worker;
  if (w == nullptr || !w->inKernel) {
    struct sigaction& old = earlier[number == SIGBUS];
    if ((old.sa_flags & SA_SIGINFO) != 0 && old.sa_sigaction != nullptr) return old.sa_sigaction(number, info, context);
    if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return old.sa_handler(number);
    signal(number, SIG_DFL);
    return;
  }
  uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
#if defined(__linux__)
  // The processor says no address where it is not canonical, or a vector's is not aligned.
  if (info->si_code == SI_KERNEL) fault(kIllegalAddress, "access to an address that is misaligned or none at all");
#endif
  uintptr_t stacks = reinterpret_cast<uintptr_t>(w->stacks), window = reinterpret_cast<uintptr_t>(w->block.window);
  if (address >= stacks && address < stacks + kMaxThreads * kStackBytes) fault(kLaunchFailed, "a thread's stack of 64 KiB is full");
  if (address >= window + kWindowBytes && address < window + kWindowBytes + kBehindBytes) {
    fault(kIllegalAddress, "access behind %zu bytes of dynamic shared memory, at %zu", w->block.dynamicBytes,
          static_cast<size_t>(address - reinterpret_cast<uintptr_t>(w->block.dynamic)));
  }
  fault(kIllegalAddress, "access to 0x%zx: %s", static_cast<size_t>(address), describeAddress(address).c_str());
}

void startTeam() {
  team = new Team;
  struct sigaction action = {};
  action.sa_sigaction = onSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &earlier[0]);
  sigaction(SIGBUS, &action, &earlier[1]);
  for (unsigned i = 1; i < settings().threads; i++) std::thread(work, i).detach();
}

std::vector<Kernel>& allKernels() {
  static std::vector<Kernel>& all = *new std::vector<Kernel>;
  return all;
}
std::vector<unsigned>& bounds() {
  static std::vector<unsigned>& all = *new std::vector<unsigned>;
  return all;
}
std::atomic<unsigned> sharedArrays{0};

}  // namespace

void fault(Fault code, const char* format, ...) {
  char text[512], where[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  Worker& w = *worker;
  const Block& b = w.block;
  const uint3& t = fiber->thread;
  snprintf(where, sizeof where, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", w.launch->kernel->name.c_str(), b.index.x, b.index.y,
           b.index.z, t.x, t.y, t.z);
  {
    std::lock_guard<std::mutex> guard(faultLock);
    if (!stopped.exchange(true)) {
      faultText = std::string(where) + ": " + text;
      if (!settings().quiet) fprintf(stderr, "sotto stand-in: %s\n", faultText.c_str());
    }
  }
  w.error = code;
  siglongjmp(w.escape, 1);
}

__attribute__((noinline)) void waitFor(const unsigned* phase, unsigned value) {
  Fiber* me = fiber;
  me->waitsFor = phase;
  me->waitValue = value;
  Fiber* next = nextFiber(me);
  if (next == nullptr) faultDeadlock();
  if (next != me) {
    if (!next->started) start(*worker, *next);
    fiber = next;
    standin_switch(&me->stackPointer, next->stackPointer);
  }
  me->waitsFor = nullptr;
}

void syncBarrier(int number, unsigned threads) {
  if (number < 0 || number > 15) fault(kLaunchFailed, "there is no barrier %d", number);
  Barrier& barrier = block->barriers[number];
  if (number != 0) {
    if (threads == 0 || threads % kLanes != 0) fault(kLaunchFailed, "barrier %d is for %u threads, which are no whole warps", number, threads);
    if (barrier.arrived == 0) barrier.expected = threads;
    else if (barrier.expected != threads) fault(kLaunchFailed, "barrier %d is for %u threads, and for %u", number, barrier.expected, threads);
  }
  unsigned phase = barrier.phase;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    barrier.phase++;
  } else {
    waitFor(&barrier.phase, phase);
  }
}

void syncWarp() { meet(*fiber->warp, Word::sync); }

uint32_t shuffleBits(uint32_t value, unsigned from) {
  Fiber& me = *fiber;
  Warp& warp = *me.warp;
  unsigned half = warp.barrier.phase & 1;
  warp.values[half][me.lane] = value;
  meet(warp, Word::shuffle);
  return warp.values[half][from % kLanes];
}

uint32_t lanesWhere(bool x) {
  Fiber& me = *fiber;
  Warp& warp = *me.warp;
  unsigned half = warp.barrier.phase & 1;
  warp.values[half][me.lane] = x;
  if (come(warp, Word::lanesWhere)) {
    uint32_t where = 0;
    for (unsigned i = 0; i < kLanes; i++) where |= warp.values[half][i] << i;
    warp.where[half] = where;
    leave(warp);
  } else {
    waitFor(&warp.barrier.phase, warp.barrier.phase);
  }
  return warp.where[half];
}

void loadMatrices(uint32_t* result, const void* row, bool transposed) {
  Fiber& me = *fiber;
  Warp& warp = *me.warp;
  sharedOffset(row, 16);
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fault(kMisalignedAddress, "a matrix's row at %p", row);
  warp.rows[me.lane] = row;
  warp.results[me.lane] = result;
  if (!come(warp, Word::loadMatrices)) return waitFor(&warp.barrier.phase, warp.barrier.phase);
  for (unsigned m = 0; m < 4; m++) {
    if (!transposed) {
      for (unsigned i = 0; i < 8; i++) {
        const uint32_t* words = static_cast<const uint32_t*>(warp.rows[m * 8 + i]);
        for (unsigned j = 0; j < 4; j++) warp.results[i * 4 + j][m] = words[j];
      }
    } else {
      // Lane 4 i + j gets what stands in column i of rows 2 j and 2 j + 1.
      for (unsigned j = 0; j < 4; j++) {
        const uint16_t* first = static_cast<const uint16_t*>(warp.rows[m * 8 + 2 * j]);
        const uint16_t* second = static_cast<const uint16_t*>(warp.rows[m * 8 + 2 * j + 1]);
        for (unsigned i = 0; i < 8; i++) warp.results[i * 4 + j][m] = static_cast<uint32_t>(second[i]) << 16 | first[i];
      }
    }
  }
  leave(warp);
}

template <class Convert>
static void multiply(float* c, const uint32_t* a, const uint32_t* b) {
  Fiber& me = *fiber;
  Warp& warp = *me.warp;
  warp.a[me.lane] = a;
  warp.b[me.lane] = b;
  warp.c[me.lane] = c;
  if (!come(warp, Word::multiply)) return waitFor(&warp.barrier.phase, warp.barrier.phase);
  multiplyFragments<Convert>(warp.c, warp.a, warp.b);
  leave(warp);
}
void multiplyBf16(float* c, const uint32_t* a, const uint32_t* b) { multiply<Bf16x8>(c, a, b); }
void multiplyF16(float* c, const uint32_t* a, const uint32_t* b) { multiply<F16x8>(c, a, b); }

uint32_t sharedOffset(const void* address, size_t bytes) {
  const Block& b = *block;
  uintptr_t at = reinterpret_cast<uintptr_t>(address), window = reinterpret_cast<uintptr_t>(b.window);
  uintptr_t dynamic = reinterpret_cast<uintptr_t>(b.dynamic);
  bool inDynamic = at >= dynamic && at + bytes <= dynamic + b.dynamicBytes;
  bool inStatic = at >= window + kStaticStart && at + bytes <= window + b.staticEnd;
  if (!inDynamic && !inStatic) fault(kIllegalAddress, "%p is outside of the block's shared memory", address);
  return static_cast<uint32_t>(at - window);
}

Copies& ownCopies() {
  fiber->copied = true;
  return worker->copies[fiber - worker->fibers];
}
Copies& copiesOf(unsigned i) { return worker->copies[i]; }

static void copyNow(void* to, const void* from) {
  if (from == nullptr) memset(to, 0, 16);
  else memcpy(to, from, 16);
}

void copyAsync16(void* to, const void* from) {
  sharedOffset(to, 16);
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % 16 != 0) {
    fault(kMisalignedAddress, "copy of 16 bytes from %p to %p", from, to);
  }
  if (block->earlyCopies) return copyNow(to, from);
  poison(to, 16);
  ownCopies().copies.push_back({to, from});
}

void copyCommit() {
  Copies& copies = ownCopies();
  copies.groupEnds.push_back(copies.copies.size());
}

void copyWait(unsigned pending) {
  Copies& copies = ownCopies();
  if (copies.groupEnds.size() <= pending) return;
  copies.unfenced = true;
  size_t groups = copies.groupEnds.size() - pending, end = copies.groupEnds[groups - 1];
  for (size_t i = copies.done; i < end; i++) copyNow(copies.copies[i].to, copies.copies[i].from);
  copies.groupEnds.erase(copies.groupEnds.begin(), copies.groupEnds.begin() + static_cast<ptrdiff_t>(groups));
  copies.done = end;
  if (end == copies.copies.size()) {
    copies.copies.clear();
    copies.done = 0;
    for (size_t& other : copies.groupEnds) other = 0;
  }
}

SharedArray::SharedArray(const char* name, size_t bytes) : name_(name), bytes_(bytes), id_(sharedArrays++) {}

void* SharedArray::here() const {
  Worker& w = *worker;
  Block& b = w.block;
  if (id_ >= w.staticArrays.size()) w.staticArrays.resize(sharedArrays);
  StaticArray& array = w.staticArrays[id_];
  if (array.epoch == b.epoch) return array.at;
  array.epoch = b.epoch;
  array.at = b.window + b.staticEnd;
  size_t bytes = (bytes_ + 15) / 16 * 16;
  if (array.at + bytes + kCanaryBytes > b.dynamic) {
    fault(kLaunchFailed, "static and dynamic shared memory are more than %zu KiB together", kWindowBytes >> 10);
  }
  poison(array.at, bytes_);
  memset(array.at + bytes_, kCanary, bytes - bytes_ + kCanaryBytes);
  w.canaries.emplace_back(array.at + bytes_, name_);
  b.staticEnd += bytes + kCanaryBytes;
  return array.at;
}

Bound::Bound(unsigned threads, unsigned) { bounds().push_back(threads); }

void registerKernel(Kernel kernel) {
  size_t index = allKernels().size();
  if (index < bounds().size()) kernel.maxThreads = bounds()[index];
  allKernels().push_back(std::move(kernel));
}

const std::vector<Kernel>& kernels() { return allKernels(); }

size_t staticSharedBytes(const Kernel& kernel) {
  std::lock_guard<std::mutex> guard(staticLock);
  auto known = staticBytes.find(&kernel);
  return known == staticBytes.end() ? 0 : known->second;
}

const std::string& latestFault() {
  std::lock_guard<std::mutex> guard(faultLock);
  return faultText;
}

const Settings& settings() {
  static const Settings read = [] {
    Settings s{std::max(1u, std::min(16u, std::thread::hardware_concurrency())), Settings::forward, 1, getenv("SOTTO_STANDIN_QUIET") != nullptr};
    if (const char* threads = getenv("SOTTO_STANDIN_THREADS")) s.threads = static_cast<unsigned>(std::max(1, std::min<int>(kMaxWorkers, atoi(threads))));
    std::string order = getenv("SOTTO_STANDIN_ORDER") ? getenv("SOTTO_STANDIN_ORDER") : "forward";
    if (order == "reverse") s.order = Settings::reverse;
    else if (order.rfind("shuffle", 0) == 0) {
      s.order = Settings::shuffle;
      if (order.size() > 8) s.seed = strtoull(order.c_str() + 8, nullptr, 10);
    } else if (order != "forward") {
      fprintf(stderr, "sotto stand-in: SOTTO_STANDIN_ORDER is forward, reverse or shuffle:<seed>, not \"%s\"\n", order.c_str());
    }
    return s;
  }();
  return read;
}

int run(const Launch& launch) {
  static std::mutex& one = *new std::mutex;
  std::lock_guard<std::mutex> only(one);
  if (team == nullptr) startTeam();
  if (worker == nullptr) enlist(0);
  uint64_t blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
  unsigned workers = static_cast<unsigned>(std::min<uint64_t>(settings().threads, blocks));
  std::unique_lock<std::mutex> guard(team->lock);
  stopped = false;
  team->taken = 0;
  team->error = 0;
  team->busy = workers - 1;
  for (unsigned i = 1; i < workers; i++) {
    team->launch[i] = &launch;
    team->wake[i].notify_one();
  }
  guard.unlock();
  runShare(*worker, launch);
  guard.lock();
  // Nothing is left: whoever has not woken by now need not.
  for (unsigned i = 1; i < workers; i++) {
    if (std::exchange(team->launch[i], nullptr) != nullptr) team->busy--;
  }
  team->done.wait(guard, [] { return team->busy == 0; });
  return team->error;
}

}  // namespace standin
