// Kernels for the stand-in's own tests (test/cuda/stand-in.test.ts); not in the GPU's build.
#pragma once

#include "../wgmma.cuh"

// c[16][8] = a[16][16] w[8][16]ᵀ, `repeats` times over, by one warp in each block.
template <class T>
DEVICE void test_multiply(const uint32_t* a, const uint32_t* w, float* c, int repeats) {
  int row = lane_id() / 4, pair = lane_id() % 4;
  uint32_t fa[4] = {a[row * 8 + pair], a[(row + 8) * 8 + pair], a[row * 8 + pair + 4], a[(row + 8) * 8 + pair + 4]};
  uint32_t fb[2] = {w[row * 8 + pair], w[row * 8 + pair + 4]};
  float fc[4] = {0, 0, 0, 0};
  for (int i = 0; i < repeats; i++) multiply_16816<T>(fc, fa, fb);
  for (int i = 0; i < 4; i++) c[blockIdx.x * 128 + (row + i / 2 * 8) * 8 + pair * 2 + i % 2] = fc[i];
}
KERNEL(32) test_multiply_bf16(const uint32_t* a, const uint32_t* w, float* c, int repeats) { test_multiply<bf16>(a, w, c, repeats); }
REGISTER(test_multiply_bf16)
KERNEL(32) test_multiply_f16(const uint32_t* a, const uint32_t* w, float* c, int repeats) { test_multiply<f16>(a, w, c, repeats); }
REGISTER(test_multiply_f16)

// out[transposed][lane][matrix] of four 8 x 8 matrices in [32][8].
KERNEL(32) test_matrices(const uint4* in, uint32_t* out) {
  SHARED(uint4, rows, 32);
  rows[lane_id()] = in[lane_id()];
  sync_warp();
  uint32_t r[4], t[4];
  load_matrices(r, &rows[lane_id()]);
  load_matrices_transposed(t, &rows[lane_id()]);
  for (int i = 0; i < 4; i++) {
    out[lane_id() * 4 + i] = r[i];
    out[128 + lane_id() * 4 + i] = t[i];
  }
}
REGISTER(test_matrices)

// Two groups of copies of 16 bytes a thread, of which `pending` (0, 1 or 2) may still be under way when they are read; outside past count.
KERNEL(64) test_copies(const uint4* in, uint4* out, int count, int pending) {
  uint4* tile = dynamic_shared<uint4>();
  int i = static_cast<int>(threadIdx.x);
  for (int group = 0; group < 2; group++) {
    int at = group * 64 + i;
    copy_async16(&tile[at], &in[at], at < count);
    copy_commit();
  }
  if (pending == 0) copy_wait<0>();
  if (pending == 1) copy_wait<1>();
  if (pending == 2) copy_wait<2>();
  out[i] = tile[i];
  out[64 + i] = tile[64 + i];
}
REGISTER(test_copies)

// out[i] = what thread (i + shift) % size wrote: right with the barrier only.
KERNEL(256) test_neighbour(int* out, int shift, int barrier) {
  SHARED(int, values, 256);
  unsigned i = threadIdx.x, n = blockDim.x;
  values[i] = static_cast<int>(i);
  if (barrier == 1) sync_block();
  if (barrier == 2) sync_named(1, static_cast<int>(n));
  if (barrier == 3) sync_warp();
  out[blockIdx.x * n + i] = values[(i + static_cast<unsigned>(shift)) % n];
}
REGISTER(test_neighbour)

// Each warp of 4 its own barrier number with the next but one; out[i] = sum over the pair.
KERNEL(128) test_pairs(const float* in, float* out) {
  SHARED(float, sums, 4);
  float sum = warp_sum(in[threadIdx.x]);
  if (lane_id() == 0) sums[warp_id()] = sum;
  sync_named(1 + warp_id() % 2, 64);
  out[threadIdx.x] = sums[warp_id() % 2] + sums[warp_id() % 2 + 2];
}
REGISTER(test_pairs)

KERNEL(32) test_words(const int* in, int* out) {
  int x = in[lane_id()];
  out[lane_id()] = shuffle(x, (lane_id() + 5) % 32);
  out[32 + lane_id()] = shuffle_xor(x, 16);
  out[64 + lane_id()] = static_cast<int>(lanes_where(x % 3 == 0));
}
REGISTER(test_words)

// The block that comes last adds up what the others left: fence, counter, fresh reads.
KERNEL(32) test_last_block(const float* in, float* partials, int* counter, float* out) {
  SHARED(int, arrived, 1);
  float sum = warp_sum(in[blockIdx.x * 32 + threadIdx.x]);
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = sum;
    fence_device();
    *arrived = atomic_add(counter, 1);
  }
  sync_block();
  if (*arrived != static_cast<int>(gridDim.x) - 1) return;
  fence_device();
  if (threadIdx.x == 0) {
    float all = 0;
    for (unsigned i = 0; i < gridDim.x; i++) all += load_fresh(&partials[i]);
    *out = all;
    *counter = 0;
  }
}
REGISTER(test_last_block)

