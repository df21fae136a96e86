// SPDX-License-Identifier: Apache-2.0
// Tiles one row taller than compilers keep in registers: 7 x 4 vectors with AVX-512,
// whose fourth vector of B comes from L1 with every multiply-add, so that 28 sums,
// three vectors of B and a broadcast are the 32 registers. Rows of 7, 14, 28 or 56
// outputs are whole tiles, and B is read less often. In ms, before and after (Cascade
// Lake): 128 -> 128 channels, 14 x 14, 3.50, 3.38; 64 -> 64 with stride 2 0.87, 0.83;
// at 7 x 7 0.23, 0.21.
#pragma once

#include "kernels/gemm/ukernel.hpp"

FASTNN_BEGIN_NAMESPACE

#if FASTNN_VECTOR_BYTES == 64 && defined(__x86_64__)
inline constexpr int kTallWidth = 4, kTallRows = kTileRows[kTallWidth] + 1;

// sum += a * b, here and now: left to itself, GCC keeps a sum of the flat form in
// memory.
template <class T>
FASTNN_INLINE void add_in_place(Vec<T>& sum, Vec<T> a, Vec<T> b) {
  if constexpr (sizeof(T) == sizeof(float)) {
    asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  } else {
    asm volatile("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
}
// The same with b[0 .. lanes) in memory.
template <class T>
FASTNN_INLINE void add_from_memory(Vec<T>& sum, Vec<T> a, const T* b) {
  struct Line {
    T v[lanes<T>];
  };
  const Line& line = *reinterpret_cast<const Line*>(b);
  if constexpr (sizeof(T) == sizeof(float)) {
    asm volatile("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "m"(line));
  } else {
    asm volatile("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(a), "m"(line));
  }
}

// B is a packed panel of full width, which is fetched ahead from L2 into L1. The flat
// form (flat.hpp) has a short B, and results whose rows follow one another: it fetches
// a line of these per step, where all of a tile's at its begin hold it up (1 -> 64,
// 7x7: 1.16 ms instead of 1.25).
template <class T, bool flat>
void tall_tile(const Tile<T>& t) {
  constexpr int n = lanes<T>, MR = kTallRows, NV = kTallWidth;
  const T *a = t.a, *y = t.y;
  T* c = t.c;
  for (int64_t left = t.count;;) {
    Vec<T> acc[MR][NV] = {};
    if constexpr (!flat) begin_tile(t, c, acc);
    const T *b = t.b, *soon = c + t.fetch;
    const int64_t rsa = t.rsa, *jump = t.jump, *const end = jump + t.segments;
    for (; jump < end; ++jump) {
      const T* at = a + *jump;
      for (int64_t p = flat ? 1 : t.k; p > 0; --p, ++at, b += NV * n) {
        Vec<T> bv[NV - 1];
#pragma GCC unroll 8
        for (int j = 0; j < NV - 1; ++j)
          bv[j] = load(b + j * n);
        if constexpr (flat) {
          __builtin_prefetch(soon, 1, 3);
          soon += n;
        } else {
#pragma GCC unroll 8
          for (int j = 0; j < NV; ++j)
            __builtin_prefetch(b + (kAheadRows * NV + j) * n);
        }
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
          const Vec<T> x = splat<Vec<T>>(at[i * rsa]);
#pragma GCC unroll 8
          for (int j = 0; j < NV - 1; ++j)
            add_in_place<T>(acc[i][j], x, bv[j]);
          add_from_memory<T>(acc[i][NV - 1], x, b + (NV - 1) * n);
        }
      }
    }
    end_tile(t, c, y, acc);
    if (--left <= 0) return;
    a += MR * rsa, c += MR * t.ldc;
    if (y) y += MR * t.ldy;
    __asm__("" : : : "memory");  // as in ukr
  }
}
#else
inline constexpr int kTallWidth = 0, kTallRows = 0;
template <class T, bool flat>
void tall_tile(const Tile<T>&) {}
#endif

// The tallest tile over a packed panel of so many vectors.
FASTNN_INLINE int64_t tallest(int64_t width) {
  return width == kTallWidth ? kTallRows : kTileRows[width];
}

FASTNN_END_NAMESPACE
