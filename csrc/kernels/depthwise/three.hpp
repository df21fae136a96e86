// SPDX-License-Identifier: Apache-2.0
// Depthwise filters of 3 x 3 without dilation, the common ones, away from the borders.
//
// The nine weights of a vector of channels stay in registers along a whole line. Every
// column of the input is loaded once and goes to all windows over it, of several lines
// of outputs at once: 5 loads for 27 multiply-adds where the general loop takes 13. The
// order of additions is that of columns, then rows, however many lines go together.
#pragma once

#include "kernels/depthwise/lines.hpp"

FASTNN_BEGIN_NAMESPACE
namespace depthwise {

// Lines of outputs taken together: what fits the registers.
template <int step>
inline constexpr int kLines = FASTNN_VECTOR_BYTES < 64 ? 1
                              : step == 1              ? 3
                                                       : 2;

// Inputs of `outputs` neighbours in some lines, from the first that they read; weights
// in the order of the inputs.
template <class T>
struct Plane {
  const T* x;
  int64_t x_row, channels;
  const T* w;
  int64_t w_row, w_column;
  int64_t y_row, y_step, outputs;
  const T* soon;  // where the rows begin that the next lines read and these do not
  bool whole;     // the part has all channels
};

// Where the vector at channel `at` fetches: in order of memory over all of them.
template <int step, class T>
FASTNN_INLINE Soon<T> soon_of(const Plane<T>& p, const T* first) {
  return Soon<T>::of(first, p.outputs * step, p.channels, p.whole);
}

// The next column: its vectors in `rows` rows of the image.
template <class T, class V, int rows>
FASTNN_INLINE void load_column(const T*& x, const Plane<T>& p, int n, V (&v)[rows]) {
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
    v[i] = in_register(load_part(x + i * p.x_row, n));
  x = next(x, p.channels);
}

template <int rows, class T>
FASTNN_INLINE void fetch_column(const T*& soon, int64_t step, int64_t row) {
#pragma GCC unroll 8
  for (int i = 0; i < rows; ++i)
    prefetch_second(soon + i * row);
  soon = next(soon, step);
}

// What a column adds to a sum per line of outputs, as column `tap` of their windows.
template <int lines, int step, int tap, class V, int rows>
FASTNN_INLINE void add_column(const V (&w)[3][3], const V (&v)[rows], V (&sum)[lines]) {
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k) {
#pragma GCC unroll 3
    for (int r = 0; r < lines; ++r) {
      const V before = tap == 0 && k == 0 ? V{} : sum[r];
      sum[r] = add_product(before, w[k][tap], v[r * step + k]);
    }
  }
}

// y: the first output of the first line.
template <int lines, int step, class T>
FASTNN_INLINE void convolve_vector(const Plane<T>& p, T* y, int64_t y_ahead, int64_t at,
                                   int n) {
  constexpr int rows = (lines - 1) * step + 3;
  Vec<T> w[3][3], v[rows], s[3][lines];
#pragma GCC unroll 9
  for (int k = 0; k < 9; ++k)
    w[k / 3][k % 3] = load_part(p.w + at + k / 3 * p.w_row + k % 3 * p.w_column, n);
  const T* x = p.x + at;
  const Soon<T> xs = soon_of<step>(p, p.soon), ys = soon_of<1>(p, y + y_ahead);
  const T *x_soon = xs.at(at), *y_soon = ys.at(at);
  y += at;
  const auto put = [&](const Vec<T>(&sum)[lines]) FASTNN_LAMBDA_INLINE {
#pragma GCC unroll 3
    for (int r = 0; r < lines; ++r) {
      store_part(y + r * p.y_row, sum[r], n);
      prefetch_to_write(y_soon + r * p.y_row);
    }
    y = next(y, p.y_step), y_soon = next(y_soon, ys.step);
    fetch_column<lines * step>(x_soon, xs.step, p.x_row);
    if constexpr (step > 1) fetch_column<lines * step>(x_soon, xs.step, p.x_row);
  };
  load_column(x, p, n, v);
  add_column<lines, step, 0>(w, v, s[0]);
  if constexpr (step == 1) {
    load_column(x, p, n, v);
    add_column<lines, step, 1>(w, v, s[0]);
    add_column<lines, step, 0>(w, v, s[1]);
    const auto output = [&]<int j>() FASTNN_LAMBDA_INLINE {
      load_column(x, p, n, v);
      add_column<lines, step, 2>(w, v, s[j]);
      add_column<lines, step, 1>(w, v, s[(j + 1) % 3]);
      add_column<lines, step, 0>(w, v, s[(j + 2) % 3]);
      put(s[j]);
    };
    int64_t left = p.outputs;
    for (; left >= 3; left -= 3) {
      output.template operator()<0>();
      output.template operator()<1>();
      output.template operator()<2>();
    }
    if (left > 0) output.template operator()<0>();
    if (left > 1) output.template operator()<1>();
  } else {
    for (int64_t left = p.outputs; left > 0; --left) {
      load_column(x, p, n, v);
      add_column<lines, step, 1>(w, v, s[0]);
      load_column(x, p, n, v);
      add_column<lines, step, 2>(w, v, s[0]);
      add_column<lines, step, 0>(w, v, s[1]);
      put(s[0]);
#pragma GCC unroll 3
      for (int r = 0; r < lines; ++r)
        s[0][r] = s[1][r];
    }
  }
}

