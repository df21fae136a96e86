// SPDX-License-Identifier: Apache-2.0
// The one microkernel: C[rows, width vectors] = epilogue(C + A[rows, k] B[k, width]).
// k may be cut in segments between which A jumps: the kernel rows of a convolution.
#pragma once

#include "kernels/gemm/tile.hpp"
#include "shared/pointwise.h"

FASTNN_BEGIN_NAMESPACE

// The lines that the tile will be stored to. A result beyond L2 (784 x 784 gradients)
// would else wait for them at the end of every tile, longer than the tile takes.
template <class T, int NV>
FASTNN_INLINE void fetch_row(const T* c) {
  constexpr int n = lanes<T>, kPerLine = 64 / FASTNN_VECTOR_BYTES;
#pragma GCC unroll 8
  for (int j = 0; j < NV; j += kPerLine)
    __builtin_prefetch(c + j * n, 1, 3);
}
template <class T, int MR, int NV>
FASTNN_INLINE void fetch_result(const Tile<T>& t, const T* first) {
  const int64_t ldc = t.ldc;
  first += t.fetch;
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i)
    fetch_row<T, NV>(first + i * ldc);
}

// `late`: the lines of C are fetched by the last steps.
template <class T, int MR, int NV>
FASTNN_INLINE void begin_tile(const Tile<T>& t, const T* first, Vec<T> (&acc)[MR][NV],
                              bool late = false) {
  constexpr int n = lanes<T>;
  if (t.accumulate) {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
      const T* c = first + i * t.ldc;
#pragma GCC unroll 8
      for (int j = 0; j < NV - 1; ++j)
        acc[i][j] = load(c + j * n);
      acc[i][NV - 1] = load_n(c + (NV - 1) * n, t.tail);
    }
    if (t.fetch && !late) fetch_result<T, MR, NV>(t, first);
  } else {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j)
        acc[i][j] = Vec<T>{};
    }
    if (!late) fetch_result<T, MR, NV>(t, first);
  }
}

template <class T, int MR, int NV>
FASTNN_INLINE void end_tile(const Tile<T>& t, T* first, const T* first_y,
                            Vec<T> (&acc)[MR][NV]) {
  constexpr int n = lanes<T>;
  // Read before the stores, which might change them for all the compiler knows.
  const int64_t ldc = t.ldc;
  const int tail = t.tail;
  if (t.bias) {
    Vec<T> bias[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j)
      bias[j] = load(t.bias + j * n);
    bias[NV - 1] = load_n(t.bias + (NV - 1) * n, t.tail);
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j)
        acc[i][j] += bias[j];
    }
  }
  if (t.relu) {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j)
        acc[i][j] = Relu{}(acc[i][j]);
    }
  }
  if (first_y) {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
      const T* y = first_y + i * t.ldy;
#pragma GCC unroll 8
      for (int j = 0; j < NV - 1; ++j)
        acc[i][j] = ReluGrad{}(acc[i][j], load(y + j * n));
      acc[i][NV - 1] = ReluGrad{}(acc[i][NV - 1], load_n(y + (NV - 1) * n, t.tail));
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
    T* c = first + i * ldc;
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j)
      store(c + j * n, acc[i][j]);
    if (kMaskedLoads || tail != n) {
      store_n(c + (NV - 1) * n, acc[i][NV - 1], tail);
    } else {
      store(c + (NV - 1) * n, acc[i][NV - 1]);
    }
  }
}

// Where a tile reads at one k.
template <class T>
struct At {
  const T *a, *b, *soon, *ahead, *row;
  T* copy;
};

template <Source kSource>
inline constexpr bool kIsPanel = kSource == kPanel || kSource == kStream;

// One step of k: NV vectors of B, MR broadcasts of A.
template <class T, int MR, int NV, Source kSource>
FASTNN_INLINE void step(const Tile<T>& t, int64_t ldb, At<T>& at,
                        Vec<T> (&acc)[MR][NV]) {
  constexpr int n = lanes<T>;
  Vec<T> bv[NV];
#pragma GCC unroll 8
  for (int j = 0; j < NV; ++j) {
    bv[j] = !kIsPanel<kSource> && j == NV - 1 && kMaskedLoads
                ? load_n(at.b + j * n, t.tail)
                : load(at.b + j * n);
  }
  if constexpr (!kIsPanel<kSource>) {
    // Every line that the row touches; unaligned, it ends in one more.
    constexpr int kPerLine = 64 / FASTNN_VECTOR_BYTES;
#pragma GCC unroll 8
    for (int j = 0; j < NV; j += kPerLine)
      __builtin_prefetch(at.soon + j * n);
    __builtin_prefetch(at.soon + NV * n - 1);
    at.soon += ldb;
  }
  if constexpr (kSource == kCopy) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      store(at.copy + j * n, bv[j]);
    at.copy += NV * n;
  }
  if constexpr (kSource == kStream) {
    constexpr int kPerLine = 64 / FASTNN_VECTOR_BYTES;
#pragma GCC unroll 8
    for (int j = 0; j < NV; j += kPerLine)
      __builtin_prefetch(at.b + (kAheadRows * NV + j) * n);
  }
  if constexpr (kSource == kPanel) {
    __builtin_prefetch(at.ahead, 0, 2);
    at.ahead += t.ahead_step;
  }
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
    const T x = at.a[i * t.rsa];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      acc[i][j] += x * bv[j];
  }
  at.a += t.csa;
  at.b += ldb;
}

