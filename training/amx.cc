// What costs the time in a Whisper block and their gradients in bfloat16, on the matrix unit (AMX) of recent Intel processors; for training.
//
// 1. softmax(q k^T) v, heads of 64.
// The scores of a head are never written to memory as a whole: panels of 128 queries against all keys stay in the second-level
// cache, as in FlashAttention. The backward pass computes the scores again, transposed (keys by queries), which is the layout
// that the products for the gradients of keys and values read; the same numbers, two keys interleaved, serve the gradient of queries.
//
// 2. Products with the weights: layer_norm(x) W^T + b, x + o W^T + b, and x + W2 gelu(W1 layer_norm(x) + b1) + b2, 128 rows
// at a time; the backward pass computes what lies inside again.
//
//   g++ -O3 -march=sapphirerapids -shared -fPIC amx.cc -o libamx.so

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

typedef uint16_t bf16;
constexpr int D = 64;        // of a head
constexpr int PANEL = 128;   // queries, or rows, at a time

namespace {

struct __attribute__((packed)) Tiles {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};

bool ready() {
  static const bool ok = syscall(SYS_arch_prctl, 0x1023, 18) == 0;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
  return ok;
}

void configure() {
  Tiles t;
  for (int i = 0; i < 8; i++) t.bytes[i] = 64, t.rows[i] = 16;
  _tile_loadconfig(&t);
}

inline int up(int n, int m) { return (n + m - 1) / m * m; }

// Scratch that lives as long as its thread.
struct Scratch {
  char *p = nullptr;
  size_t size = 0, used = 0;
  void reserve(size_t n) {
    if (n > size) {
      free(p);
      p = static_cast<char *>(aligned_alloc(64, size = (n + 4095) / 4096 * 4096));
    }
    used = 0;
  }
  template <class T> T *take(size_t n) {
    T *r = reinterpret_cast<T *>(p + used);
    used += (n * sizeof(T) + 63) / 64 * 64;
    return r;
  }
};
thread_local Scratch scratch;

// Rows of a head out of [B, T, heads * 64], padded with zeros to n rows.
void gather(const bf16 *x, int stride, int T, int n, bf16 *y) {
  for (int t = 0; t < T; t++) memcpy(y + t * D, x + (size_t)t * stride, D * sizeof(bf16));
  memset(y + (size_t)T * D, 0, (size_t)(n - T) * D * sizeof(bf16));
}

// y[d/2][n] = the pair (x[n][d], x[n][d + 1]): x^T as the right side of a product over d. n is a multiple of 16.
void pack_transposed(const bf16 *x, int n, bf16 *y) {
  const uint32_t *a = reinterpret_cast<const uint32_t *>(x);
  uint32_t *b = reinterpret_cast<uint32_t *>(y);
  for (int t0 = 0; t0 < n; t0 += 16)
    for (int p = 0; p < D / 2; p++)
      for (int t = t0; t < t0 + 16; t++) b[(size_t)p * n + t] = a[(size_t)t * (D / 2) + p];
}

// y[t/2][d] = the pair (x[t][d], x[t + 1][d]): x as the right side of a product over t.
void pack_pairs(const bf16 *x, int n, bf16 *y) {
  for (int t = 0; t < n; t += 2)
    for (int d = 0; d < D; d++) {
      y[(size_t)t * D + 2 * d] = x[(size_t)t * D + d];
      y[(size_t)t * D + 2 * d + 1] = x[(size_t)(t + 1) * D + d];
    }
}

void transpose(const bf16 *x, int n, bf16 *y) {
  for (int t0 = 0; t0 < n; t0 += 32)
    for (int d = 0; d < D; d++)
      for (int t = t0; t < t0 + 32; t++) y[(size_t)d * n + t] = x[(size_t)t * D + d];
}

// c[m, n] (+)= a[m, k] b[k, n]; m, n, k multiples of 32. b in pairs: row k/2 holds n pairs. Strides in elements (b's: of pairs).
// Four accumulators of 16 x 16.
inline void product(const bf16 *a, int sa, const bf16 *b, int sb, float *c, int sc, int m, int n, int k, bool add) {
  for (int i = 0; i < m; i += 32)
    for (int j = 0; j < n; j += 32) {
      float *c0 = c + (size_t)i * sc + j, *c1 = c0 + (size_t)16 * sc;
      if (add) {
        _tile_loadd(0, c0, sc * 4);
        _tile_loadd(1, c0 + 16, sc * 4);
        _tile_loadd(2, c1, sc * 4);
        _tile_loadd(3, c1 + 16, sc * 4);
      } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
      }
      const bf16 *a0 = a + (size_t)i * sa, *a1 = a0 + (size_t)16 * sa, *b0 = b + 2 * j;
      for (int q = 0; q < k; q += 32) {
        _tile_loadd(4, a0 + q, sa * 2);
        _tile_loadd(5, a1 + q, sa * 2);
        _tile_loadd(6, b0 + (size_t)q * sb, sb * 4);
        _tile_loadd(7, b0 + (size_t)q * sb + 32, sb * 4);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_stored(0, c0, sc * 4);
      _tile_stored(1, c0 + 16, sc * 4);
      _tile_stored(2, c1, sc * 4);
      _tile_stored(3, c1 + 16, sc * 4);
    }
}

// e^x for x <= 88; below -87, almost 0.
inline __m512 exp16(__m512 x) {
  x = _mm512_mul_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(1.44269504f));
  __m512 n = _mm512_roundscale_ps(x, 0), f = _mm512_sub_ps(x, n);  // f in [-0.5, 0.5], 2^f by its series
  __m512 y = _mm512_set1_ps(1.3333558e-3f);
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, n);
}

