// SPDX-License-Identifier: Apache-2.0
// Copies that turn a matrix around, in square tiles of registers.
#pragma once

#include "kernels/simd/strided.hpp"

FASTNN_BEGIN_NAMESPACE

// Swaps the blocks of `half` rows and columns off the diagonal of each block of twice
// that; with half = lanes / 2 ... 1 one after the other the tile is transposed.
template <int half, class V, int... i>
FASTNN_INLINE void swap_blocks(V* v, Indices<i...>) {
  constexpr int n = sizeof...(i);
  for (int r = 0; r < n; ++r) {
    if (r & half) continue;
    const V a = v[r], b = v[r + half];
    v[r] = __builtin_shufflevector(a, b, (i & half ? n + i - half : i)...);
    v[r + half] = __builtin_shufflevector(a, b, (i & half ? n + i : i + half)...);
  }
}
template <int half, class V, class L>
FASTNN_INLINE void transpose_tile(V* v, L all) {
  swap_blocks<half>(v, all);
  if constexpr (half > 1) transpose_tile<half / 2>(v, all);
}

// A matrix whose columns lie together in memory: element (r, c) is at
// from + r * sizeof(T) + c * from_stride, and goes to to + r * to_stride + c *
// sizeof(T).
struct Turn {
  const char* from;
  char* to;
  int64_t rows, columns, from_stride, to_stride;
};

// The tile at (r, c), of `rows` x `columns` elements.
template <class T>
FASTNN_INLINE void turn_tile(const Turn& m, int64_t r, int64_t c, int rows,
                             int columns) {
  constexpr int L = lanes<T>;
  const char* from = m.from + r * sizeof(T) + c * m.from_stride;
  char* to = m.to + r * m.to_stride + c * sizeof(T);
  Vec<T> v[L];
  if (rows == L && columns == L) {
    for (int i = 0; i < L; ++i)
      v[i] = load(reinterpret_cast<const T*>(from + i * m.from_stride));
  } else {
    for (int i = 0; i < L; ++i) {
      v[i] = i < columns
                 ? load_n(reinterpret_cast<const T*>(from + i * m.from_stride), rows)
                 : Vec<T>{};
    }
  }
  transpose_tile<L / 2>(v, typename CountTo<L>::type{});
  if (rows == L && columns == L) {
    for (int i = 0; i < L; ++i)
      store(reinterpret_cast<T*>(to + i * m.to_stride), v[i]);
  } else {
    for (int i = 0; i < L; ++i)
      if (i < rows) store_n(reinterpret_cast<T*>(to + i * m.to_stride), v[i], columns);
  }
}

// Rows taken together: the lines that a column of tiles reads are neighbours (four of
// them), and the pages that it writes fit the first TLB. 2048 x 3000 floats: 1.4-1.6
// times torch, 0.8 with blocks of scalar copies; stores past the caches gain nothing.
inline constexpr int64_t kTurnRows = 64;

template <class T>
FASTNN_OUTLINE void turn(const Turn& m) {
  constexpr int64_t L = lanes<T>;
  for (int64_t start = 0; start < m.rows; start += kTurnRows) {
    const int64_t end = m.rows - start < kTurnRows ? m.rows : start + kTurnRows;
    for (int64_t c = 0; c < m.columns; c += L) {
      const int columns = static_cast<int>(m.columns - c < L ? m.columns - c : L);
      for (int64_t r = start; r < end; r += L) {
        const int rows = static_cast<int>(end - r < L ? end - r : L);
        turn_tile<T>(m, r, c, rows, columns);
      }
    }
  }
}

// A few columns are interleaved element by element.
template <class T, int columns>
FASTNN_INLINE void interleave_columns(const Turn& m) {
  const T* from[columns];
  for (int c = 0; c < columns; ++c)
    from[c] = reinterpret_cast<const T*>(m.from + c * m.from_stride);
  for (int64_t r = 0; r < m.rows; ++r) {
    T* to = reinterpret_cast<T*>(m.to + r * m.to_stride);
    for (int c = 0; c < columns; ++c)
      to[c] = from[c][r];
  }
}

template <class T>
FASTNN_OUTLINE void turn_any(const Turn& m) {
  switch (m.columns) {
    case 2:
      return interleave_columns<T, 2>(m);
    case 3:
      return interleave_columns<T, 3>(m);
    case 4:
      return interleave_columns<T, 4>(m);
    default:
      return turn<T>(m);
  }
}

FASTNN_END_NAMESPACE
