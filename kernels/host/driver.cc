// The part of NVIDIA's driver API that sotto calls, for a device that is this machine's processor. Names, prototypes and error numbers
// are the driver's; what a call checks there, it checks here.
//
// A device has an H200's bytes of shared memory, and compute capability 9.0, or an A100's and 8.0 with SOTTO_STANDIN_CC=80. It has few
// multiprocessors, as work is split into more pieces for many, and a block that goes through several tiles should find several.
// Environment, read at cuInit: SOTTO_STANDIN_MEMORY (bytes of a device, 4 GiB), SOTTO_STANDIN_DEVICES (1), SOTTO_STANDIN_MULTIPROCESSORS
// (16), SOTTO_STANDIN_DRIVER (13000; below that, kernels are those of PTX for 8.0), and those of launch.h.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

#include "launch.h"
#include "memory.h"
#include "streams.h"

using namespace standin;

namespace {

enum Result : int {
  kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3, kNoDevice = 100, kInvalidDevice = 101, kInvalidImage = 200,
  kInvalidContext = 201, kInvalidHandle = 400, kNotFound = 500, kNotReady = 600, kOutOfResources = 701, kCaptureUnsupported = 900,
  kCaptureInvalidated = 901, kCaptureMerge = 902, kCaptureUnmatched = 903, kCaptureUnjoined = 904, kCaptureIsolation = 905,
  kCaptureImplicit = 906, kCapturedEvent = 907, kCaptureWrongThread = 908,
};

struct ErrorText {
  int number;
  const char *name, *text;
};
const ErrorText kErrors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {902, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

struct Device {
  int retained = 0;
  int error = 0;  // of a kernel: every later call returns it, until the primary context is released and retained anew
  std::shared_ptr<Stream> defaultStream;
};

struct Module {
  int device;
};
struct Function {
  Module* module;
  const Kernel* kernel;
  size_t dynamicLimit = 48 << 10;
  int carveout = -1;
};
struct GraphHandle {
  std::shared_ptr<Graph> graph;
};
struct GraphExec {
  std::shared_ptr<const Graph> graph;
  int device;
};

struct State {
  bool ready = false;
  bool ninth = true;  // compute capability 9.0
  int version = 13000;
  size_t memory = size_t{4} << 30;
  int multiprocessors = 16;
  std::vector<Device> devices;
  std::map<Stream*, std::shared_ptr<Stream>> streams;
  std::set<Event*> events;
  std::set<Module*> modules;
  std::map<std::pair<Module*, std::string>, std::unique_ptr<Function>> functions;
  std::set<Function*> functionHandles;
  std::set<GraphHandle*> graphs;
  std::set<GraphExec*> execs;
  std::set<std::shared_ptr<Capture>> captures;
  uint64_t launches = 0;
};
State& state = *new State;
thread_local int current = -1;  // device of this thread's context

// Whether kernels come from machine code for 9.0a, not from PTX for 8.0, in which those that need 9.0a are empty.
bool hasMachineCode() { return state.ninth && state.version >= 13000; }

constexpr size_t kReservedShared = 1024;
size_t sharedPerBlock() { return state.ninth ? 232448 : 166912; }
size_t sharedPerMultiprocessor() { return state.ninth ? 233472 : 167936; }

size_t environmentNumber(const char* name, size_t otherwise) {
  const char* text = getenv(name);
  if (text == nullptr || *text == 0) return otherwise;
  return strtoull(text, nullptr, 10);
}

// What every call that needs a context begins with.
#define NEED_CONTEXT()                                            \
  Guard guard(streamsLock);                                       \
  if (!state.ready) return kNotInitialized;                       \
  if (current < 0 || state.devices[current].retained == 0) return kInvalidContext; \
  if (state.devices[current].error != 0) return state.devices[current].error

// A call that CUDA calls unsafe while a stream captures: it spoils the capture.
int spoilCaptures(bool implicit) {
  int error = 0;
  for (auto& capture : state.captures) {
    bool here = capture->thread == std::this_thread::get_id();
    if (capture->mode == 2 || (capture->mode == 1 && !here)) continue;
    capture->invalid = true;
    error = implicit && capture->origin->blocking ? kCaptureImplicit : kCaptureUnsupported;
  }
  return error;
}

// CUDA's handles 0 and 1 are the default stream.
std::shared_ptr<Stream> streamOf(void* handle) {
  if (reinterpret_cast<uintptr_t>(handle) <= 2) return state.devices[current].defaultStream;
  auto found = state.streams.find(static_cast<Stream*>(handle));
  return found == state.streams.end() ? nullptr : found->second;
}
bool isDefault(const std::shared_ptr<Stream>& stream) { return stream == state.devices[stream->device].defaultStream; }

// What was queued in streams that keep order with the default stream, before anything is done there.
void runBlockingStreams(int device, Guard& guard) {
  std::vector<std::shared_ptr<Stream>> all;
  for (auto& [handle, stream] : state.streams) {
    if (stream->device == device && stream->blocking && stream->capture == nullptr) all.push_back(stream);
  }
  for (auto& stream : all) runUntil(stream, stream->queued, guard);
}
void runAll(int device, Guard& guard) {
  std::vector<std::shared_ptr<Stream>> all;
  for (auto& [handle, stream] : state.streams) {
    if (stream->device == device) all.push_back(stream);
  }
  for (auto& stream : all) runUntil(stream, stream->queued, guard);
}

int deviceError(int device) { return state.devices[static_cast<size_t>(device)].error; }

// Queues work; in the default stream it runs at once.
int submit(void* handle, Task task, Guard& guard) {
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->device != current) return kInvalidContext;
  if (isDefault(stream)) {
    for (auto& capture : state.captures) {
      if (capture->origin->blocking) {
        capture->invalid = true;
        return kCaptureImplicit;
      }
    }
    runBlockingStreams(stream->device, guard);
    enqueue(*stream, std::move(task));
    runUntil(stream, stream->queued, guard);
    return kSuccess;
  }
  if (stream->capture != nullptr && stream->capture->invalid) return kCaptureInvalidated;
  enqueue(*stream, std::move(task));
  return kSuccess;
}

// A copy between memories that is done when the host goes on.
int copyNow(void* to, const void* from, size_t bytes, Guard& guard) {
  if (int error = spoilCaptures(true)) return error;
  runBlockingStreams(current, guard);
  if (int error = deviceError(current)) return error;
  guard.unlock();
  memmove(to, from, bytes);
  guard.lock();
  return kSuccess;
}

void* pointer(uint64_t address) { return reinterpret_cast<void*>(static_cast<uintptr_t>(address)); }
bool onDevice(uint64_t address, size_t bytes) {
  return holds(Where::device, static_cast<uintptr_t>(address), bytes) || holds(Where::host, static_cast<uintptr_t>(address), bytes);
}
bool pinned(const void* address, size_t bytes) { return holds(Where::host, reinterpret_cast<uintptr_t>(address), bytes); }

Task copyTask(void* to, const void* from, size_t bytes) {
  return [=] {
    memmove(to, from, bytes);
    return 0;
  };
}

int launchError(const Function& f, const unsigned grid[3], const unsigned size[3], size_t shared) {
  const uint64_t gridMost[3] = {2147483647u, 65535, 65535}, sizeMost[3] = {1024, 1024, 64};
  uint64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (grid[i] == 0 || grid[i] > gridMost[i] || size[i] == 0 || size[i] > sizeMost[i]) return kInvalidValue;
    threads *= size[i];
  }
  if (threads > kMaxThreads || shared > f.dynamicLimit) return kInvalidValue;
  if (shared + staticSharedBytes(*f.kernel) > sharedPerBlock()) return kInvalidValue;
  if (threads > f.kernel->maxThreads) return kOutOfResources;
  if (f.kernel->architecture > 80 && !hasMachineCode()) {
    if (!settings().quiet) fprintf(stderr, "sotto stand-in: kernel %s is empty here: it needs machine code for 9.0a\n", f.kernel->name.c_str());
    return kOutOfResources;
  }
  return kSuccess;
}