inline __m256i round16(__m512 x) { return (__m256i)_mm512_cvtneps_pbh(x); }

inline __m512 wide16(const bf16 *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

}  // namespace

extern "C" {

int amx_available() {
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512f")) return 0;
  unsigned a, b, c, d;
  asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
  return (d >> 22 & 1) && (d >> 24 & 1) && ready();  // AMX-BF16, AMX-TILE
}

// q, o [B, T, heads * 64], k and v [B, S, heads * 64]; rows lie `sq`, `so`, `sk`, `sv` elements apart, matrices T * sq ... apart. lse [B, heads, T].
// causal: a query sees the keys up to its own (T = S).
void attention_forward(const bf16 *q, const bf16 *k, const bf16 *v, bf16 *o, float *lse, int B, int heads, int T, int S, int sq, int sk, int sv, int so, int causal) {
  configure();
  const int n = up(S, 32);
  scratch.reserve(((size_t)n * D * 3 + PANEL * D) * 2 + (size_t)PANEL * n * 6 + PANEL * D * 4 + 4096);
  bf16 *rows = scratch.take<bf16>((size_t)n * D), *kt = scratch.take<bf16>((size_t)n * D), *vp = scratch.take<bf16>((size_t)n * D);
  bf16 *qp = scratch.take<bf16>(PANEL * D), *p = scratch.take<bf16>((size_t)PANEL * n);
  float *s = scratch.take<float>((size_t)PANEL * n), *out = scratch.take<float>(PANEL * D);
  for (int bh = 0; bh < B * heads; bh++) {
    const int b = bh / heads, h = bh % heads;
    gather(k + (size_t)b * S * sk + h * D, sk, S, n, rows);
    pack_transposed(rows, n, kt);
    gather(v + (size_t)b * S * sv + h * D, sv, S, n, rows);
    pack_pairs(rows, n, vp);
    for (int t0 = 0; t0 < T; t0 += PANEL) {
      const int m = T - t0 < PANEL ? T - t0 : PANEL, mp = up(m, 32);
      gather(q + ((size_t)b * T + t0) * sq + h * D, sq, m, mp, qp);
      product(qp, D, kt, n, s, n, mp, n, D, false);
      float sums[PANEL];
      for (int i = 0; i < mp; i++) {
        float *r = s + (size_t)i * n;
        for (int j = causal && t0 + i + 1 < S ? t0 + i + 1 : S; j < n; j++) r[j] = -1e30f;
        __m512 top = _mm512_loadu_ps(r);
        for (int j = 16; j < n; j += 16) top = _mm512_max_ps(top, _mm512_loadu_ps(r + j));
        const float peak = _mm512_reduce_max_ps(top);
        const __m512 shift = _mm512_set1_ps(peak);
        __m512 sum = _mm512_setzero_ps();
        for (int j = 0; j < n; j += 16) {
          __m512 e = exp16(_mm512_sub_ps(_mm512_loadu_ps(r + j), shift));
          sum = _mm512_add_ps(sum, e);
          _mm256_storeu_si256((__m256i *)(p + (size_t)i * n + j), round16(e));
        }
        sums[i] = _mm512_reduce_add_ps(sum);
        if (i < m) lse[(size_t)bh * T + t0 + i] = peak + std::log(sums[i]);
      }
      product(p, n, vp, D, out, D, mp, D, n, false);
      for (int i = 0; i < m; i++) {
        const __m512 scale = _mm512_set1_ps(1.0f / sums[i]);
        bf16 *y = o + ((size_t)b * T + t0 + i) * so + h * D;
        for (int d = 0; d < D; d += 16) _mm256_storeu_si256((__m256i *)(y + d), round16(_mm512_mul_ps(_mm512_loadu_ps(out + i * D + d), scale)));
      }
    }
  }
  _tile_release();
}

// g: the gradient of o. dq, dk, dv packed [B, T | S, heads * 64].
void attention_backward(const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *o, const float *lse, const bf16 *g, bf16 *dq, bf16 *dk, bf16 *dv, int B, int heads,
                        int T, int S, int sq, int sk, int sv, int so, int causal) {
  configure();
  const int n = up(S, 32), width = heads * D;
  scratch.reserve((size_t)n * D * 2 * 3 + (size_t)n * D * 4 * 2 + (size_t)PANEL * D * (2 * 6 + 4) + (size_t)n * PANEL * (2 * 3) + 32 * PANEL * 8 + 8192);
  bf16 *kr = scratch.take<bf16>((size_t)n * D), *vr = scratch.take<bf16>((size_t)n * D), *kt = scratch.take<bf16>((size_t)n * D);
  float *ak = scratch.take<float>((size_t)n * D), *av = scratch.take<float>((size_t)n * D);
  bf16 *qr = scratch.take<bf16>(PANEL * D), *gr = scratch.take<bf16>(PANEL * D), *qt = scratch.take<bf16>(PANEL * D), *gt = scratch.take<bf16>(PANEL * D);
  bf16 *qpairs = scratch.take<bf16>(PANEL * D), *gpairs = scratch.take<bf16>(PANEL * D);
  float *aq = scratch.take<float>(PANEL * D);
  bf16 *p = scratch.take<bf16>((size_t)n * PANEL), *ds = scratch.take<bf16>((size_t)n * PANEL), *dspairs = scratch.take<bf16>((size_t)n * PANEL);
  float *s = scratch.take<float>(32 * PANEL), *dp = scratch.take<float>(32 * PANEL);
  for (int bh = 0; bh < B * heads; bh++) {
    const int b = bh / heads, h = bh % heads;
    gather(k + (size_t)b * S * sk + h * D, sk, S, n, kr);
    gather(v + (size_t)b * S * sv + h * D, sv, S, n, vr);
    transpose(kr, n, kt);
    memset(ak, 0, (size_t)n * D * 4);
    memset(av, 0, (size_t)n * D * 4);
    for (int t0 = 0; t0 < T; t0 += PANEL) {
      const int m = T - t0 < PANEL ? T - t0 : PANEL, mp = up(m, 32);
      gather(q + ((size_t)b * T + t0) * sq + h * D, sq, m, mp, qr);
      gather(g + ((size_t)b * T + t0) * so + h * D, so, m, mp, gr);
      pack_transposed(qr, mp, qt);
      pack_transposed(gr, mp, gt);
      pack_pairs(qr, mp, qpairs);
      pack_pairs(gr, mp, gpairs);
      alignas(64) float l[PANEL], delta[PANEL];
      for (int i = 0; i < mp; i++) {
        l[i] = i < m ? lse[(size_t)bh * T + t0 + i] : 1e30f;
        __m512 sum = _mm512_setzero_ps();
        const bf16 *y = o + ((size_t)b * T + t0 + i) * so + h * D;
        if (i < m)
          for (int d = 0; d < D; d += 16) sum = _mm512_fmadd_ps(wide16(y + d), wide16(gr + i * D + d), sum);
        delta[i] = _mm512_reduce_add_ps(sum);
      }
      for (int j = 0; j < n; j += 32) {
        product(kr + (size_t)j * D, D, qt, mp, s, mp, 32, mp, D, false);
        product(vr + (size_t)j * D, D, gt, mp, dp, mp, 32, mp, D, false);
        for (int u = 0; u < 32; u += 2)
          for (int i = 0; i < mp; i += 16) {
            const __m512 li = _mm512_load_ps(l + i), di = _mm512_load_ps(delta + i);
            __m512 p0 = exp16(_mm512_sub_ps(_mm512_loadu_ps(s + u * mp + i), li)), p1 = exp16(_mm512_sub_ps(_mm512_loadu_ps(s + (u + 1) * mp + i), li));
            if (causal && j + u + 1 > t0 + i) {  // a query sees the keys up to its own
              const __m512i query = _mm512_add_epi32(_mm512_set1_epi32(t0 + i), _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
              p0 = _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(query, _mm512_set1_epi32(j + u)), p0);
              p1 = _mm512_maskz_mov_ps(_mm512_cmpge_epi32_mask(query, _mm512_set1_epi32(j + u + 1)), p1);
            }
            const __m256i d0 = round16(_mm512_mul_ps(p0, _mm512_sub_ps(_mm512_loadu_ps(dp + u * mp + i), di)));
            const __m256i d1 = round16(_mm512_mul_ps(p1, _mm512_sub_ps(_mm512_loadu_ps(dp + (u + 1) * mp + i), di)));
            const size_t at = (size_t)(j + u) * mp + i;
            _mm256_storeu_si256((__m256i *)(p + at), round16(p0));
            _mm256_storeu_si256((__m256i *)(p + at + mp), round16(p1));
            _mm256_storeu_si256((__m256i *)(ds + at), d0);
            _mm256_storeu_si256((__m256i *)(ds + at + mp), d1);
            _mm512_storeu_si512(dspairs + (size_t)(j + u) * mp + 2 * i, _mm512_or_si512(_mm512_cvtepu16_epi32(d0), _mm512_slli_epi32(_mm512_cvtepu16_epi32(d1), 16)));
          }
      }
      product(p, mp, gpairs, D, av, D, n, D, mp, true);
      product(ds, mp, qpairs, D, ak, D, n, D, mp, true);
      product(kt, n, dspairs, mp, aq, mp, D, mp, n, false);  // transposed: d by queries
      for (int i = 0; i < m; i++)
        for (int d = 0; d < D; d += 16) {
          float x[16];
          for (int e = 0; e < 16; e++) x[e] = aq[(size_t)(d + e) * mp + i];
          _mm256_storeu_si256((__m256i *)(dq + ((size_t)b * T + t0 + i) * width + h * D + d), round16(_mm512_loadu_ps(x)));
        }
    }
    for (int t = 0; t < S; t++)
      for (int d = 0; d < D; d += 16) {
        _mm256_storeu_si256((__m256i *)(dk + ((size_t)b * S + t) * width + h * D + d), round16(_mm512_loadu_ps(ak + (size_t)t * D + d)));
        _mm256_storeu_si256((__m256i *)(dv + ((size_t)b * S + t) * width + h * D + d), round16(_mm512_loadu_ps(av + (size_t)t * D + d)));
      }
  }
  _tile_release();
}

}  // extern "C"

