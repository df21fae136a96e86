// SPDX-License-Identifier: Apache-2.0
// Copies of operands into scratch, for the strides that the microkernel cannot read
// and for the sizes where a contiguous copy pays.
#pragma once

#include "kernels/gemm/ukernel.hpp"

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

// Up to `lanes` rows of `cols` elements, src(r, c) = src[r * ld + c], as vectors of
// columns: out[c] holds column c, zero-padded.
template <class T>
FASTNN_INLINE void load_transposed(const T* src, int64_t ld, int rows, int cols,
                                   Vec<T>* out) {
  constexpr int n = lanes<T>;
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
