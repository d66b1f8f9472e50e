// Asks the processor (cpuid) and the system (xgetbv, arch_prctl) for the vector and tile instructions that the kernels use.
#include "cpu.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

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

bool has(uint32_t word, std::initializer_list<int> bits) {
  for (int bit : bits) {
    if (!(word >> bit & 1)) return false;
  }
  return true;
}

Isa ask() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Isa::kNone;
  if (!has(c, {12, 27, 28, 29})) return Isa::kNone;  // FMA, OSXSAVE, AVX, F16C
  uint64_t state = enabledState();
  if ((state & kAvx512State) != kAvx512State) return Isa::kNone;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return Isa::kNone;
  bool vnni = has(b, {5, 16, 17, 30, 31}) && has(c, {11});  // AVX2, AVX-512 F, DQ, BW, VL; VNNI
  if (!vnni) return Isa::kNone;
  const char* wanted = std::getenv("SOTTO_ISA");
  if (wanted != nullptr && std::strcmp(wanted, "avx512-vnni") == 0) return Isa::kAvx512Vnni;
  bool tiles = has(d, {24, 25}) && (state & kTileState) == kTileState;  // AMX-TILE, AMX-INT8
  if (tiles && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0) return Isa::kAmxInt8;
  return Isa::kAvx512Vnni;
}

}  // namespace

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
