// The stand-in's memory: allocations with an unreadable page before and behind, poisoned when new.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>

namespace standin {

enum class Where { device, host };

// `bytes` of memory aligned to 256 bytes, or null if the system has none. The page behind begins where the 256 bytes that hold the
// last byte end; what lies between is checked by release(). Device memory is poisoned.
void* allocate(size_t bytes, Where where, int device);

enum class Released { unknown, whole, writtenBehind };
Released release(void* address, Where where);

// Bytes and number of allocations that live on a device (host memory: device -1).
struct Use {
  size_t bytes = 0, count = 0;
};
Use use(int device);

// Whether [address, address + bytes) lies inside of one living allocation.
bool holds(Where where, uintptr_t address, size_t bytes);

// The living allocation around an address.
struct Range {
  uintptr_t base;
  size_t bytes;
};
bool find(Where where, uintptr_t address, Range* range);

}  // namespace standin
