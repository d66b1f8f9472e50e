// What this processor can do. The only file besides addon.cc that runs before that is known: it is compiled for any x86-64.
#pragma once

#include <string>

namespace sotto {

enum class Isa { kNone, kAvx512Vnni, kAmxInt8 };

// The best instruction set that both the processor and the system give. Asks the system for the AMX tiles (once).
// SOTTO_ISA in the environment forgoes some, for tests and comparisons: avx512-vnni AMX, none all.
Isa detectIsa();

// What the CPU or the system lacks of what the kernels need, by names of /proc/cpuinfo: "avx512f, avx512bw"; empty if nothing.
std::string missingInstructions();

const char* isaName(Isa isa);  // "none", "avx512-vnni", "amx-int8"

}  // namespace sotto
