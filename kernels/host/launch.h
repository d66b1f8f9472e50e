// Running a launch: its blocks over the machine's threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "block.h"

namespace standin {

// A kernel with the values of its parameters, copied as the launch was made.
struct Launch {
  const Kernel* kernel = nullptr;
  uint3 grid{1, 1, 1}, size{1, 1, 1};
  size_t dynamicBytes = 0;
  std::vector<uint64_t> bytes;       // values of parameters, each aligned
  std::vector<size_t> offsets;       // of each in bytes, counted in bytes
};

// Runs all blocks and returns 0, or the driver's number of the error that ended it. From any thread; one launch runs at a time.
int run(const Launch& launch);

// What ended the latest launch that failed; empty if none did.
const std::string& latestFault();

// A sentence about an address outside of what kernels may read: which allocation is near.
std::string describeAddress(uintptr_t address);

// Static shared memory that the kernel's blocks were seen to use.
size_t staticSharedBytes(const Kernel& kernel);

const std::vector<Kernel>& kernels();

// How tests want things run: from the environment, read once.
struct Settings {
  unsigned threads;  // SOTTO_STANDIN_THREADS: of the machine that run blocks; as many as it has by default, 16 at most
  enum Order { forward, reverse, shuffle } order;  // SOTTO_STANDIN_ORDER=forward|reverse|shuffle:<seed>: of blocks, warps and lanes
  uint64_t seed;
  bool quiet;  // SOTTO_STANDIN_QUIET: faults are not printed; sotto_standin_fault() tells
};
const Settings& settings();

}  // namespace standin
