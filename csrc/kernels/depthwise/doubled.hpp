// SPDX-License-Identifier: Apache-2.0
// The input gradient of 3 x 3 filters of stride 2: every pixel of dy and its neighbours
// before give four pixels of dx, of which each is a sum of another part of the filter.
//
//   (even, even)  w02 dy[o][j-1] + w00 dy[o][j] + w22 dy[o-1][j-1] + w20 dy[o-1][j]
//   (even, odd)   w01 dy[o][j]   + w21 dy[o-1][j]
//   (odd, even)   w12 dy[o][j-1] + w10 dy[o][j]
//   (odd, odd)    w11 dy[o][j]
//
// where rows and columns are counted with the pads in front. Sums have the order that
// the general loop gives them: a pair of lines may be cut by a part's end.
#pragma once

#include "kernels/depthwise/three.hpp"

FASTNN_BEGIN_NAMESPACE
namespace depthwise {

template <class T>
struct Doubled {
  const T* dy;  // row o, the column before the first
  const T* w;
  T* dx;  // the first pixel
  int64_t dy_row, dx_row, channels, count;
  int64_t ahead;  // from what is written to what is fetched for the next lines
};

template <class T>
FASTNN_INLINE void doubled_vector(const Doubled<T>& p, int64_t at, int n) {
  using V = Vec<T>;
  const int64_t channels = p.channels;
  V w[3][3];
#pragma GCC unroll 9
  for (int k = 0; k < 9; ++k)
    w[k / 3][k % 3] = load_part(p.w + k * channels + at, n);
  const T *here = p.dy + at, *dy_soon = p.dy + p.dy_row + at * p.count;
  T* dx = p.dx + at;
  const T* soon = p.dx + p.ahead + 2 * at * p.count;
  V left = load_part(here, n), above_left = load_part(here - p.dy_row, n);
  const auto put = [&](int64_t to, int line, V v) FASTNN_LAMBDA_INLINE {
    store_part(dx + to, v, n);
    prefetch_to_write(soon + line * lanes<T>);
  };
  for (int64_t j = 0; j < p.count; ++j) {
    here = next(here, channels);
    const V v = in_register(load_part(here, n));
    const V above = in_register(load_part(here - p.dy_row, n));
    prefetch_second(dy_soon);
    V even = add_product(V{}, w[0][2], left);
    even = add_product(even, w[0][0], v);
    even = add_product(even, w[2][2], above_left);
    put(0, 0, add_product(even, w[2][0], above));
    put(channels, 1, add_product(add_product(V{}, w[0][1], v), w[2][1], above));
    soon += p.dx_row;
    put(p.dx_row, 0, add_product(add_product(V{}, w[1][2], left), w[1][0], v));
    put(p.dx_row + channels, 1, add_product(V{}, w[1][1], v));
    soon += 2 * lanes<T> - p.dx_row;
    left = v, above_left = above;
    dx = next(dx, 2 * channels), dy_soon = next(dy_soon, lanes<T>);
  }
}

template <class T>
FASTNN_OUTLINE void run_doubled(const Doubled<T>& p) {
  for_vectors<T>({0, p.channels}, [&](int64_t at, int n) FASTNN_LAMBDA_INLINE {
    doubled_vector(p, at, n);
  });
}

// Outputs of the general loop that lie outside of [first, end), columns of a line of
// which a phase has every second.
template <class T>
FASTNN_INLINE void run_outside(const Line<T>& line, const Columns& c, const Rows& rows,
                               int64_t first, int64_t end) {
  const int64_t from = (first - line.phase + 1) / 2, to = (end - line.phase + 1) / 2;
  for (int64_t i = 0; i < c.segment_count; ++i) {
    Segment s = c.segments[i];
    const Range all = s.outputs;
    s.outputs.end = all.end < from ? all.end : from;
    if (s.outputs.begin < s.outputs.end) run_any<Convolve>(line, c, s, rows);
    s.outputs = {all.begin > to ? all.begin : to, all.end};
    if (s.outputs.begin < s.outputs.end) run_any<Convolve>(line, c, s, rows);
  }
}

}  // namespace depthwise
FASTNN_END_NAMESPACE
