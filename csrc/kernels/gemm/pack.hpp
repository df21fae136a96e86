// SPDX-License-Identifier: Apache-2.0
// Copies of operands into scratch, for the strides that the microkernel cannot read
// and for the sizes where a contiguous copy pays.
#pragma once

#include "kernels/gemm/tile.hpp"

FASTNN_BEGIN_NAMESPACE

template <bool kHigh, class V, int... I>
FASTNN_INLINE V interleave(V a, V b, Ints<I...>) {
  constexpr int n = sizeof...(I), first = kHigh ? n / 2 : 0;
  return __builtin_shufflevector(a, b, (first + (I - 1) / 2 + (I - 1) % 2 * n)...);
}

// v[i][j] <-> v[j][i] by log2(lanes) rounds of perfect shuffles.
template <class T>
FASTNN_INLINE void transpose(Vec<T>* v) {
  constexpr int n = lanes<T>;
  using Lanes = typename Upto<n>::Type;
  Vec<T> w[n];
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < n / 2; ++i) {
      w[2 * i] = interleave<false>(v[i], v[i + n / 2], Lanes{});
      w[2 * i + 1] = interleave<true>(v[i], v[i + n / 2], Lanes{});
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i)
      v[i] = w[i];
  }
}

#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
// Two neighbours of each 16 bytes of a, from element i on, each followed by b's.
template <int i>
FASTNN_INLINE Vec<float> unpack(Vec<float> a, Vec<float> b) {
  return __builtin_shufflevector(a, b, i, 16 + i, i + 1, 17 + i, i + 4, 20 + i, i + 5,
                                 21 + i, i + 8, 24 + i, i + 9, 25 + i, i + 12, 28 + i,
                                 i + 13, 29 + i);
}
template <int i>
FASTNN_INLINE Vec<double> unpack(Vec<double> a, Vec<double> b) {
  return __builtin_shufflevector(a, b, i, 8 + i, i + 2, 10 + i, i + 4, 12 + i, i + 6,
                                 14 + i);
}

// 16 rows of 16 floats by quarters: loads put rows r, r + 4, r + 8, r + 12 into one
// vector, which leaves half of the shuffles, on the one port that has them.
FASTNN_INLINE void load_square(const float* src, int64_t ld, Vec<float>* out) {
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    Vec<float> w[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      const float* p = src + r * ld + 4 * q;
      __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
      x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 4 * ld), 1);
      x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 8 * ld), 2);
      w[r] = (Vec<float>)_mm512_insertf32x4(x, _mm_loadu_ps(p + 12 * ld), 3);
    }
    const Vec<double> low0 = (Vec<double>)unpack<0>(w[0], w[1]);
    const Vec<double> high0 = (Vec<double>)unpack<2>(w[0], w[1]);
    const Vec<double> low1 = (Vec<double>)unpack<0>(w[2], w[3]);
    const Vec<double> high1 = (Vec<double>)unpack<2>(w[2], w[3]);
    out[4 * q] = (Vec<float>)unpack<0>(low0, low1);
    out[4 * q + 1] = (Vec<float>)unpack<1>(low0, low1);
    out[4 * q + 2] = (Vec<float>)unpack<0>(high0, high1);
    out[4 * q + 3] = (Vec<float>)unpack<1>(high0, high1);
  }
}
#endif

// Up to `lanes` rows of `cols` elements, src(r, c) = src[r * ld + c], as vectors of
// columns: out[c] holds column c, zero-padded.
template <class T>
FASTNN_INLINE void load_transposed(const T* src, int64_t ld, int rows, int cols,
                                   Vec<T>* out) {
  constexpr int n = lanes<T>;
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    if (rows == n && cols == n) return load_square(src, ld, out);
  }
#endif
  if (rows == n && cols == n) {
#pragma GCC unroll 16
    for (int r = 0; r < n; ++r)
      out[r] = load(src + r * ld);
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < n; ++r)
      out[r] = r < rows ? load_n(src + r * ld, cols) : Vec<T>{};
  }
  transpose<T>(out);
}

template <class T>
FASTNN_INLINE int clip(int64_t left) {
  return left < lanes<T> ? static_cast<int>(left) : lanes<T>;
}

// dst[p * width + j] = b(p, j) for p < k, j < cols; columns up to `width` (a multiple
// of the vector) are zero.
template <class T>
void pack_panel(const T* b, int64_t rsb, int64_t csb, int64_t k, int64_t cols, T* dst,
                int64_t width) {
  constexpr int n = lanes<T>;
  if (csb == 1) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < width; j += n) {
        const int valid = clip<T>(cols - j);
        const T* src = b + p * rsb + j;
        store(dst + p * width + j, valid == n ? load(src) : load_n(src, valid));
      }
    }
  } else if (rsb == 1) {
    for (int64_t j = 0; j < width; j += n) {
      for (int64_t p = 0; p < k; p += n) {
        Vec<T> v[n];
        load_transposed(b + j * csb + p, csb, clip<T>(cols - j), clip<T>(k - p), v);
        for (int q = 0; q < clip<T>(k - p); ++q)
          store(dst + (p + q) * width + j, v[q]);
      }
    }
  } else {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < width; ++j) {
        dst[p * width + j] = j < cols ? b[p * rsb + j * csb] : T(0);
      }
    }
  }
}

// dst[o * ld + i] = src[o * stride + i]
template <class T>
void pack_rows(const T* src, int64_t stride, int64_t outer, int64_t inner, T* dst,
               int64_t ld) {
  for (int64_t o = 0; o < outer; ++o) {
    int64_t i = 0;
    for (; i + lanes<T> <= inner; i += lanes<T>) {
      store(dst + o * ld + i, load(src + o * stride + i));
    }
    for (; i < inner; ++i)
      dst[o * ld + i] = src[o * stride + i];
  }
}

// dst[p * ld + i] = a(i, p); rows <= ld.
template <class T>
void pack_columns(const T* a, int64_t rsa, int64_t csa, int64_t k, int64_t rows, T* dst,
                  int64_t ld) {
  for (int64_t p = 0; p < k; ++p) {
    const T* src = a + p * csa;
    T* to = dst + p * ld;
    if (rsa == 1 && rows <= lanes<T>) {
      const int n = static_cast<int>(rows);
      store_n(to, load_n(src, n), n);
    } else {
      for (int64_t i = 0; i < rows; ++i)
        to[i] = src[i * rsa];
    }
  }
}

FASTNN_END_NAMESPACE
