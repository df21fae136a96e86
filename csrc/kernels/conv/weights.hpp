// SPDX-License-Identifier: Apache-2.0
// Kernels as the right-hand side of a product: panels of columns, packed once per call.
#pragma once

#include "kernels/conv/geometry.hpp"
#include "kernels/conv/tall.hpp"

FASTNN_BEGIN_NAMESPACE

// Element (tap, i, j) of the right-hand side is data[tap . axis + i * row + j * col]:
// i is summed over, j counts columns of the result.
template <class T>
struct Weights {
  const T* data;
  int64_t axis[kAxes];
  int64_t row, col;
  int64_t rows, cols;  // of one tap
};

// Cycles of a panel of `width` vectors over `rows` rows per step of k: two
// multiply-adds and two loads per cycle, four cycles until a sum can be added to, half
// a line of a panel per cycle from L2, and a little for every load: for 64 -> 64
// channels, tiles of 6 x 4 vectors give 138 GFLOP/s, of 12 x 2 128, of 8 x 3 and x 1
// 120 (Cascade Lake).
FASTNN_INLINE double panel_cycles(int64_t rows, int64_t width, bool packed) {
  const int64_t tiles = ceil_div(rows, packed ? tallest(width) : kTileRows[width]);
  const double height = static_cast<double>(rows) / static_cast<double>(tiles);
  const double w = static_cast<double>(width);
  double cycles = 4;
  const auto at_least = [&](double c) { cycles = c > cycles ? c : cycles; };
  at_least(0.5 * height * w);
  at_least(0.5 * (height + w) + 0.5);
  at_least(w * (2.0 * FASTNN_VECTOR_BYTES / 64));
  return (cycles + 0.1 * (height + w)) * static_cast<double>(tiles);
}

// The width of full panels, in vectors, for runs of `rows` rows, and what they take.
struct Panelling {
  int width;
  double cycles;
};
template <class T>
Panelling best_panels(int64_t rows, int64_t cols, bool packed = false) {
  const int64_t vectors = ceil_div(cols, lanes<T>);
  Panelling best = {1, 0};
  for (int w = 1; w <= kMainWidth + 1; ++w) {
    const int64_t full = vectors / w, rest = vectors % w;
    double cycles = panel_cycles(rows, w, packed) * static_cast<double>(full);
    if (rest) cycles += panel_cycles(rows, rest, packed);
    if (w == 1 || cycles < best.cycles) best = {w, cycles};
  }
  return best;
}
template <class T>
int best_width(int64_t rows, int64_t cols, bool packed = false) {
  return best_panels<T>(rows, cols, packed).width;
}

FASTNN_INLINE int64_t taps_of(const Axis* axis) {
  return axis[0].taps * axis[1].taps * axis[2].taps;
}

// f(tap, offset of its first element) for every tap of a pass, in the order of the sum.
template <class T, class F>
FASTNN_INLINE void for_taps(const Weights<T>& w, const Axis* axis, F f) {
  int64_t tap = 0;
  for (int64_t d = 0; d < axis[0].taps; ++d) {
    for (int64_t h = 0; h < axis[1].taps; ++h) {
      for (int64_t i = 0; i < axis[2].taps; ++i) {
        const int64_t at[kAxes] = {d, h, i};
        int64_t offset = 0;
        for (int a = 0; a < kAxes; ++a)
          offset += (axis[a].kernel_first + at[a] * axis[a].kernel_step) * w.axis[a];
        f(tap++, offset);
      }
    }
  }
}

template <class T>
FASTNN_INLINE int64_t padded_columns(int64_t cols) {
  return ceil_div(cols, lanes<T>) * lanes<T>;
}

// The columns `cols` of some taps of a pass, `ld` apart.
template <class T>
void pack_taps(const Weights<T>& w, const Axis* axis, Range taps, Range cols, T* dst,
               int64_t ld) {
  for_taps(w, axis, [&](int64_t tap, int64_t offset) {
    if (tap < taps.begin || tap >= taps.end) return;
    pack_panel(w.data + offset + cols.begin * w.col, w.row, w.col, w.rows,
               cols.end - cols.begin, dst + (tap - taps.begin) * w.rows * ld, ld);
  });
}

// All panels of a pass, one after the other: columns `cols` in panels of `width`.
template <class T>
T* pack_weights(const Weights<T>& w, const Axis* axis, Range cols, int width, T* dst) {
  const int64_t step = int64_t{width} * lanes<T>;
  for (int64_t j = cols.begin; j < cols.end; j += step) {
    const int64_t valid = min_of(step, cols.end - j), ld = padded_columns<T>(valid);
    pack_taps(w, axis, {0, taps_of(axis)}, {j, j + valid}, dst, ld);
    dst += taps_of(axis) * w.rows * ld;
  }
  return dst;
}

// Whether the taps of a whole kernel in forward order are one matrix of `row` strides.
template <class T>
bool is_matrix(const Weights<T>& w, const int64_t* kernel) {
  int64_t expect = w.row * w.rows;
  for (int a = kAxes - 1; a >= 0; --a) {
    if (kernel[a] != 1 && w.axis[a] != expect) return false;
    expect *= kernel[a];
  }
  return w.col == 1 || w.cols == 1;
}

FASTNN_END_NAMESPACE
