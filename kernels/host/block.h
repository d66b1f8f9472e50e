// One block of a launch, running on one thread of the operating system: its threads are fibers that take turns at barriers and at a
// warp's words. What the words of device.h are made of; kernels do not include it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <utility>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};

namespace standin {

// What memory holds that nobody wrote: not a number in float32, float16 and bfloat16, an index far outside, an address of nothing.
constexpr uint32_t kPoison = 0x7fffffffu;

constexpr unsigned kMaxThreads = 1024;  // of a block
constexpr unsigned kLanes = 32;         // of a warp

// The driver's error numbers that a running kernel may cause.
enum Fault : int { kIllegalAddress = 700, kMisalignedAddress = 716, kLaunchFailed = 719 };

// What the lanes of a warp say together. All must say the same.
enum class Word : unsigned char { none, sync, shuffle, lanesWhere, loadMatrices, multiply };

struct Warp;

// Something fibers wait for: `phase` changes when the last of them has come.
struct Barrier {
  unsigned phase = 0;
  unsigned arrived = 0;
  unsigned expected = 0;
};

// Copies from global to shared memory that wait for copy_wait.
struct Copies {
  struct Copy {
    void* to;
    const void* from;  // null: zeros
  };
  std::vector<Copy> copies;
  std::vector<size_t> groupEnds;  // of the groups that are not done: indices into copies
  size_t done = 0;                // copies done
  bool unfenced = false;          // some were waited for since the thread's last fence_for_wgmma
};

// A thread of the block. What its turns need is one line of the cache.
struct alignas(64) Fiber {
  void* stackPointer = nullptr;
  const unsigned* waitsFor = nullptr;  // runs on when *waitsFor is no longer waitValue
  unsigned waitValue = 0;
  unsigned lane = 0;
  Warp* warp = nullptr;
  Fiber* next = nullptr;  // of the warp, in a circle
  uint3 thread = {0, 0, 0};
  unsigned short stack = 0;
  bool started = false;
  bool copied = false;  // has said copy words
};
static_assert(sizeof(Fiber) == 64, "");

struct Warp {
  Barrier barrier;
  Word word = Word::none;  // what the lanes that have come say
  unsigned index = 0;
  Fiber* first = nullptr;
  Warp* next = nullptr;
  // Two of each: a lane may say its next word before another has read what this one gave.
  uint32_t values[2][kLanes];
  uint32_t where[2];
  const void* rows[kLanes];
  uint32_t* results[kLanes];
  const uint32_t* a[kLanes];
  const uint32_t* b[kLanes];
  float* c[kLanes];
};

struct Block {
  uint3 index, size, grid;
  unsigned char* dynamic = nullptr;  // dynamic shared memory
  size_t dynamicBytes = 0;
  uint64_t epoch = 0;  // counts blocks: static shared memory is new in each
  unsigned char* window = nullptr;   // of shared memory: 256 KiB, and an unreadable page behind
  size_t staticEnd = 0;              // static shared memory lies from 1 KiB to here
  Barrier barriers[16];              // 0: the whole block
  bool earlyCopies = false;
};

constexpr size_t kWindowBytes = 256 << 10;
constexpr size_t kStaticStart = 1024;  // the device keeps the first KiB to itself

// Not thread_local: each use of one asks whether it must be initialised.
extern __thread Fiber* fiber;  // the running one
extern __thread Block* block;

// Ends the launch with an error that the driver reports. The message is printed with the kernel, block and thread.
[[noreturn]] __attribute__((format(printf, 2, 3))) void fault(Fault code, const char* format, ...);

// Lets others run until *phase is no longer `value`.
void waitFor(const unsigned* phase, unsigned value);

void syncBarrier(int number, unsigned threads);
void syncWarp();
uint32_t shuffleBits(uint32_t value, unsigned from);
uint32_t lanesWhere(bool x);
void loadMatrices(uint32_t* result, const void* row, bool transposed);
void multiplyBf16(float* c, const uint32_t* a, const uint32_t* b);
void multiplyF16(float* c, const uint32_t* a, const uint32_t* b);
void copyAsync16(void* to, const void* from);
void copyCommit();
void copyWait(unsigned pending);

// Copies of the running thread, and of thread number i of the block.
Copies& ownCopies();
Copies& copiesOf(unsigned i);

// Offset of an address in the block's shared memory; faults if it is none of `bytes` bytes.
uint32_t sharedOffset(const void* address, size_t bytes);

// A static array in shared memory: the same place for all threads of a block, poisoned in each block.
class SharedArray {
 public:
  SharedArray(const char* name, size_t bytes);
  void* here() const;

 private:
  const char* name_;
  size_t bytes_;
  unsigned id_;
};

// The launch bound of the next registered kernel. Kernels are registered in the order in which they are written.
struct Bound {
  explicit Bound(unsigned threads, unsigned blocks = 0);
};

struct Parameter {
  size_t bytes, alignment;
};

// What a kernel is to the driver.
struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  void (*call)(const void* function, void* const* values);  // by one thread, with pointers to its parameters
  const void* function;
  unsigned maxThreads = kMaxThreads;
  unsigned architecture = 80;  // compute capability it needs
};
void registerKernel(Kernel kernel);

template <class... Types>
struct Caller {
  template <size_t... I>
  static void expand(void (*function)(Types...), void* const* values, std::index_sequence<I...>) {
    function(*static_cast<const Types*>(values[I])...);
  }
  static void call(const void* function, void* const* values) {
    expand(reinterpret_cast<void (*)(Types...)>(const_cast<void*>(function)), values, std::index_sequence_for<Types...>{});
  }
};

struct Registration {
  template <class... Types>
  Registration(const char* name, void (*function)(Types...), unsigned architecture) {
    Kernel kernel;
    kernel.name = name;
    kernel.parameters = {Parameter{sizeof(Types), alignof(Types)}...};
    kernel.call = &Caller<Types...>::call;
    kernel.function = reinterpret_cast<const void*>(function);
    kernel.architecture = architecture;
    registerKernel(std::move(kernel));
  }
};

}  // namespace standin
