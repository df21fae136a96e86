// SPDX-License-Identifier: Apache-2.0
// Tiles of short sums whose rows of taps are shorter still, as first layers have them:
// one loop over all elements of k, each with an offset of its own. A loop inside a loop
// over rows of taps is left once per row, 11 cycles each: 3 -> 64 channels, 3 x 3, take
// 0.27 ms instead of 0.28.
#pragma once

#include "kernels/gemm/ukernel.hpp"

FASTNN_BEGIN_NAMESPACE

// Tile::jump has an offset per element of k; B is a packed panel.
template <class T, int MR, int NV>
void flat_tile(const Tile<T>& t) {
  constexpr int n = lanes<T>;
  const T *a = t.a, *y = t.y;
  T* c = t.c;
  for (int64_t left = t.count;;) {
    Vec<T> acc[MR][NV];
    begin_tile(t, c, acc);
    const T* b = t.b;
    const int64_t* const jump = t.jump;
    const int64_t k = t.segments, rsa = t.rsa;
    for (int64_t p = 0; p < k; ++p) {
      const T* at = a + jump[p];
      Vec<T> bv[NV];
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j)
        bv[j] = load(b + j * n);
#pragma GCC unroll 32
      for (int i = 0; i < MR; ++i) {
        const T x = at[i * rsa];
#pragma GCC unroll 8
        for (int j = 0; j < NV; ++j)
          acc[i][j] += x * bv[j];
      }
      b += NV * n;
    }
    end_tile(t, c, y, acc);
    if (--left <= 0) return;
    a += MR * rsa, c += MR * t.ldc;
    if (y) y += MR * t.ldy;
    __asm__("" : : : "memory");  // as in ukr
  }
}

// Of the widths that first layers have: half a tile's width of columns, or more.
template <class T>
struct FlatTable {
  TileFn<T> fn[5][kTileRows[2] + 1];
};
template <class T, int NV, int... MR>
constexpr void fill_flat(FlatTable<T>& table, Ints<MR...>) {
  ((table.fn[NV][MR] = flat_tile<T, MR, NV>), ...);
}
template <class T>
constexpr FlatTable<T> filled_flat_table() {
  FlatTable<T> table = {};
  fill_flat<T, 2>(table, typename Upto<kTileRows[2]>::Type{});
  fill_flat<T, 4>(table, typename Upto<kTileRows[4]>::Type{});
  return table;
}
template <class T>
inline constexpr FlatTable<T> kFlatTiles = filled_flat_table<T>();

FASTNN_INLINE bool has_flat_tiles(int64_t width) { return width == 2 || width == 4; }

FASTNN_END_NAMESPACE