struct TestParameters {
  const float* in;
  float* out;
  int64_t stride;
  int count;
  float factor;
};
KERNEL(64) test_parameters(int first, TestParameters p, int64_t last) {
  for (int i = static_cast<int>(threadIdx.x); i < p.count; i += 64) {
    p.out[i] = p.in[i * p.stride] * p.factor + static_cast<float>(first) + static_cast<float>(last);
  }
}
REGISTER(test_parameters)

KERNEL(128) test_add(float* x, float value, int n) {
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] += value;
}
REGISTER(test_add)

// More than a thread's stack.
__attribute__((noinline)) inline int test_deep(int n) {
  volatile char room[100 << 10];
  room[0] = static_cast<char>(n);
  return room[0] + (n > 0 ? test_deep(n - 1) : 0);
}

// What a kernel may do wrong, by number.
KERNEL(64) test_fault(float* x, int64_t index, int what) {
  SHARED(float, values, 64);
  float* dynamic = dynamic_shared<float>();
  unsigned i = threadIdx.x;
  values[i] = 1;
  switch (what) {
    case 0: x[index] = 1; break;                                                // write at an index
    case 1: if (i < 32) sync_block(); break;                                    // half of the block misses the barrier
    case 2: if (i % 2 == 0) values[i] = warp_sum(1); else sync_warp(); break;   // lanes say different words
    case 3: values[64 + index] = 1; break;                                      // behind a static array
    case 4: dynamic[index] = 1; break;                                          // behind the dynamic memory
    case 5: x[i] = to_float(from_float<f16>(load_stream(reinterpret_cast<char*>(x) + index).x)); break;  // misaligned
    case 6: copy_async16(x, x, true); break;                                    // into global memory
    case 7: x[i] = dynamic[i] + values[(i + 1) % 64]; break;                    // reads what nobody wrote
    case 9: x[i] = static_cast<float>(test_deep(3)); break;                     // stack
    case 8: sync_named(1, 96); break;                                           // more threads than there are
  }
}
REGISTER(test_fault)

// In: float32; out: the same through float16, through bfloat16, and through pairs of both.
KERNEL(256) test_numbers(const float* in, float* out, int n) {
  for (int i = static_cast<int>(blockIdx.x * 256 + threadIdx.x); i < n; i += static_cast<int>(gridDim.x) * 256) {
    out[i] = to_float(from_float<f16>(in[i]));
    out[n + i] = to_float(from_float<bf16>(in[i]));
    out[2 * n + i] = unpack2<f16>(pack2<f16>(0, in[i])).y;
    out[3 * n + i] = unpack2<bf16>(pack2<bf16>(in[i], 0)).x;
  }
}
REGISTER(test_numbers)

// c[64][256] = a bᵀ, 16 deep, by one warpgroup: tiles of bytes as they are to lie in shared memory, descriptors without their address.
KERNEL(128) test_wgmma(const uint4* tiles, int64_t a, int64_t b, int bytesOfA, int bytesOfB, int offset, float* c, int mistake) {
  unsigned char* shared = dynamic_shared<unsigned char>();
  int thread = static_cast<int>(threadIdx.x), chunks = (bytesOfA + bytesOfB) / 16;
  for (int i = thread; i < chunks; i += 128) copy_async16(shared + 16 * i, &tiles[i], true);
  copy_commit();
  copy_wait<0>();
  if (mistake != 1) fence_for_wgmma();
  sync_block();
  float sums[32][4];
  for (auto& four : sums) {
    for (float& sum : four) sum = 1000;
  }
  auto place = [&](const void* at) { return (standin::sharedOffset(at, 16) + static_cast<uint64_t>(offset)) >> 4; };
  SharedTile tileA{static_cast<uint64_t>(a) | place(shared)}, tileB{static_cast<uint64_t>(b) | place(shared + bytesOfA)};
  if (mistake != 2) wgmma_begin();
  wgmma_64x256x16<bf16>(sums, tileA, tileB, 0);
  wgmma_64x256x16<bf16>(sums, tileA, mistake == 3 && thread == 77 ? tileA : tileB, 1);
  wgmma_commit();
  if (mistake == 4) shared[thread] = 0;
  if (mistake != 5) wgmma_wait<0>();
  for (int j = 0; j < 32; j++) {
    for (int i = 0; i < 4; i++) {
      c[(warp_id() * 16 + lane_id() / 4 + i / 2 * 8) * 256 + 8 * j + lane_id() % 4 * 2 + i % 2] = sums[j][i];
    }
  }
}
REGISTER_SM90A(test_wgmma)