namespace {

constexpr int W = 128;  // width of the network
constexpr int H = 512;  // and of the layer inside
const float EPS = 1e-5f;

// y[k/2][n] = (x[n][k], x[n][k + 1]) of a float matrix x [n, k]: x^T as the right side.
void pack_transposed_float(const float *x, int n, int k, bf16 *y) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < k; j += 16) {
      alignas(32) bf16 r[16];
      _mm256_store_si256((__m256i *)r, round16(_mm512_loadu_ps(x + (size_t)i * k + j)));
      for (int u = 0; u < 16; u++) y[((size_t)(j + u) / 2 * n + i) * 2 + (u & 1)] = r[u];
    }
}

inline __m512i pair16(__m256i a, __m256i b) { return _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16)); }

// y[n/2][k] = (x[n][k], x[n + 1][k]) of a float matrix x [n, k]: x as the right side.
void pack_pairs_float(const float *x, int n, int k, bf16 *y) {
  for (int i = 0; i < n; i += 2)
    for (int j = 0; j < k; j += 16)
      _mm512_storeu_si512(y + (size_t)i * k + 2 * j, pair16(round16(_mm512_loadu_ps(x + (size_t)i * k + j)), round16(_mm512_loadu_ps(x + (size_t)(i + 1) * k + j))));
}

