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

FASTNN_INLINE void fetch_line(const void* p) { __builtin_prefetch(p, 0, 2); }

template <class T>
struct Steps {
  const T* data;
  int64_t row, time, column;  // strides

  FASTNN_INLINE const T* at(const UnitsAt& where, int64_t first) const {
    return data + where.row * row + where.time * time + (first + where.j) * column;
  }
  FASTNN_INLINE Vec<T> load(const UnitsAt& where, int64_t first = 0) const {
    const T* p = at(where, first);
    if (column == 1) return load_part(p, where.count);
    if (column == 0) return splat<Vec<T>>(*p);
    Vec<T> v = {};
    for (int i = 0; i < where.count; ++i)
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

// Of a panel, kept in L1 beside rows of A and C.
inline constexpr int64_t kPanelBytes = 16 * 1024;

FASTNN_INLINE int64_t round_up(int64_t n, int64_t unit) {
  return ceil_div(n, unit) * unit;
}

// A[rows, k] B[k, columns] for a B that is packed once and read at every step, in
// panels of `width` vectors.
template <class T>
struct PackedProduct {
  const T* panels;
  int64_t k;
  int width;
  int64_t count;  // of panels

  FASTNN_INLINE int64_t columns() const { return width * lanes<T>; }

  // So many of k at a time: a block of a long panel stays in L1 for all tiles of rows,
  // where L2 would give the whole panel to each tile anew (256 units: 28 -> 26.7 ms for
  // 32 x 100 steps; 128 units lose 5 %).
  FASTNN_INLINE int64_t block() const {
    const int64_t bytes = columns() * int64_t{sizeof(T)};
    return k * bytes <= 2 * kPanelBytes ? k : kPanelBytes / bytes;
  }

  // One tile: rows of A from `begin` on times block k0 of a panel, added to C unless it
  // is the first. The lines of the panel after it come into L2 meanwhile, which does
  // not hold large kernels.
  FASTNN_INLINE void multiply(Tile<T>& t, int64_t panel, int64_t k0, int64_t index,
                              int64_t rows) const {
    const int64_t next = panel + 1 < count ? panel + 1 : 0;
    t.k = min_of(block(), k - k0);
    t.b = panels + (panel * k + k0) * columns();
    t.ahead = panels + (next * k + k0) * columns() + index % width * lanes<T>;
    t.ahead_step = columns();
    tile_table<T>().fn[kPanel][width][rows](t);
  }

  // Panels `first` .. first + parts times A, each into rows of C of its own, `step`
  // apart; f(row, rows) follows for rows that are complete.
  template <class F>
  FASTNN_INLINE void run(int64_t first, int parts, const T* a, int64_t lda,
                         int64_t rows, T* c, int64_t ldc, int64_t step, bool accumulate,
                         F f) const {
    Tile<T> t = {};
    t.rsa = lda, t.csa = 1;
    t.segments = 1, t.jump = &kNoJump;
    t.ldc = ldc;
    t.tail = lanes<T>;
    const int64_t tiles = ceil_div(rows, kTileRows[width]);
    for (int64_t k0 = 0; k0 < k; k0 += block()) {
      t.accumulate = accumulate || k0 > 0;
      for (int64_t s = 0, begin = 0; s < tiles; ++s) {
        const int64_t height = divide(rows + s, tiles);
        t.a = a + begin * lda + k0;
        for (int i = 0; i < parts; ++i) {
          t.c = c + i * step + begin * ldc;
          multiply(t, first + i, k0, s, height);
        }
        if (k0 + block() >= k) f(begin, height);
        begin += height;
      }
    }
  }
};

// The widest panel of 1, 2, ... vectors that divides `vectors` and keeps most sums in
// registers.
constexpr int dividing_width(int vectors) {
  int best = 1;
  for (int w = 2; w <= vectors && w <= kMaxWidth; ++w) {
    if (vectors % w == 0 && kTileRows[w] * w >= kTileRows[best] * best) best = w;
  }
  return best;
}

// Vectors per panel for `vectors` in all: few to fill up, many sums in registers.
FASTNN_INLINE int panel_width_for(int64_t vectors) {
  int best = kMainWidth;
  for (int w = 2; w <= kMainWidth + 1; ++w) {
    if (kTileRows[w] * w < kTileRows[kMainWidth] * kMainWidth) continue;
    if (round_up(vectors, w) < round_up(vectors, best)) best = w;
  }
  return best;
}

FASTNN_END_NAMESPACE