// Copies the parameters' values, from an array of pointers to them or from a buffer in which they lie one after the other.
bool copyParameters(const Kernel& kernel, void** values, void** extra, Launch& launch) {
  const unsigned char* buffer = nullptr;
  size_t bufferBytes = 0;
  if (values == nullptr && extra != nullptr) {
    for (; *extra != nullptr; extra += 2) {
      if (reinterpret_cast<uintptr_t>(extra[0]) == 1) buffer = static_cast<const unsigned char*>(extra[1]);
      else if (reinterpret_cast<uintptr_t>(extra[0]) == 2) bufferBytes = *static_cast<const size_t*>(extra[1]);
      else return false;
    }
  }
  if (!kernel.parameters.empty() && values == nullptr && buffer == nullptr) return false;
  size_t at = 0, to = 0;
  for (size_t i = 0; i < kernel.parameters.size(); i++) {
    auto [bytes, alignment] = kernel.parameters[i];
    at = (at + alignment - 1) / alignment * alignment;
    to = (to + 15) / 16 * 16;
    launch.bytes.resize((to + bytes + 15) / 8);
    const void* from = values != nullptr ? values[i] : buffer + at;
    if (from == nullptr || (values == nullptr && at + bytes > bufferBytes)) return false;
    memcpy(reinterpret_cast<unsigned char*>(launch.bytes.data()) + to, from, bytes);
    launch.offsets.push_back(to);
    at += bytes;
    to += bytes;
  }
  return true;
}

bool isImage(const void* image) {
  uint32_t magic;
  memcpy(&magic, image, 4);
  if (magic == 0xba55ed50u || magic == 0x464c457fu || magic == 0x466243b1u) return true;  // fatbin, ELF, its wrapper
  const char* text = static_cast<const char*>(image);
  return strncmp(text, "//", 2) == 0 || strncmp(text, ".version", 8) == 0 || strncmp(text, "\n//", 3) == 0;
}

