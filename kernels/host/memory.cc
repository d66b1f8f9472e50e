#include "memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "launch.h"

namespace standin {
namespace {

struct Allocation {
  size_t bytes, mapped;
  char* map;
  Where where;
  int device;
};

std::mutex& lock = *new std::mutex;
std::map<uintptr_t, Allocation>& living = *new std::map<uintptr_t, Allocation>;  // by address

constexpr size_t kAlignment = 256;
constexpr unsigned char kCanary = 0xc5;

size_t pageBytes() {
  static const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}
size_t roundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

void fill(char* at, size_t bytes) {
  for (size_t i = 0; i + 4 <= bytes; i += 4) memcpy(at + i, &kPoison, 4);
}

#if defined(__linux__)
// A file of poison. Mapped privately it is memory that reads as poison and takes room only where it is written.
constexpr size_t kPatternBytes = 16 << 20;
int patternFile() {
  static const int file = [] {
    int created = memfd_create("sotto-stand-in", MFD_CLOEXEC);
    if (created < 0 || ftruncate(created, kPatternBytes) != 0) return -1;
    void* at = mmap(nullptr, kPatternBytes, PROT_READ | PROT_WRITE, MAP_SHARED, created, 0);
    if (at == MAP_FAILED) return -1;
    fill(static_cast<char*>(at), kPatternBytes);
    munmap(at, kPatternBytes);
    return created;
  }();
  return file;
}

bool poisonLazily(char* at, size_t bytes) {
  if (bytes < (1 << 20) || patternFile() < 0) return false;
  for (size_t done = 0; done < bytes; done += kPatternBytes) {
    void* piece = mmap(at + done, std::min(kPatternBytes, bytes - done), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, patternFile(), 0);
    if (piece == MAP_FAILED) return false;
  }
  return true;
}
#else
bool poisonLazily(char*, size_t) { return false; }
#endif

}  // namespace

void* allocate(size_t bytes, Where where, int device) {
  size_t page = pageBytes(), padded = roundUp(bytes, kAlignment), inner = roundUp(padded, page), mapped = inner + 2 * page;
  void* at = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  char* map = static_cast<char*>(at);
  if (mprotect(map + page, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(map, mapped);
    return nullptr;
  }
  if (!poisonLazily(map + page, inner)) fill(map + page, inner);
  char* begin = map + page + inner - padded;
  memset(begin + bytes, kCanary, padded - bytes);
  std::lock_guard<std::mutex> guard(lock);
  living[reinterpret_cast<uintptr_t>(begin)] = {bytes, mapped, map, where, where == Where::host ? -1 : device};
  return begin;
}

Released release(void* address, Where where) {
  std::lock_guard<std::mutex> guard(lock);
  auto found = living.find(reinterpret_cast<uintptr_t>(address));
  if (found == living.end() || found->second.where != where) return Released::unknown;
  const Allocation& a = found->second;
  const unsigned char* begin = static_cast<const unsigned char*>(address);
  Released result = Released::whole;
  for (size_t i = a.bytes; i < roundUp(a.bytes, kAlignment); i++) {
    if (begin[i] != kCanary) {
      if (!settings().quiet) fprintf(stderr, "sotto stand-in: byte %zu of an allocation of %zu bytes was written\n", i, a.bytes);
      result = Released::writtenBehind;
      break;
    }
  }
  munmap(a.map, a.mapped);
  living.erase(found);
  return result;
}

Use use(int device) {
  std::lock_guard<std::mutex> guard(lock);
  Use sum;
  for (auto& [address, a] : living) {
    if (a.device == device) sum.bytes += a.bytes, sum.count++;
  }
  return sum;
}

bool find(Where where, uintptr_t address, Range* range) {
  std::lock_guard<std::mutex> guard(lock);
  auto next = living.upper_bound(address);
  if (next == living.begin()) return false;
  auto& [base, a] = *--next;
  if (a.where != where || address >= base + a.bytes) return false;
  *range = {base, a.bytes};
  return true;
}

bool holds(Where where, uintptr_t address, size_t bytes) {
  Range range;
  return find(where, address, &range) && bytes <= range.bytes - (address - range.base);
}

std::string describeAddress(uintptr_t address) {
  // Called while a fault is handled: who holds the lock may be the one that faulted.
  std::unique_lock<std::mutex> guard(lock, std::try_to_lock);
  if (!guard.owns_lock()) return "no more is known";
  char text[160];
  auto next = living.upper_bound(address);
  if (next != living.begin()) {
    auto& [base, a] = *std::prev(next);
    if (address < base + a.mapped) {
      snprintf(text, sizeof text, "%zu bytes behind the begin of an allocation of %zu bytes", static_cast<size_t>(address - base), a.bytes);
      return text;
    }
  }
  if (next != living.end() && next->first - address <= pageBytes() * 2) {
    snprintf(text, sizeof text, "%zu bytes before an allocation of %zu bytes", static_cast<size_t>(next->first - address), next->second.bytes);
    return text;
  }
  return "near no allocation";
}

}  // namespace standin