// What a column adds to the filter's sums, where it is column `tap` of the windows
// whose gradients are g.
template <int lines, int step, int tap, class V, int rows>
FASTNN_INLINE void correlate_column(const V (&g)[lines], const V (&v)[rows],
                                    V (&sum)[3][3]) {
#pragma GCC unroll 3
  for (int r = 0; r < lines; ++r) {
#pragma GCC unroll 3
    for (int k = 0; k < 3; ++k)
      sum[k][tap] = add_product(sum[k][tap], g[r], v[r * step + k]);
  }
}

// A vector of channels on its way along some lines: where it reads, and its sums.
template <int lines, int step, class T>
struct Correlation {
  using V = Vec<T>;
  const Plane<T>& p;
  int n;
  const T *x, *dy, *x_soon, *y_soon;
  int64_t x_apart, y_apart;  // of what is fetched
  V sum[3][3] = {}, v[(lines - 1) * step + 3] = {}, g[3][lines] = {};

  // The gradients of the next windows.
  FASTNN_INLINE void take(V (&to)[lines]) {
#pragma GCC unroll 3
    for (int r = 0; r < lines; ++r)
      to[r] = in_register(load_part(dy + r * p.y_row, n));
    dy = next(dy, p.y_step);
    fetch_column<lines>(y_soon, y_apart, p.y_row);
    fetch_column<lines * step>(x_soon, x_apart, p.x_row);
    if constexpr (step > 1) fetch_column<lines * step>(x_soon, x_apart, p.x_row);
  }
  FASTNN_INLINE void column() { load_column(x, p, n, v); }
  template <int tap>
  FASTNN_INLINE void add(const V (&of)[lines]) {
    correlate_column<lines, step, tap>(of, v, sum);
  }
};

// From the second column on, where windows are a column apart: g[0] and g[1] belong to
// the two windows before the next column's.
template <class C>
FASTNN_INLINE void correlate_neighbours(C& c, int64_t outputs) {
  if (outputs > 1) {
    c.take(c.g[1]), c.column();
    c.template add<1>(c.g[0]), c.template add<0>(c.g[1]);
    for (int64_t left = outputs - 2; left > 0; --left) {
      c.take(c.g[2]), c.column();
      c.template add<2>(c.g[0]), c.template add<1>(c.g[1]), c.template add<0>(c.g[2]);
      __builtin_memcpy(c.g[0], c.g[1], sizeof c.g[0]);
      __builtin_memcpy(c.g[1], c.g[2], sizeof c.g[1]);
    }
    c.column();
    c.template add<2>(c.g[0]), c.template add<1>(c.g[1]);
    c.column();
    c.template add<2>(c.g[1]);
  } else {
    c.column();
    c.template add<1>(c.g[0]);
    c.column();
    c.template add<2>(c.g[0]);
  }
}

// The same where they are two apart and share every second column.
template <class C>
FASTNN_INLINE void correlate_seconds(C& c, int64_t outputs) {
  for (int64_t left = outputs; left > 0; --left) {
    c.column();
    c.template add<1>(c.g[0]);
    c.column();
    c.template add<2>(c.g[0]);
    if (left > 1) {
      c.take(c.g[0]);
      c.template add<0>(c.g[0]);
    }
  }
}