int moment(Event* event, const std::shared_ptr<Stream>& stream) {
  auto made = std::make_shared<Moment>();
  made->stream = stream;
  if (stream->capture != nullptr) {
    made->capture = stream->capture;
    made->captured = stream->captured;
    event->moment = made;
    return kSuccess;
  }
  enqueue(*stream, [made] {
    made->milliseconds = now();
    made->done = true;
    return 0;
  });
  made->number = stream->queued;
  event->moment = made;
  return kSuccess;
}

// After an error a moment has come, though nothing recorded it.
bool hasCome(const Moment& m) {
  if (m.done) return true;
  std::shared_ptr<Stream> stream = m.stream.lock();
  return stream == nullptr || stream->done >= m.number;
}

// Asking after a stream's work does some of it: not ready at first, and the rest in stretches of 5 ms.
bool advance(const std::shared_ptr<Stream>& stream, uint64_t number, Guard& guard) {
  if (stream->done >= number) return true;
  if (!stream->asked) {
    stream->asked = true;
    return false;
  }
  double until = now() + 5;
  while (stream->done < number && now() < until) runUntil(stream, stream->done + 1, guard);
  return stream->done >= number;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned flags) {
  Guard guard(streamsLock);
  if (flags != 0) return kInvalidValue;
  if (state.ready) return kSuccess;
  settings();
  state.ninth = environmentNumber("SOTTO_STANDIN_CC", 90) >= 90;
  state.version = static_cast<int>(environmentNumber("SOTTO_STANDIN_DRIVER", 13000));
  state.memory = environmentNumber("SOTTO_STANDIN_MEMORY", state.memory);
  state.multiprocessors = static_cast<int>(environmentNumber("SOTTO_STANDIN_MULTIPROCESSORS", 16));
  size_t count = std::min<size_t>(environmentNumber("SOTTO_STANDIN_DEVICES", 1), 16);
  if (count == 0) return kNoDevice;
  state.devices.resize(count);
  onError = [](int device, int error) { state.devices[static_cast<size_t>(device)].error = error; };
  errorOf = deviceError;
  state.ready = true;
  return kSuccess;
}

API cuDriverGetVersion(int* version) {
  if (version == nullptr) return kInvalidValue;
  *version = static_cast<int>(environmentNumber("SOTTO_STANDIN_DRIVER", 13000));
  return kSuccess;
}

#define NEED_DEVICE(device)                 \
  Guard guard(streamsLock);                 \
  if (!state.ready) return kNotInitialized; \
  if (device < 0 || static_cast<size_t>(device) >= state.devices.size()) return kInvalidDevice

API cuDeviceGetCount(int* count) {
  Guard guard(streamsLock);
  if (!state.ready) return kNotInitialized;
  if (count == nullptr) return kInvalidValue;
  *count = static_cast<int>(state.devices.size());
  return kSuccess;
}

API cuDeviceGet(int* device, int ordinal) {
  NEED_DEVICE(ordinal);
  if (device == nullptr) return kInvalidValue;
  *device = ordinal;
  return kSuccess;
}

API cuDeviceGetName(char* name, int length, int device) {
  NEED_DEVICE(device);
  if (name == nullptr || length < 1) return kInvalidValue;
  snprintf(name, static_cast<size_t>(length), "sotto stand-in (CPU)");
  return kSuccess;
}

API cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
  NEED_DEVICE(device);
  if (uuid == nullptr) return kInvalidValue;
  memcpy(uuid, "sotto stand-in ", 15);
  uuid[15] = static_cast<unsigned char>(device);
  return kSuccess;
}
API cuDeviceGetUuid(unsigned char* uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

API cuDeviceGetPCIBusId(char* id, int length, int device) {
  NEED_DEVICE(device);
  if (id == nullptr || length < 13) return kInvalidValue;
  snprintf(id, static_cast<size_t>(length), "0000:%02x:00.0", static_cast<unsigned>(device + 1) & 0xffu);
  return kSuccess;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
  NEED_DEVICE(device);
  if (bytes == nullptr) return kInvalidValue;
  *bytes = state.memory;
  return kSuccess;
}

API cuDeviceGetAttribute(int* value, int attribute, int device) {
  NEED_DEVICE(device);
  if (value == nullptr) return kInvalidValue;
  bool ninth = state.ninth;
  const std::map<int, int> values = {
      {1, 1024}, {2, 1024}, {3, 1024}, {4, 64},                     // MAX_THREADS_PER_BLOCK, MAX_BLOCK_DIM_X, Y, Z
      {5, 2147483647}, {6, 65535}, {7, 65535},                      // MAX_GRID_DIM_X, Y, Z
      {8, 48 << 10}, {10, 32}, {12, 65536},                         // SHARED_MEMORY_PER_BLOCK, WARP_SIZE, REGISTERS_PER_BLOCK
      {13, ninth ? 1980000 : 1410000}, {16, state.multiprocessors},  // CLOCK_RATE (kHz), MULTIPROCESSOR_COUNT
      {18, 0}, {19, 1}, {20, 0}, {31, 1}, {32, 1},                  // INTEGRATED, CAN_MAP_HOST_MEMORY, COMPUTE_MODE, CONCURRENT_KERNELS, ECC
      {33, device + 1}, {34, 0}, {35, 0}, {50, 0},                  // PCI bus, PCI device, TCC_DRIVER, PCI domain
      {36, ninth ? 3201000 : 1215000}, {37, ninth ? 6144 : 5120},   // MEMORY_CLOCK_RATE (kHz), GLOBAL_MEMORY_BUS_WIDTH
      {38, ninth ? 60 << 20 : 40 << 20}, {39, 2048}, {40, 3},       // L2_CACHE_SIZE, MAX_THREADS_PER_MULTIPROCESSOR, ASYNC_ENGINE_COUNT
      {41, 1}, {75, ninth ? 9 : 8}, {76, 0}, {78, 1},               // UNIFIED_ADDRESSING, COMPUTE_CAPABILITY_MAJOR, MINOR, STREAM_PRIORITIES
      {81, static_cast<int>(sharedPerMultiprocessor())}, {82, 65536}, {83, 0},  // MAX_SHARED_MEMORY_, MAX_REGISTERS_PER_MULTIPROCESSOR, MANAGED
      {97, static_cast<int>(sharedPerBlock())}, {106, 32},          // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, MAX_BLOCKS_PER_MULTIPROCESSOR
      {111, static_cast<int>(kReservedShared)}, {115, 0},           // RESERVED_SHARED_MEMORY_PER_BLOCK, MEMORY_POOLS_SUPPORTED
  };
  auto found = values.find(attribute);
  if (found == values.end()) return kInvalidValue;
  *value = found->second;
  return kSuccess;
}

// The primary context's handle is its device's number and one.
API cuDevicePrimaryCtxRetain(void** context, int device) {
  NEED_DEVICE(device);
  if (context == nullptr) return kInvalidValue;
  Device& d = state.devices[static_cast<size_t>(device)];
  if (d.retained++ == 0) {
    d.error = 0;
    d.defaultStream = std::make_shared<Stream>();
    d.defaultStream->device = device;
  }
  *context = reinterpret_cast<void*>(static_cast<uintptr_t>(device) + 1);
  return kSuccess;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  NEED_DEVICE(device);
  Device& d = state.devices[static_cast<size_t>(device)];
  if (d.retained == 0) return kInvalidContext;
  if (d.retained == 1) runAll(device, guard);
  d.retained--;
  return kSuccess;
}

API cuCtxSetCurrent(void* context) {
  Guard guard(streamsLock);
  if (!state.ready) return kNotInitialized;
  uintptr_t number = reinterpret_cast<uintptr_t>(context);
  if (number > state.devices.size() || (number > 0 && state.devices[number - 1].retained == 0)) return kInvalidContext;
  current = static_cast<int>(number) - 1;
  return kSuccess;
}

API cuCtxGetCurrent(void** context) {
  Guard guard(streamsLock);
  if (!state.ready) return kNotInitialized;
  if (context == nullptr) return kInvalidValue;
  *context = reinterpret_cast<void*>(static_cast<uintptr_t>(current + 1));
  return kSuccess;
}

API cuCtxSynchronize() {
  NEED_CONTEXT();
  if (int error = spoilCaptures(false)) return error;
  runAll(current, guard);
  return deviceError(current);
}

API cuMemGetInfo_v2(size_t* available, size_t* total) {
  NEED_CONTEXT();
  if (available == nullptr || total == nullptr) return kInvalidValue;
  *available = state.memory - std::min(state.memory, use(current).bytes);
  *total = state.memory;
  return kSuccess;
}

API cuMemAlloc_v2(uint64_t* address, size_t bytes) {
  NEED_CONTEXT();
  if (address == nullptr || bytes == 0) return kInvalidValue;
  if (int error = spoilCaptures(false)) return error;
  if (bytes > state.memory - std::min(state.memory, use(current).bytes)) return kOutOfMemory;
  void* at = allocate(bytes, Where::device, current);
  if (at == nullptr) return kOutOfMemory;
  *address = reinterpret_cast<uintptr_t>(at);
  return kSuccess;
}

namespace {
int freeMemory(void* address, Where where, Guard& guard) {
  if (address == nullptr) return kSuccess;
  if (int error = spoilCaptures(false)) return error;
  runAll(current, guard);
  switch (release(address, where)) {
    case Released::unknown: return kInvalidValue;
    case Released::writtenBehind: return state.devices[current].error = kIllegalAddress;
    default: return deviceError(current);
  }
}
}  // namespace

API cuMemFree_v2(uint64_t address) {
  NEED_CONTEXT();
  return freeMemory(pointer(address), Where::device, guard);
}

API cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
  NEED_CONTEXT();
  if (address == nullptr || bytes == 0 || flags > 7) return kInvalidValue;
  if (int error = spoilCaptures(false)) return error;
  *address = allocate(bytes, Where::host, current);
  return *address == nullptr ? kOutOfMemory : kSuccess;
}