// Rows x [m, W] -> normalised (float), and times gamma plus beta in bfloat16; rows m to mp are zeros. Returns 1 / deviation of each.
void layer_norm(const float *x, int m, int mp, const float *gamma, const float *beta, float *hat, bf16 *n, float *scale) {
  for (int i = 0; i < mp; i++) {
    if (i >= m) {
      memset(hat + i * W, 0, W * 4);
      memset(n + i * W, 0, W * 2);
      scale[i] = 0;
      continue;
    }
    __m512 v[W / 16], sum = _mm512_setzero_ps(), square = sum;
    for (int d = 0; d < W / 16; d++) sum = _mm512_add_ps(sum, v[d] = _mm512_loadu_ps(x + (size_t)i * W + 16 * d));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / W);
    for (int d = 0; d < W / 16; d++) {
      v[d] = _mm512_sub_ps(v[d], mean);
      square = _mm512_fmadd_ps(v[d], v[d], square);
    }
    scale[i] = 1 / std::sqrt(_mm512_reduce_add_ps(square) / W + EPS);
    for (int d = 0; d < W / 16; d++) {
      v[d] = _mm512_mul_ps(v[d], _mm512_set1_ps(scale[i]));
      _mm512_storeu_ps(hat + i * W + 16 * d, v[d]);
      _mm256_storeu_si256((__m256i *)(n + i * W + 16 * d), round16(_mm512_fmadd_ps(v[d], _mm512_loadu_ps(gamma + 16 * d), _mm512_loadu_ps(beta + 16 * d))));
    }
  }
}

