// Asks the processor (cpuid) and the system (xgetbv, arch_prctl) for the vector and tile instructions that the kernels use.
#include "cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace sotto {
namespace {

constexpr uint64_t kAvx512State = 0xe6;   // SSE, AVX, and the three parts of AVX-512
constexpr uint64_t kTileState = 0x60000;  // tile configuration and tile data
constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM; not in the headers of older systems
constexpr long kTileData = 18;               // XFEATURE_XTILEDATA

uint64_t enabledState() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

struct Feature {
  const char* name;
  bool there;
};

bool bit(uint32_t word, int index) { return (word >> index & 1) != 0; }

// What the kernels need, by its names in /proc/cpuinfo, and whether it is there. The last one is the system's: it keeps AVX-512 registers.
std::array<Feature, 9> required() {
  uint32_t a = 0, b = 0, c1 = 0, b7 = 0, c7 = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c1, &d)) c1 = 0;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d)) b7 = c7 = 0;
  const bool asksSystem = bit(c1, 27);  // OSXSAVE: xgetbv is an instruction
  const uint64_t state = asksSystem ? enabledState() : 0;
  return {{{"avx2", bit(b7, 5)},
           {"fma", bit(c1, 12)},
           {"f16c", bit(c1, 29)},
           {"avx512f", bit(b7, 16)},
           {"avx512bw", bit(b7, 30)},
           {"avx512dq", bit(b7, 17)},
           {"avx512vl", bit(b7, 31)},
           {"avx512_vnni", bit(c7, 11)},
           {"a system that keeps AVX-512 registers", (state & kAvx512State) == kAvx512State}}};
}

bool forgone() {
  const char* wanted = std::getenv("SOTTO_ISA");
  return wanted != nullptr && std::strcmp(wanted, "none") == 0;
}

Isa ask() {
  if (!missingInstructions().empty()) return Isa::kNone;
  const char* wanted = std::getenv("SOTTO_ISA");
  if (wanted != nullptr && std::strcmp(wanted, "avx512-vnni") == 0) return Isa::kAvx512Vnni;
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Isa::kAvx512Vnni;
  bool tiles = bit(d, 24) && bit(d, 25) && (enabledState() & kTileState) == kTileState;  // AMX-TILE, AMX-INT8
  if (tiles && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0) return Isa::kAmxInt8;
  return Isa::kAvx512Vnni;
}

}  // namespace

std::string missingInstructions() {
  if (forgone()) return "what SOTTO_ISA=none forgoes";
  std::string missing;
  for (const auto& [name, there] : required()) {
    if (!there) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return missing;
}

Isa detectIsa() {
  static const Isa isa = ask();
  return isa;
}

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::kAmxInt8: return "amx-int8";
    case Isa::kAvx512Vnni: return "avx512-vnni";
    default: return "none";
  }
}

}  // namespace sotto