API cuMemHostGetDevicePointer_v2(uint64_t* address, void* host, unsigned flags) {
  NEED_CONTEXT();
  if (address == nullptr || flags != 0 || !pinned(host, 1)) return kInvalidValue;
  *address = reinterpret_cast<uintptr_t>(host);
  return kSuccess;
}

API cuMemFreeHost(void* address) {
  NEED_CONTEXT();
  return freeMemory(address, Where::host, guard);
}

API cuMemcpyHtoD_v2(uint64_t to, const void* from, size_t bytes) {
  NEED_CONTEXT();
  if (bytes == 0) return kSuccess;
  if (from == nullptr || !onDevice(to, bytes)) return kInvalidValue;
  return copyNow(pointer(to), from, bytes, guard);
}

API cuMemcpyDtoH_v2(void* to, uint64_t from, size_t bytes) {
  NEED_CONTEXT();
  if (bytes == 0) return kSuccess;
  if (to == nullptr || !onDevice(from, bytes)) return kInvalidValue;
  return copyNow(to, pointer(from), bytes, guard);
}

API cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes) {
  NEED_CONTEXT();
  if (bytes == 0) return kSuccess;
  if (!onDevice(to, bytes) || !onDevice(from, bytes)) return kInvalidValue;
  return copyNow(pointer(to), pointer(from), bytes, guard);
}

API cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (bytes == 0) return kSuccess;
  if (from == nullptr || !onDevice(to, bytes)) return kInvalidValue;
  if (pinned(from, bytes) || stream->capture != nullptr) return submit(handle, copyTask(pointer(to), from, bytes), guard);
  // Memory that is not page-locked is read before the call returns.
  auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
  return submit(handle, [to, staged] {
    memcpy(pointer(to), staged->data(), staged->size());
    return 0;
  }, guard);
}

API cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (bytes == 0) return kSuccess;
  if (to == nullptr || !onDevice(from, bytes)) return kInvalidValue;
  int error = submit(handle, copyTask(to, pointer(from), bytes), guard);
  // To memory that is not page-locked the call returns when the copy is done.
  if (error != 0 || pinned(to, bytes) || stream->capture != nullptr) return error;
  runUntil(stream, stream->queued, guard);
  return deviceError(current);
}

API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void* handle) {
  NEED_CONTEXT();
  if (bytes == 0) return kSuccess;
  if (!onDevice(to, bytes) || !onDevice(from, bytes)) return kInvalidValue;
  return submit(handle, copyTask(pointer(to), pointer(from), bytes), guard);
}

API cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, void* handle) {
  NEED_CONTEXT();
  if (count == 0) return kSuccess;
  if (!onDevice(to, count)) return kInvalidValue;
  return submit(handle, [=] {
    memset(pointer(to), value, count);
    return 0;
  }, guard);
}
API cuMemsetD8_v2(uint64_t to, unsigned char value, size_t count) { return cuMemsetD8Async(to, value, count, nullptr); }

API cuMemsetD32Async(uint64_t to, unsigned value, size_t count, void* handle) {
  NEED_CONTEXT();
  if (count == 0) return kSuccess;
  if (to % 4 != 0 || count > SIZE_MAX / 4 || !onDevice(to, count * 4)) return kInvalidValue;
  return submit(handle, [=] {
    uint32_t* words = static_cast<uint32_t*>(pointer(to));
    std::fill(words, words + count, value);
    return 0;
  }, guard);
}
API cuMemsetD32_v2(uint64_t to, unsigned value, size_t count) { return cuMemsetD32Async(to, value, count, nullptr); }

API cuStreamCreate(void** handle, unsigned flags) {
  NEED_CONTEXT();
  if (handle == nullptr || flags > 1) return kInvalidValue;
  auto stream = std::make_shared<Stream>();
  stream->device = current;
  stream->blocking = flags == 0;
  state.streams[stream.get()] = stream;
  *handle = stream.get();
  return kSuccess;
}
API cuStreamCreateWithPriority(void** handle, unsigned flags, int) { return cuStreamCreate(handle, flags); }

API cuStreamDestroy_v2(void* handle) {
  NEED_CONTEXT();
  auto found = state.streams.find(static_cast<Stream*>(handle));
  if (found == state.streams.end()) return kInvalidHandle;
  std::shared_ptr<Stream> stream = found->second;
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    state.captures.erase(stream->capture);
  }
  runUntil(stream, stream->queued, guard);
  state.streams.erase(stream.get());
  return kSuccess;
}

API cuStreamSynchronize(void* handle) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return kCaptureUnsupported;
  }
  if (isDefault(stream)) runBlockingStreams(stream->device, guard);
  runUntil(stream, stream->queued, guard);
  return deviceError(stream->device);
}

API cuStreamQuery(void* handle) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return kCaptureUnsupported;
  }
  bool ready = advance(stream, stream->queued, guard);
  if (int error = deviceError(stream->device)) return error;
  return ready ? kSuccess : kNotReady;
}