// The rows that a product reads: layer_norm where there is a gamma, else the rows themselves.
void rows16(const float *x, int m, int mp, const float *gamma, const float *beta, float *hat, bf16 *n, float *scale) {
  if (gamma) return layer_norm(x, m, mp, gamma, beta, hat, n, scale);
  for (int i = 0; i < mp; i++)
    for (int d = 0; d < W; d += 16)
      _mm256_storeu_si256((__m256i *)(n + i * W + d), round16(i < m ? _mm512_loadu_ps(x + (size_t)i * W + d) : _mm512_setzero_ps()));
}

// The normal distribution at h: its integral (Abramowitz and Stegun 7.1.26, to 1e-7) and, times h, its density.
inline __m512 normal(__m512 h, __m512 *density_h) {
  const __m512 e = exp16(_mm512_mul_ps(_mm512_mul_ps(h, h), _mm512_set1_ps(-0.5f)));
  const __m512 t = _mm512_div_ps(_mm512_set1_ps(1), _mm512_fmadd_ps(_mm512_abs_ps(h), _mm512_set1_ps(0.3275911f * 0.70710678f), _mm512_set1_ps(1)));
  __m512 y = _mm512_set1_ps(1.061405429f);
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-1.453152027f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(1.421413741f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-0.284496736f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(0.254829592f));
  y = _mm512_mul_ps(_mm512_mul_ps(y, t), _mm512_mul_ps(e, _mm512_set1_ps(0.5f)));  // beyond |h|
  *density_h = _mm512_mul_ps(_mm512_mul_ps(h, e), _mm512_set1_ps(0.39894228f));
  return _mm512_mask_sub_ps(y, _mm512_cmp_ps_mask(h, _mm512_setzero_ps(), _CMP_GE_OQ), _mm512_set1_ps(1), y);
}

// y[k][n] = x[n][k], x [n, W].
void transpose_rows(const bf16 *x, int n, bf16 *y) {
  for (int d = 0; d < W; d++)
    for (int t = 0; t < n; t++) y[(size_t)d * n + t] = x[(size_t)t * W + d];
}

inline void accumulate(float *sum, __m512 x) { _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), x)); }

// x [m, n] -> y; rows m to mp are zeros.
void pad_rows(const bf16 *x, int m, int mp, int n, bf16 *y) {
  memcpy(y, x, (size_t)m * n * 2);
  memset(y + (size_t)m * n, 0, (size_t)(mp - m) * n * 2);
}

// y[i/2][n] = (x[i][n], x[i + 1][n]), x [mp, n]: x as the right side.
void interleave_rows(const bf16 *x, int mp, int n, bf16 *y) {
  for (int i = 0; i < mp; i += 2)
    for (int j = 0; j < n; j += 16) {
      const bf16 *a = x + (size_t)i * n + j;
      _mm512_storeu_si512(y + (size_t)i * n + 2 * j, pair16(_mm256_loadu_si256((const __m256i *)a), _mm256_loadu_si256((const __m256i *)(a + n))));
    }
}