// Adds to the sums of the filter, which lie like w.
template <int lines, int step, class T>
FASTNN_INLINE void correlate_vector(const Plane<T>& p, const T* dy, int64_t y_ahead,
                                    T* sums, int64_t at, int n) {
  const Soon<T> xs = soon_of<step>(p, p.soon), ys = soon_of<1>(p, dy + y_ahead);
  Correlation<lines, step, T> c = {p,         n,         p.x + at, dy + at,
                                   xs.at(at), ys.at(at), xs.step,  ys.step};
  c.take(c.g[0]), c.column();
  c.template add<0>(c.g[0]);
  if constexpr (step == 1) {
    correlate_neighbours(c, p.outputs);
  } else {
    correlate_seconds(c, p.outputs);
  }
#pragma GCC unroll 9
  for (int k = 0; k < 9; ++k) {
    T* to = sums + at + k / 3 * p.w_row + k % 3 * p.w_column;
    store_part(to, load_part(to, n) + c.sum[k / 3][k % 3], n);
  }
}

// `f(channel, lanes)` for the vectors of a part.
template <class T, class F>
FASTNN_INLINE void for_vectors(Range part, F f) {
  int64_t at = part.begin;
  for (; at + lanes<T> <= part.end; at += lanes<T>)
    f(at, lanes<T>);
  const int rest = static_cast<int>(part.end - at);
  if (rest > 0) f(at, rest);
}

template <class Op, int lines, int step, class T>
FASTNN_OUTLINE void run_plane(const Plane<T>& p, const Line<T>& line, int64_t y) {
  for_vectors<T>(line.part, [&](int64_t at, int n) FASTNN_LAMBDA_INLINE {
    const int64_t ahead = line.y_ahead ? lines * p.y_row : 0;
    if constexpr (Op::kWrites) {
      convolve_vector<lines, step>(p, line.y + y, ahead, at, n);
    } else {
      correlate_vector<lines, step>(p, line.dy + y, ahead, line.sums, at, n);
    }
  });
}

// How lines follow each other: rows of the image and of outputs.
struct Pitch {
  int64_t x, y;
};

// Runs `lines` lines from `line` on whose windows have all rows; those at the borders
// of the line go one by one. `space` has room for three rows.
template <class Op, int lines, int step, class T>
FASTNN_INLINE void run_three(Line<T> line, const Columns& c, const Rows& rows,
                             Pitch pitch, Row* space) {
  const int lowest = rows.row[0].x < rows.row[2].x ? 0 : 2;
  const Row &low = rows.row[lowest], &middle = rows.row[1];
  for (int64_t i = 0; i < c.segment_count; ++i) {
    const Segment& s = c.segments[i];
    if (s.from != 0 || s.to != 3) continue;
    const T* x = line.x + low.x + (c.first + s.outputs.begin * step) * line.channels;
    const int64_t outputs = s.outputs.end - s.outputs.begin;
    const T* weights = Op::kWrites ? line.w : line.sums;
    Plane<T> p = {x,
                  pitch.x,
                  line.channels,
                  weights + low.w + c.w,
                  middle.w - low.w,
                  c.w_apart,
                  pitch.y,
                  line.y_step,
                  outputs,
                  x + ((lines - 1) * step + 3) * pitch.x,
                  line.whole()};
    Line<T> at = line;
    if (!Op::kWrites) at.sums += low.w + c.w;
    run_plane<Op, lines, step>(p, at, s.outputs.begin * line.y_step);
  }
  for (int r = 0; r < lines; ++r) {
    for (int k = 0; k < 3; ++k)
      space[k] = {rows.row[k].x + r * step * pitch.x, rows.row[k].w};
    for (int64_t i = 0; i < c.segment_count; ++i) {
      const Segment& s = c.segments[i];
      if (s.from != 0 || s.to != 3) run_segment<Op, step>(line, c, s, {space, 3});
    }
    if constexpr (Op::kWrites) {
      line.y += pitch.y;
    } else {
      line.dy += pitch.y;
    }
  }
}

// Runs as many of `most` lines as go together; how many that was.
template <class Op, int step, class T>
FASTNN_INLINE int64_t run_some(const Line<T>& line, const Columns& c, const Rows& rows,
                               Pitch pitch, int64_t most, Row* space) {
  if constexpr (kLines<step> >= 3) {
    if (most >= 3) return run_three<Op, 3, step>(line, c, rows, pitch, space), 3;
  }
  if constexpr (kLines<step> >= 2) {
    if (most >= 2) return run_three<Op, 2, step>(line, c, rows, pitch, space), 2;
  }
  return run_three<Op, 1, step>(line, c, rows, pitch, space), 1;
}

}  // namespace depthwise
FASTNN_END_NAMESPACE