API cuStreamWaitEvent(void* handle, void* eventHandle, unsigned flags) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  Event* event = static_cast<Event*>(eventHandle);
  if (stream == nullptr || state.events.count(event) == 0) return kInvalidHandle;
  if (flags > 1) return kInvalidValue;
  std::shared_ptr<Moment> m = event->moment;
  if (m == nullptr) return kSuccess;
  if (m->capture == nullptr) {
    if (stream->capture != nullptr) {
      stream->capture->invalid = true;
      return kCaptureIsolation;
    }
    if (!hasCome(*m)) stream->waits.emplace_back(stream->queued, m);
    return kSuccess;
  }
  if (state.captures.count(m->capture) == 0) return kInvalidValue;
  if (stream->capture == nullptr) {
    stream->capture = m->capture;  // joins the capture; what it does must be waited for before the end
    stream->captured = 0;
  } else if (stream->capture != m->capture) {
    stream->capture->invalid = m->capture->invalid = true;
    return kCaptureMerge;
  }
  std::shared_ptr<Stream> other = m->stream.lock();
  if (other != nullptr && m->captured == other->captured && stream.get() == m->capture->origin) m->capture->unjoined.erase(other.get());
  return kSuccess;
}

API cuEventCreate(void** handle, unsigned flags) {
  NEED_CONTEXT();
  if (handle == nullptr || flags > 7) return kInvalidValue;
  Event* event = new Event;
  event->flags = flags;
  state.events.insert(event);
  *handle = event;
  return kSuccess;
}

API cuEventDestroy_v2(void* handle) {
  NEED_CONTEXT();
  Event* event = static_cast<Event*>(handle);
  if (state.events.erase(event) == 0) return kInvalidHandle;
  delete event;
  return kSuccess;
}

API cuEventRecord(void* handle, void* streamHandle) {
  NEED_CONTEXT();
  Event* event = static_cast<Event*>(handle);
  std::shared_ptr<Stream> stream = streamOf(streamHandle);
  if (stream == nullptr || state.events.count(event) == 0) return kInvalidHandle;
  if (stream->capture != nullptr && stream->capture->invalid) return kCaptureInvalidated;
  if (isDefault(stream)) runBlockingStreams(stream->device, guard);
  moment(event, stream);
  if (isDefault(stream)) runUntil(stream, stream->queued, guard);
  return kSuccess;
}

API cuEventQuery(void* handle) {
  NEED_CONTEXT();
  Event* event = static_cast<Event*>(handle);
  if (state.events.count(event) == 0) return kInvalidHandle;
  std::shared_ptr<Moment> m = event->moment;
  if (m == nullptr) return kSuccess;
  if (m->capture != nullptr) {
    m->capture->invalid = true;
    return kCapturedEvent;
  }
  std::shared_ptr<Stream> stream = m->stream.lock();
  bool ready = hasCome(*m) || advance(stream, m->number, guard);
  if (int error = deviceError(current)) return error;
  return ready ? kSuccess : kNotReady;
}

API cuEventSynchronize(void* handle) {
  NEED_CONTEXT();
  Event* event = static_cast<Event*>(handle);
  if (state.events.count(event) == 0) return kInvalidHandle;
  std::shared_ptr<Moment> m = event->moment;
  if (m == nullptr) return kSuccess;
  if (m->capture != nullptr) {
    m->capture->invalid = true;
    return kCapturedEvent;
  }
  std::shared_ptr<Stream> stream = m->stream.lock();
  if (stream != nullptr) runUntil(stream, m->number, guard);
  return deviceError(current);
}

API cuEventElapsedTime(float* milliseconds, void* from, void* to) {
  NEED_CONTEXT();
  Event *first = static_cast<Event*>(from), *second = static_cast<Event*>(to);
  if (milliseconds == nullptr) return kInvalidValue;
  for (Event* event : {first, second}) {
    if (state.events.count(event) == 0 || event->moment == nullptr || (event->flags & 2) != 0) return kInvalidHandle;
    if (event->moment->capture != nullptr) return kCapturedEvent;
  }
  if (!hasCome(*first->moment) || !hasCome(*second->moment)) return kNotReady;
  *milliseconds = static_cast<float>(second->moment->milliseconds - first->moment->milliseconds);
  return kSuccess;
}
API cuEventElapsedTime_v2(float* milliseconds, void* from, void* to) { return cuEventElapsedTime(milliseconds, from, to); }

API cuModuleLoadData(void** handle, const void* image) {
  NEED_CONTEXT();
  if (handle == nullptr || image == nullptr) return kInvalidValue;
  if (int error = spoilCaptures(false)) return error;
  if (!isImage(image)) return kInvalidImage;
  Module* module = new Module{current};
  state.modules.insert(module);
  *handle = module;
  return kSuccess;
}

API cuModuleUnload(void* handle) {
  NEED_CONTEXT();
  Module* module = static_cast<Module*>(handle);
  if (state.modules.count(module) == 0) return kInvalidHandle;
  if (int error = spoilCaptures(false)) return error;
  runAll(current, guard);
  for (auto next = state.functions.begin(); next != state.functions.end();) {
    if (next->first.first == module) {
      state.functionHandles.erase(next->second.get());
      next = state.functions.erase(next);
    } else {
      ++next;
    }
  }
  state.modules.erase(module);
  delete module;
  return deviceError(current);
}