// x [m, W] -> y in bfloat16, rows m to mp zeros; sums grow by each row.
void round_rows(const float *x, int m, int mp, bf16 *y, float *sums) {
  for (int i = 0; i < mp; i++)
    for (int d = 0; d < W; d += 16) {
      const __m512 v = i < m ? _mm512_loadu_ps(x + (size_t)i * W + d) : _mm512_setzero_ps();
      _mm256_storeu_si256((__m256i *)(y + i * W + d), round16(v));
      accumulate(sums + d, v);
    }
}

// y = x + more + b, rows of W.
void add_rows(const float *x, const float *more, const float *b, int m, float *y) {
  for (int i = 0; i < m; i++)
    for (int d = 0; d < W; d += 16) {
      const size_t at = (size_t)i * W + d;
      _mm512_storeu_ps(y + at, _mm512_add_ps(_mm512_loadu_ps(x + at), _mm512_add_ps(_mm512_loadu_ps(more + at), _mm512_loadu_ps(b + d))));
    }
}

// Gradient dn of the normalised rows -> dx, with `more` (if any) added; dgamma and dbeta grow.
void layer_norm_backward(const float *dn, const float *hat, const float *scale, int m, const float *gamma, const float *more, float *dx, float *dgamma, float *dbeta) {
  for (int i = 0; i < m; i++) {
    __m512 v[W / 16], sum = _mm512_setzero_ps(), dot = sum;
    for (int d = 0; d < W; d += 16) {
      const __m512 z = _mm512_loadu_ps(dn + i * W + d), x = _mm512_loadu_ps(hat + i * W + d);
      accumulate(dgamma + d, _mm512_mul_ps(z, x));
      accumulate(dbeta + d, z);
      v[d / 16] = _mm512_mul_ps(z, _mm512_loadu_ps(gamma + d));
      sum = _mm512_add_ps(sum, v[d / 16]);
      dot = _mm512_fmadd_ps(v[d / 16], x, dot);
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / W), slope = _mm512_set1_ps(_mm512_reduce_add_ps(dot) / W), s = _mm512_set1_ps(scale[i]);
    for (int d = 0; d < W; d += 16) {
      const __m512 z = _mm512_sub_ps(_mm512_sub_ps(v[d / 16], mean), _mm512_mul_ps(_mm512_loadu_ps(hat + i * W + d), slope));
      _mm512_storeu_ps(dx + (size_t)i * W + d, _mm512_fmadd_ps(z, s, more ? _mm512_loadu_ps(more + (size_t)i * W + d) : _mm512_setzero_ps()));
    }
  }
}


}  // namespace

extern "C" {

// x, y [N, W] float; gamma, beta [W]; w1 [H, W], b1 [H], w2 [W, H], b2 [W].
void mlp_forward(const float *x, const float *gamma, const float *beta, const float *w1, const float *b1, const float *w2, const float *b2, float *y, int N) {
  configure();
  scratch.reserve((size_t)H * W * 2 * 2 + PANEL * (W * 10 + H * 6) + 8192);
  bf16 *p1 = scratch.take<bf16>(H * W), *p2 = scratch.take<bf16>(H * W), *n = scratch.take<bf16>(PANEL * W), *a = scratch.take<bf16>(PANEL * H);
  float *hat = scratch.take<float>(PANEL * W), *h = scratch.take<float>(PANEL * H), *out = scratch.take<float>(PANEL * W), scale[PANEL];
  pack_transposed_float(w1, H, W, p1);
  pack_transposed_float(w2, W, H, p2);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    layer_norm(x + (size_t)t * W, m, mp, gamma, beta, hat, n, scale);
    product(n, W, p1, H, h, H, mp, H, W, false);
    for (int i = 0; i < mp; i++)
      for (int j = 0; j < H; j += 16) {
        __m512 unused, v = _mm512_add_ps(_mm512_loadu_ps(h + i * H + j), _mm512_loadu_ps(b1 + j));
        _mm256_storeu_si256((__m256i *)(a + i * H + j), round16(_mm512_mul_ps(v, normal(v, &unused))));
      }
    product(a, H, p2, W, out, W, mp, W, H, false);
    add_rows(x + (size_t)t * W, out, b2, m, y + (size_t)t * W);
  }
  _tile_release();
}

