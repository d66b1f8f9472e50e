#include "checksum.h"

#include <nmmintrin.h>

#include <cstring>

namespace sotto {

uint32_t checksum(const uint8_t* bytes, size_t length) {
  constexpr size_t kLanes = 4;  // the instruction takes three cycles and starts one each
  uint64_t lanes[kLanes] = {~0ull, ~0ull, ~0ull, ~0ull};
  size_t at = 0;
  for (; at + 8 * kLanes <= length; at += 8 * kLanes) {
    for (size_t lane = 0; lane < kLanes; lane++) {
      uint64_t word;
      std::memcpy(&word, bytes + at + 8 * lane, sizeof word);
      lanes[lane] = _mm_crc32_u64(lanes[lane], word);
    }
  }
  uint32_t sum = static_cast<uint32_t>(length);
  for (const uint64_t lane : lanes) sum = static_cast<uint32_t>(_mm_crc32_u64(sum, lane));
  for (; at < length; at++) sum = _mm_crc32_u8(sum, bytes[at]);
  return sum;
}

}  // namespace sotto