API cuModuleGetFunction(void** handle, void* moduleHandle, const char* name) {
  NEED_CONTEXT();
  Module* module = static_cast<Module*>(moduleHandle);
  if (handle == nullptr || name == nullptr) return kInvalidValue;
  if (state.modules.count(module) == 0) return kInvalidHandle;
  for (const Kernel& kernel : kernels()) {
    if (kernel.name != name) continue;
    std::unique_ptr<Function>& function = state.functions[{module, name}];
    if (function == nullptr) {
      function = std::make_unique<Function>();
      function->module = module;
      function->kernel = &kernel;
      state.functionHandles.insert(function.get());
    }
    *handle = function.get();
    return kSuccess;
  }
  return kNotFound;
}

API cuFuncSetAttribute(void* handle, int attribute, int value) {
  NEED_CONTEXT();
  Function* f = static_cast<Function*>(handle);
  if (state.functionHandles.count(f) == 0) return kInvalidHandle;
  if (attribute == 8) {  // MAX_DYNAMIC_SHARED_SIZE_BYTES
    if (value < 0 || static_cast<size_t>(value) + staticSharedBytes(*f->kernel) > sharedPerBlock()) return kInvalidValue;
    f->dynamicLimit = static_cast<size_t>(value);
  } else if (attribute == 9) {  // PREFERRED_SHARED_MEMORY_CARVEOUT
    if (value < -1 || value > 100) return kInvalidValue;
    f->carveout = value;
  } else {
    return kInvalidValue;
  }
  return kSuccess;
}

API cuFuncGetAttribute(int* value, int attribute, void* handle) {
  NEED_CONTEXT();
  Function* f = static_cast<Function*>(handle);
  if (value == nullptr) return kInvalidValue;
  if (state.functionHandles.count(f) == 0) return kInvalidHandle;
  switch (attribute) {
    case 0: *value = static_cast<int>(f->kernel->maxThreads); break;
    case 1: *value = static_cast<int>(staticSharedBytes(*f->kernel)); break;  // as far as it was seen
    case 2: case 3: case 7: *value = 0; break;
    case 4: *value = 64; break;  // registers: none are counted here
    case 5: *value = hasMachineCode() ? 90 : 80; break;
    case 6: *value = state.ninth ? 90 : 80; break;
    case 8: *value = static_cast<int>(f->dynamicLimit); break;
    case 9: *value = f->carveout; break;
    default: return kInvalidValue;
  }
  return kSuccess;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* count, void* handle, int threads, size_t shared) {
  NEED_CONTEXT();
  Function* f = static_cast<Function*>(handle);
  if (count == nullptr || threads < 1) return kInvalidValue;
  if (state.functionHandles.count(f) == 0) return kInvalidHandle;
  size_t bytes = shared + staticSharedBytes(*f->kernel) + kReservedShared;
  size_t blocks = std::min<size_t>({32, 2048 / static_cast<size_t>(threads), sharedPerMultiprocessor() / bytes});
  if (static_cast<unsigned>(threads) > f->kernel->maxThreads || shared > f->dynamicLimit) blocks = 0;
  *count = static_cast<int>(blocks);
  return kSuccess;
}

API cuLaunchKernel(void* handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
                   unsigned shared, void* stream, void** parameters, void** extra) {
  NEED_CONTEXT();
  Function* f = static_cast<Function*>(handle);
  if (state.functionHandles.count(f) == 0) return kInvalidHandle;
  const unsigned grid[3] = {gridX, gridY, gridZ}, size[3] = {blockX, blockY, blockZ};
  if (int error = launchError(*f, grid, size, shared)) return error;
  auto launch = std::make_shared<Launch>();
  launch->kernel = f->kernel;
  launch->grid = {gridX, gridY, gridZ};
  launch->size = {blockX, blockY, blockZ};
  launch->dynamicBytes = shared;
  if (!copyParameters(*f->kernel, parameters, extra, *launch)) return kInvalidValue;
  state.launches++;
  return submit(stream, [launch] { return run(*launch); }, guard);
}

API cuStreamBeginCapture_v2(void* handle, int mode) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (mode < 0 || mode > 2) return kInvalidValue;
  if (isDefault(stream)) return kCaptureUnsupported;
  if (stream->capture != nullptr) return stream->capture->invalid = true, kInvalidValue;
  auto capture = std::make_shared<Capture>();
  capture->origin = stream.get();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  stream->capture = capture;
  stream->captured = 0;
  state.captures.insert(capture);
  return kSuccess;
}