// g: the gradient of y. The gradients of the weights have to be zeros; d1 is that of w1 transposed, [W, H].
void mlp_backward(const float *x, const float *gamma, const float *beta, const float *w1, const float *b1, const float *w2, const float *g, float *dx, float *dgamma,
                  float *dbeta, float *d1, float *db1, float *d2, float *db2, int N) {
  configure();
  scratch.reserve((size_t)H * W * 2 * 3 + PANEL * (W * 20 + H * 14) + 16384);
  bf16 *p1 = scratch.take<bf16>(H * W), *q1 = scratch.take<bf16>(H * W), *q2 = scratch.take<bf16>(H * W);
  bf16 *n = scratch.take<bf16>(PANEL * W), *nt = scratch.take<bf16>(PANEL * W), *gr = scratch.take<bf16>(PANEL * W), *gt = scratch.take<bf16>(PANEL * W);
  bf16 *apairs = scratch.take<bf16>(PANEL * H), *dh = scratch.take<bf16>(PANEL * H), *dhpairs = scratch.take<bf16>(PANEL * H);
  float *hat = scratch.take<float>(PANEL * W), *h = scratch.take<float>(PANEL * H), *da = scratch.take<float>(PANEL * H), *dn = scratch.take<float>(PANEL * W);
  float scale[PANEL];
  pack_transposed_float(w1, H, W, p1);
  pack_pairs_float(w1, H, W, q1);
  pack_pairs_float(w2, W, H, q2);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    layer_norm(x + (size_t)t * W, m, mp, gamma, beta, hat, n, scale);
    round_rows(g + (size_t)t * W, m, mp, gr, db2);
    transpose_rows(n, mp, nt);
    transpose_rows(gr, mp, gt);
    product(n, W, p1, H, h, H, mp, H, W, false);
    product(gr, W, q2, H, da, H, mp, H, W, false);
    for (int i = 0; i < mp; i += 2)
      for (int j = 0; j < H; j += 16) {
        __m256i act[2], grad[2];
        for (int u = 0; u < 2; u++) {
          const int at = (i + u) * H + j;
          __m512 density, v = _mm512_add_ps(_mm512_loadu_ps(h + at), _mm512_loadu_ps(b1 + j)), phi = normal(v, &density);
          const __m512 d = _mm512_mul_ps(_mm512_loadu_ps(da + at), _mm512_add_ps(phi, density));
          accumulate(db1 + j, d);
          act[u] = round16(_mm512_mul_ps(v, phi));
          grad[u] = round16(d);
          _mm256_storeu_si256((__m256i *)(dh + at), grad[u]);
        }
        _mm512_storeu_si512(apairs + i * H + 2 * j, pair16(act[0], act[1]));
        _mm512_storeu_si512(dhpairs + i * H + 2 * j, pair16(grad[0], grad[1]));
      }
    product(gt, mp, apairs, H, d2, H, W, H, mp, true);
    product(nt, mp, dhpairs, H, d1, H, W, H, mp, true);
    product(dh, H, q1, W, dn, W, mp, W, H, false);
    layer_norm_backward(dn, hat, scale, m, gamma, g + (size_t)t * W, dx + (size_t)t * W, dgamma, dbeta);
  }
  _tile_release();
}

// y [N, M] bfloat16 = layer_norm(x) w^T + b; without the norm where gamma is null. x [N, W] float, w [M, W], b [M]; M a multiple of 32.
void linear_forward(const float *x, const float *gamma, const float *beta, const float *w, const float *b, bf16 *y, int N, int M) {
  configure();
  scratch.reserve((size_t)M * W * 2 + PANEL * (W * 6 + M * 4) + 8192);
  bf16 *p = scratch.take<bf16>(M * W), *n = scratch.take<bf16>(PANEL * W);
  float *hat = scratch.take<float>(PANEL * W), *out = scratch.take<float>(PANEL * M), scale[PANEL];
  pack_transposed_float(w, M, W, p);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    rows16(x + (size_t)t * W, m, mp, gamma, beta, hat, n, scale);
    product(n, W, p, M, out, M, mp, M, W, false);
    for (int i = 0; i < m; i++)
      for (int j = 0; j < M; j += 16)
        _mm256_storeu_si256((__m256i *)(y + (size_t)(t + i) * M + j), round16(_mm512_add_ps(_mm512_loadu_ps(out + (size_t)i * M + j), _mm512_loadu_ps(b + j))));
  }
  _tile_release();
}

