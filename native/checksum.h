// A checksum of many bytes at the speed of memory, against damaged files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sotto {

// CRC-32C of four interleaved lanes of the data, then of the lanes' sums: 32 bits.
uint32_t checksum(const uint8_t* bytes, size_t length);

}  // namespace sotto