API cuStreamEndCapture(void* handle, void** graph) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (graph == nullptr || stream->capture == nullptr) return kInvalidValue;
  *graph = nullptr;
  std::shared_ptr<Capture> capture = stream->capture;
  if (capture->origin != stream.get()) return capture->invalid = true, kCaptureUnmatched;
  if (capture->mode != 2 && capture->thread != std::this_thread::get_id()) return kCaptureWrongThread;
  for (auto& [other, shared] : state.streams) {
    if (shared->capture == capture) shared->capture = nullptr;
  }
  state.captures.erase(capture);
  if (capture->invalid) return kCaptureInvalidated;
  if (!capture->unjoined.empty()) return kCaptureUnjoined;
  GraphHandle* made = new GraphHandle{capture->graph};
  state.graphs.insert(made);
  *graph = made;
  return kSuccess;
}

API cuStreamIsCapturing(void* handle, int* status) {
  NEED_CONTEXT();
  std::shared_ptr<Stream> stream = streamOf(handle);
  if (stream == nullptr) return kInvalidHandle;
  if (status == nullptr) return kInvalidValue;
  *status = stream->capture == nullptr ? 0 : stream->capture->invalid ? 2 : 1;
  return kSuccess;
}

API cuGraphInstantiateWithFlags(void** handle, void* graphHandle, unsigned long long flags) {
  NEED_CONTEXT();
  GraphHandle* graph = static_cast<GraphHandle*>(graphHandle);
  if (handle == nullptr || flags > 15) return kInvalidValue;
  if (state.graphs.count(graph) == 0) return kInvalidValue;
  GraphExec* exec = new GraphExec{graph->graph, current};
  state.execs.insert(exec);
  *handle = exec;
  return kSuccess;
}

API cuGraphUpload(void* handle, void* stream) {
  NEED_CONTEXT();
  if (state.execs.count(static_cast<GraphExec*>(handle)) == 0) return kInvalidValue;
  return streamOf(stream) == nullptr ? kInvalidHandle : kSuccess;
}

API cuGraphLaunch(void* handle, void* stream) {
  NEED_CONTEXT();
  GraphExec* exec = static_cast<GraphExec*>(handle);
  if (state.execs.count(exec) == 0) return kInvalidValue;
  std::shared_ptr<const Graph> graph = exec->graph;
  return submit(stream, [graph] {
    for (const Task& task : graph->tasks) {
      if (int error = task()) return error;
    }
    return 0;
  }, guard);
}

API cuGraphExecDestroy(void* handle) {
  NEED_CONTEXT();
  GraphExec* exec = static_cast<GraphExec*>(handle);
  if (state.execs.erase(exec) == 0) return kInvalidValue;
  delete exec;
  return kSuccess;
}

API cuGraphDestroy(void* handle) {
  NEED_CONTEXT();
  GraphHandle* graph = static_cast<GraphHandle*>(handle);
  if (state.graphs.erase(graph) == 0) return kInvalidValue;
  delete graph;
  return kSuccess;
}

API cuGetErrorName(int error, const char** name) {
  if (name == nullptr) return kInvalidValue;
  *name = nullptr;
  for (const ErrorText& e : kErrors) {
    if (e.number == error) *name = e.name;
  }
  return *name == nullptr ? kInvalidValue : kSuccess;
}

API cuGetErrorString(int error, const char** text) {
  if (text == nullptr) return kInvalidValue;
  *text = nullptr;
  for (const ErrorText& e : kErrors) {
    if (e.number == error) *text = e.text;
  }
  return *text == nullptr ? kInvalidValue : kSuccess;
}

// What only the stand-in has: what lives, for tests that look for leaks.

/// Bytes of the device's memory that are allocated.
extern "C" __attribute__((visibility("default"))) uint64_t sotto_standin_live_bytes(int device) { return use(device).bytes; }

/// Things created and not destroyed: allocations of all devices and of the host, streams, events, modules, graphs.
extern "C" __attribute__((visibility("default"))) int sotto_standin_live_objects() {
  Guard guard(streamsLock);
  size_t count = state.streams.size() + state.events.size() + state.modules.size() + state.graphs.size() + state.execs.size();
  for (size_t i = 0; i < state.devices.size(); i++) count += use(static_cast<int>(i)).count;
  return static_cast<int>(count + use(-1).count);
}

/// Kernels launched so far, captured ones counted once.
extern "C" __attribute__((visibility("default"))) uint64_t sotto_standin_launches() {
  Guard guard(streamsLock);
  return state.launches;
}

/// What ended the latest launch that failed: kernel, block, thread, reason. Empty before.
extern "C" __attribute__((visibility("default"))) const char* sotto_standin_fault() {
  static std::string& text = *new std::string;
  Guard guard(streamsLock);
  text = latestFault();
  return text.c_str();
}

/// The hash of the sources that this is made of (scripts/build-kernels.mjs).
#ifndef SOTTO_SOURCES
#define SOTTO_SOURCES "unknown"
#endif
extern "C" __attribute__((visibility("default"))) const char* sotto_standin_sources() { return SOTTO_SOURCES; }

/// Names of all kernels, one a line.
extern "C" __attribute__((visibility("default"))) const char* sotto_standin_kernels() {
  static const std::string& text = *new std::string([] {
    std::string all;
    for (const Kernel& kernel : kernels()) all += kernel.name + "\n";
    return all;
  }());
  return text.c_str();
}
