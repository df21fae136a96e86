// SPDX-License-Identifier: Apache-2.0
// Sequences (batch, time, columns) of any strides by vectors of columns, and the
// weights of the recurrent product in the order in which the microkernel reads them.
#pragma once

#include "kernels/gemm/pack.hpp"
#include "kernels/gemm/plan.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"

FASTNN_BEGIN_NAMESPACE

// Where a vector of columns lies: of `count` elements from column j on.
struct UnitsAt {
  int64_t row, time, j;
  int count;
};

template <class T>
struct Steps {
  const T* data;
  int64_t row, time, column;  // strides

  FASTNN_INLINE Vec<T> load(const UnitsAt& at, int64_t first = 0) const {
    const T* p = data + at.row * row + at.time * time + (first + at.j) * column;
    if (column == 1) return load_part(p, at.count);
    if (column == 0) return splat<Vec<T>>(*p);
    Vec<T> v = {};
    for (int i = 0; i < at.count; ++i)
      v[i] = p[i * column];
    return v;
  }
};

// A sequence, or a state (batch, columns): the same at all times.
template <class T>
Steps<T> steps_of(const TensorView& x) {
  const int last = x.ndim - 1;
  return {x.ptr<const T>(), x.stride[0], x.ndim == 3 ? x.stride[1] : 0, x.stride[last]};
}

struct Mask {
  const uint8_t* data;  // nullptr: everything counts
  int64_t row, time;

  FASTNN_INLINE bool keeps(int64_t r, int64_t t) const {
    return !data || data[r * row + t * time];
  }
};

FASTNN_INLINE Mask mask_of(const TensorView& x, bool masked) {
  return {masked ? x.ptr<const uint8_t>() : nullptr, x.stride[0], x.stride[1]};
}

// The steps in the order in which they are walked.
struct Order {
  int64_t count;
  bool reverse;

  FASTNN_INLINE int64_t at(int64_t step) const {
    return reverse ? count - 1 - step : step;
  }
};

FASTNN_INLINE int64_t round_up(int64_t n, int64_t unit) {
  return ceil_div(n, unit) * unit;
}

// A[rows, k] B[k, columns] for a B that is packed once and read at every step, in
// panels of `width` vectors.
template <class T, int width>
struct PackedProduct {
  static constexpr int64_t kColumns = width * lanes<T>;
  const T* panels;
  int64_t k;

  FASTNN_INLINE Tile<T> tile(const T* a, int64_t lda, int64_t ldc) const {
    Tile<T> t = {};
    t.k = k;
    t.a = a, t.rsa = lda, t.csa = 1;
    t.segments = 1, t.jump = &kNoJump;
    t.ldc = ldc;
    t.tail = lanes<T>;
    return t;
  }
  FASTNN_INLINE void multiply(Tile<T>& t, int64_t panel, int64_t rows) const {
    t.b = t.ahead = panels + panel * k * kColumns;
    tile_table<T>().fn[kPanel][width][rows](t);
  }

  // Panels `first` .. first + count times tiles of the rows of A, each into a tile of
  // its own in `sums`, `step` apart; f(row, rows) follows when they are there.
  template <class F>
  FASTNN_INLINE void run(int64_t first, int count, const T* a, int64_t lda,
                         int64_t rows, T* sums, int64_t step, F f) const {
    Tile<T> t = tile(a, lda, kColumns);
    const int64_t tiles = ceil_div(rows, kTileRows[width]);
    for (int64_t s = 0, begin = 0; s < tiles; ++s) {
      const int64_t height = divide(rows + s, tiles);
      for (int i = 0; i < count; ++i) {
        t.c = sums + i * step;
        multiply(t, first + i, height);
      }
      f(begin, height);
      t.a += height * lda;
      begin += height;
    }
  }

  // C += A times a panel.
  FASTNN_INLINE void add(int64_t panel, const T* a, int64_t lda, int64_t rows, T* c,
                         int64_t ldc) const {
    Tile<T> t = tile(a, lda, ldc);
    t.accumulate = true;
    t.c = c;
    const int64_t tiles = ceil_div(rows, kTileRows[width]);
    for (int64_t s = 0; s < tiles; ++s) {
      const int64_t height = divide(rows + s, tiles);
      multiply(t, panel, height);
      t.a += height * lda, t.c += height * ldc;
    }
  }
};

// The widest panel of 1, 2, ... vectors that divides `vectors` and keeps most sums in
// registers.
constexpr int panel_vectors(int vectors) {
  int best = 1;
  for (int w = 2; w <= vectors && w <= kMaxWidth; ++w) {
    if (vectors % w == 0 && kTileRows[w] * w >= kTileRows[best] * best) best = w;
  }
  return best;
}

FASTNN_END_NAMESPACE