// g: the gradient of y. The gradients of the weights have to be zeros; dw is transposed, [W, M].
void linear_backward(const float *x, const float *gamma, const float *beta, const float *w, const bf16 *g, float *dx, float *dgamma, float *dbeta, float *dw, float *db,
                     int N, int M) {
  configure();
  scratch.reserve((size_t)M * W * 2 + PANEL * (W * 16 + M * 4) + 8192);
  bf16 *q = scratch.take<bf16>(M * W), *n = scratch.take<bf16>(PANEL * W), *nt = scratch.take<bf16>(PANEL * W);
  bf16 *gr = scratch.take<bf16>(PANEL * M), *gpairs = scratch.take<bf16>(PANEL * M);
  float *hat = scratch.take<float>(PANEL * W), *dn = scratch.take<float>(PANEL * W), scale[PANEL];
  pack_pairs_float(w, M, W, q);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    rows16(x + (size_t)t * W, m, mp, gamma, beta, hat, n, scale);
    transpose_rows(n, mp, nt);
    pad_rows(g + (size_t)t * M, m, mp, M, gr);
    for (int i = 0; i < mp; i += 2)
      for (int j = 0; j < M; j += 16) {
        const bf16 *a = gr + (size_t)i * M + j;
        accumulate(db + j, _mm512_add_ps(wide16(a), wide16(a + M)));
      }
    interleave_rows(gr, mp, M, gpairs);
    product(nt, mp, gpairs, M, dw, M, W, M, mp, true);
    product(gr, M, q, W, dn, W, mp, W, M, false);
    if (gamma)
      layer_norm_backward(dn, hat, scale, m, gamma, nullptr, dx + (size_t)t * W, dgamma, dbeta);
    else
      memcpy(dx + (size_t)t * W, dn, (size_t)m * W * 4);
  }
  _tile_release();
}

// y = x + o w^T + b; x, y [N, W] float, o [N, W] bfloat16, w [W, W].
void output_forward(const float *x, const bf16 *o, const float *w, const float *b, float *y, int N) {
  configure();
  scratch.reserve((size_t)W * W * 2 + PANEL * W * 6 + 8192);
  bf16 *p = scratch.take<bf16>(W * W), *n = scratch.take<bf16>(PANEL * W);
  float *out = scratch.take<float>(PANEL * W);
  pack_transposed_float(w, W, W, p);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    pad_rows(o + (size_t)t * W, m, mp, W, n);
    product(n, W, p, W, out, W, mp, W, W, false);
    add_rows(x + (size_t)t * W, out, b, m, y + (size_t)t * W);
  }
  _tile_release();
}

// g: the gradient of y, and so of x. dw (not transposed) and db have to be zeros.
void output_backward(const bf16 *o, const float *w, const float *g, bf16 *d_o, float *dw, float *db, int N) {
  configure();
  scratch.reserve((size_t)W * W * 2 + PANEL * W * 12 + 8192);
  bf16 *q = scratch.take<bf16>(W * W), *n = scratch.take<bf16>(PANEL * W), *gr = scratch.take<bf16>(PANEL * W), *gt = scratch.take<bf16>(PANEL * W);
  bf16 *npairs = scratch.take<bf16>(PANEL * W);
  float *out = scratch.take<float>(PANEL * W);
  pack_pairs_float(w, W, W, q);
  for (int t = 0; t < N; t += PANEL) {
    const int m = N - t < PANEL ? N - t : PANEL, mp = up(m, 32);
    pad_rows(o + (size_t)t * W, m, mp, W, n);
    round_rows(g + (size_t)t * W, m, mp, gr, db);
    interleave_rows(n, mp, W, npairs);
    transpose_rows(gr, mp, gt);
    product(gt, mp, npairs, W, dw, W, W, W, mp, true);
    product(gr, W, q, W, out, W, mp, W, W, false);
    for (int i = 0; i < m; i++)
      for (int d = 0; d < W; d += 16) _mm256_storeu_si256((__m256i *)(d_o + (size_t)(t + i) * W + d), round16(_mm512_loadu_ps(out + i * W + d)));
  }
  _tile_release();
}

}  // extern "C"
