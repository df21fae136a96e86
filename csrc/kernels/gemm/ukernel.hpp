// SPDX-License-Identifier: Apache-2.0
// The one microkernel: C[rows, width vectors] = epilogue(C + A[rows, k] B[k, width]).
#pragma once

#include "kernels/gemm/tiles.hpp"
#include "kernels/simd/vec.hpp"
#include "shared/pointwise.h"

FASTNN_BEGIN_NAMESPACE

template <class T>
struct Tile {
  int64_t k;
  const T* a;  // element (i, p) at a[i * rsa + p * csa]: any strides
  int64_t rsa, csa;
  const T* b;  // element (p, j) at b[p * ldb + j]
  int64_t ldb;
  T* c;
  int64_t ldc;
  const T* bias;  // added before the activation; nullptr: none
  // Fetched during the k loop, `ahead_step` elements further each k: the coming rows of
  // B (in place), or one line per row of the next panel (packed).
  const T* ahead;
  int64_t ahead_step;
  int tail;         // columns of the last vector, 1..lanes
  bool accumulate;  // start from C instead of 0
  bool relu;
};

// MR x NV accumulators live in registers; per k: NV vectors of B, MR broadcasts of A.
// kPacked: `ahead` is one line for L2, not NV vectors for L1.
template <class T, int MR, int NV, bool kPacked>
void ukr(const Tile<T>& t) {
  using V = Vec<T>;
  constexpr int n = lanes<T>;
  const int tail = t.tail;
  V acc[MR][NV];
  T* const c = t.c;
  const int64_t ldc = t.ldc;
  if (t.accumulate) {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV - 1; ++j) acc[i][j] = load(c + i * ldc + j * n);
      acc[i][NV - 1] = load_n(c + i * ldc + (NV - 1) * n, tail);
    }
  } else {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) {
        acc[i][j] = V{};
        __builtin_prefetch(c + i * ldc + j * n, 1);
      }
    }
  }
  const T* a = t.a;
  const T* b = t.b;
  const T* ahead = t.ahead;
  const int64_t rsa = t.rsa, csa = t.csa, ldb = t.ldb, ahead_step = t.ahead_step;
  for (int64_t p = t.k; p > 0; --p) {
    V bv[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j) bv[j] = load(b + j * n);
    if constexpr (kMaskedLoads) {
      bv[NV - 1] = load_n(b + (NV - 1) * n, tail);
    } else {
      bv[NV - 1] = load(b + (NV - 1) * n);
    }
    if constexpr (kPacked) {
      __builtin_prefetch(ahead, 0, 2);
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) __builtin_prefetch(ahead + j * n);
    }
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
      const T s = a[i * rsa];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) acc[i][j] += s * bv[j];
    }
    a += csa;
    b += ldb;
    ahead += ahead_step;
  }
  if (t.bias) {
    V bias[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j) bias[j] = load(t.bias + j * n);
    bias[NV - 1] = load_n(t.bias + (NV - 1) * n, tail);
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) acc[i][j] += bias[j];
    }
  }
  if (t.relu) {
#pragma GCC unroll 32
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) acc[i][j] = Relu{}(acc[i][j]);
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j) store(c + i * ldc + j * n, acc[i][j]);
    if (tail == n) {
      store(c + i * ldc + (NV - 1) * n, acc[i][NV - 1]);
    } else {
      store_n(c + i * ldc + (NV - 1) * n, acc[i][NV - 1], tail);
    }
  }
}

template <class T>
using TileFn = void (*)(const Tile<T>&);

template <int... I>
struct Ints {};
template <int N, int... I>
struct Upto : Upto<N - 1, N, I...> {};
template <int... I>
struct Upto<0, I...> {
  using Type = Ints<I...>;  // 1..N
};

template <class T>
struct TileTable {
  TileFn<T> fn[kMaxWidth + 1][kTileRows[1] + 1] = {};

  template <int NV, int... MR>
  constexpr void fill_rows(Ints<MR...>) {
    ((fn[NV][MR] = ukr<T, MR, NV, false>), ...);
  }
  template <int... NV>
  constexpr void fill(Ints<NV...>) {
    (fill_rows<NV>(typename Upto<kTileRows[NV]>::Type{}), ...);
  }
  constexpr TileTable() { fill(typename Upto<kMaxWidth>::Type{}); }
};
template <class T>
inline constexpr TileTable<T> kTileTable;

FASTNN_END_NAMESPACE
