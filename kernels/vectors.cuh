// Four neighbouring numbers at a time, in whatever type they are stored: 16 bytes of float32, 8 bytes of 16-bit numbers. A warp that
// takes neighbouring fours reads and writes whole lines of memory in every type.
#pragma once
#include "platform.cuh"

/// Four numbers from an address that is a multiple of their size.
template <class T>
DEVICE float4 load4(const T* from) {
  if constexpr (sizeof(T) == 4) {
    return *reinterpret_cast<const float4*>(from);
  } else {
    const uint2 pairs = *reinterpret_cast<const uint2*>(from);
    const float2 low = unpack2<T>(pairs.x), high = unpack2<T>(pairs.y);
    return make_float4(low.x, low.y, high.x, high.y);
  }
}

template <class T>
DEVICE void store4(T* to, float4 x) {
  if constexpr (sizeof(T) == 4) {
    *reinterpret_cast<float4*>(to) = x;
  } else {
    *reinterpret_cast<uint2*>(to) = make_uint2(pack2<T>(x.x, x.y), pack2<T>(x.z, x.w));
  }
}
