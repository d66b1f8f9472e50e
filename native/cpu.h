// What this processor can do. The only file besides addon.cc that runs before that is known: it is compiled for any x86-64.
#pragma once

namespace sotto {

enum class Isa { kNone, kAvx512Vnni, kAmxInt8 };

// The best instruction set that both the processor and the system give. Asks the system for the AMX tiles (once).
// SOTTO_ISA=avx512-vnni in the environment forgoes AMX, for tests and comparisons.
Isa detectIsa();

const char* isaName(Isa isa);  // "none", "avx512-vnni", "amx-int8"

}  // namespace sotto