// kAheadSteps of them, and the lines to fetch into L2.
template <class T, int MR, int NV, Source kSource>
FASTNN_INLINE void steps(const Tile<T>& t, int64_t ldb, At<T>& at,
                         Vec<T> (&acc)[MR][NV]) {
#pragma GCC unroll 8
  for (int q = 0; q < kAheadSteps; ++q) {
    step<T, MR, NV, kSource>(t, ldb, at, acc);
    // Else GCC keeps the sums of all strides, in memory.
    __asm__("" : "+r"(at.a), "+r"(at.b), "+r"(at.soon));
  }
  __builtin_prefetch(at.ahead, 0, 2);
  if constexpr (kSource == kStream) {
    __builtin_prefetch(at.row, 0, 2);
    at.row += kAheadSteps;
  } else {
    __builtin_prefetch(at.ahead + t.ahead_pair, 0, 2);
  }
  at.ahead += t.ahead_step;
}

// One tile: MR x NV accumulators live in registers.
template <class T, int MR, int NV, Source kSource>
FASTNN_INLINE void run_tile(const Tile<T>& t, const T* a, T* c, const T* y) {
  Vec<T> acc[MR][NV];
  // The lines of C come one by one between the last steps: all at once they take the
  // buffers between L1 and L2, for which B waits (512^3 3 % longer).
  const bool late = kSource == kStream && t.late;
  begin_tile(t, c, acc, late);
  At<T> at = {nullptr, t.b, t.b + kAheadRows * t.ldb, t.ahead, t.row, t.copy};
  const int64_t ldb = kIsPanel<kSource> ? NV * lanes<T> : t.ldb;
  for (int64_t s = 0; s < t.segments; ++s) {
    at.a = a + t.jump[s];
    int64_t p = t.k;
    if constexpr (kSource == kAhead || kSource == kStream) {
      // Unrolled, not counted: the CPU guesses the end of an inner loop wrong.
      const int64_t kept = late ? MR * kAheadSteps : 0;
      for (; p >= kAheadSteps + kept; p -= kAheadSteps)
        steps<T, MR, NV, kSource>(t, ldb, at, acc);
      if constexpr (kSource == kStream) {
        const T* result = c + t.fetch;
        for (; p >= kAheadSteps; p -= kAheadSteps) {
          steps<T, MR, NV, kSource>(t, ldb, at, acc);
          fetch_row<T, NV>(result);
          result += t.ldc;
        }
      }
    }
    for (; p > 0; --p)
      step<T, MR, NV, kSource>(t, ldb, at, acc);
  }
  end_tile(t, c, y, acc);
}

// Tiles one below the other.
template <class T, int MR, int NV, Source kSource>
void ukr(const Tile<T>& t) {
  const T *a = t.a, *y = t.y;
  T* c = t.c;
  for (int64_t left = t.count;;) {
    run_tile<T, MR, NV, kSource>(t, a, c, y);
    if (--left <= 0) return;
    a += t.below ? t.below : MR * t.rsa, c += MR * t.ldc;
    if (y) y += MR * t.ldy;
    // Else GCC keeps the addresses of all rows from one tile to the next, in memory.
    __asm__("" : : : "memory");
  }
}

// Tiles of less usual sizes have no kernel of their own for these sources.
template <int MR, int NV>
constexpr Source usual(Source source, Source other) {
  const bool wide = source == kStream && NV > kMainWidth + 1;
  return MR * NV < kAheadSums || wide ? other : source;
}

template <class T, int NV, int... MR>
constexpr void fill_rows(TileTable<T>& table, Ints<MR...>) {
  ((table.fn[kInPlace][NV][MR] = ukr<T, MR, NV, kInPlace>), ...);
  ((table.fn[kPanel][NV][MR] = ukr<T, MR, NV, kPanel>), ...);
  ((table.fn[kCopy][NV][MR] = ukr<T, MR, NV, kCopy>), ...);
  ((table.fn[kAhead][NV][MR] = ukr<T, MR, NV, usual<MR, NV>(kAhead, kInPlace)>), ...);
  ((table.fn[kStream][NV][MR] = ukr<T, MR, NV, usual<MR, NV>(kStream, kPanel)>), ...);
}
template <class T, int... NV>
constexpr void fill_widths(TileTable<T>& table, Ints<NV...>) {
  (fill_rows<T, NV>(table, typename Upto<kTileRows[NV]>::Type{}), ...);
}
template <class T>
constexpr TileTable<T> filled_table() {
  TileTable<T> table = {};
  fill_widths<T>(table, typename Upto<kMaxWidth>::Type{});
  return table;
}

FASTNN_END_NAMESPACE
