// SPDX-License-Identifier: Apache-2.0
// The inner loops of depthwise convolution. Vectors run over channels; blocks of eight
// neighbouring outputs share the weights, and the inputs where windows overlap: a row
// of a 3x3 filter takes 10 loads for 24 multiply-adds. Filters are lists of taps: at
// the border of an image the lists are shorter, and the input gradient is the same loop
// over other lists. The order of additions is that of the list, whatever the block.
#pragma once

#include "kernels/simd/images.hpp"

FASTNN_BEGIN_NAMESPACE
namespace depthwise {

// One element of the filter as a line sees it: the input column it reads for output 0
// (outside of the line for some outputs), the place of that in the image, its weight.
struct Tap {
  int64_t column, offset, weight;
  int64_t run = 1;  // so many taps from here on read neighbouring columns
};

// Outputs j of a line read the columns tap.column + j * step.
template <class T>
struct Line {
  const T* x;  // the image
  const T* w;
  T* y;
  int64_t width, step, channels, outputs, y_step;
  Range part;             // channels to compute
  const T* dy = nullptr;  // read instead of writing y, to add to
  T* sums = nullptr;      // what lies like w
};

// The outputs for which a tap lies within the line.
FASTNN_INLINE Range valid_outputs(const Tap& t, int64_t width, int64_t step,
                                  int64_t outputs) {
  const int64_t left = width - t.column;
  const int64_t begin = t.column >= 0 ? 0 : (-t.column + step - 1) / step;
  const int64_t end = left > 0 ? (left + step - 1) / step : 0;
  return {begin, end < outputs ? end : outputs};
}
FASTNN_INLINE Range valid_for_all(const Tap* taps, int64_t count, int64_t width,
                                  int64_t step, int64_t outputs) {
  Range all = {0, outputs};
  for (int64_t t = 0; t < count; ++t) {
    const Range r = valid_outputs(taps[t], width, step, outputs);
    all.begin = r.begin > all.begin ? r.begin : all.begin;
    all.end = r.end < all.end ? r.end : all.end;
  }
  // A filter wider than the line: a tap may begin behind its end.
  all.begin = all.begin < outputs ? all.begin : outputs;
  return {all.begin, all.end > all.begin ? all.end : all.begin};
}

// Joins taps of neighbouring columns to runs of 5, 3 or 2 where windows overlap.
FASTNN_OUTLINE void find_runs(Tap* taps, int64_t count, int64_t step,
                              int64_t channels) {
  for (int64_t t = 0; t < count; t += taps[t].run) {
    int64_t run = 1;
    while (t + run < count && taps[t + run].column == taps[t].column + run &&
           taps[t + run].offset == taps[t].offset + run * channels)
      ++run;
    taps[t].run = step > 2 ? 1 : run >= 5 ? 5 : run >= 3 ? 3 : run;
  }
}

// Calls f(input, tap of the run, output) for `pixels` outputs, `step` columns apart, of
// a run of taps; each input is loaded once: x(column).
template <int pixels, int step, int run, class X, class F>
FASTNN_INLINE void for_run(X x, F f) {
#pragma GCC unroll 32
  for (int i = 0; i < (pixels - 1) * step + run; ++i) {
    const auto v = run > 1 ? in_register(x(i)) : x(i);
#pragma GCC unroll 8
    for (int r = 0; r < run; ++r) {
      if (i >= r && (i - r) % step == 0 && (i - r) / step < pixels)
        f(v, r, (i - r) / step);
    }
  }
}

// y[j ...] of a line, `pixels` of them.
struct Convolve {
  template <int pixels, int step, int run, class T>
  static FASTNN_INLINE void add_run(Vec<T> (&sum)[pixels], const T* x, int64_t channels,
                                    const T* w, int64_t w_step, int n) {
    Vec<T> weight[run];
#pragma GCC unroll 8
    for (int r = 0; r < run; ++r)
      weight[r] = load_part(w + r * w_step, n);
    for_run<pixels, step, run>(
        [&](int i) FASTNN_LAMBDA_INLINE { return load_part(x + i * channels, n); },
        [&](Vec<T> v, int r, int k)
            FASTNN_LAMBDA_INLINE { sum[k] = sum[k] + weight[r] * v; });
  }

  template <int pixels, int step, class T>
  static FASTNN_INLINE void vector(const Line<T>& line, int64_t j, const Tap* taps,
                                   int64_t count, int64_t at, int n) {
    const int64_t channels = line.channels;
    const T* x = line.x + j * line.step * channels + at;
    Vec<T> sum[pixels] = {};
    for (int64_t t = 0; t < count; t += taps[t].run) {
      const T* p = x + taps[t].offset;
      const T* w = line.w + taps[t].weight + at;
      const int64_t run = taps[t].run;
      const int64_t w_step = run > 1 ? taps[t + 1].weight - taps[t].weight : 0;
      if (step && run == 3) {
        add_run<pixels, step ? step : 1, 3>(sum, p, channels, w, w_step, n);
      } else if (step && run == 5) {
        add_run<pixels, step ? step : 1, 5>(sum, p, channels, w, w_step, n);
      } else if (step && run == 2) {
        add_run<pixels, step ? step : 1, 2>(sum, p, channels, w, w_step, n);
      } else {
        add_run<pixels, 1, 1>(sum, p, line.step * channels, w, 0, n);
      }
    }
    T* y = line.y + j * line.y_step + at;
#pragma GCC unroll 8
    for (int k = 0; k < pixels; ++k)
      store_part(y + k * line.y_step, sum[k], n);
  }
};

// sums += dy[j ...] times what each tap reads there: `y` of the line has the dy, `w`
// the sums. Eight products are summed in registers first: short sums round less.
struct Correlate {
  template <int pixels, int step, int run, class T>
  static FASTNN_INLINE void add_run(const Vec<T> (&dy)[pixels], const T* x,
                                    int64_t channels, T* sums, int64_t w_step, int n) {
    Vec<T> sum[run] = {};
    for_run<pixels, step, run>(
        [&](int i) FASTNN_LAMBDA_INLINE { return load_part(x + i * channels, n); },
        [&](Vec<T> v, int r, int k)
            FASTNN_LAMBDA_INLINE { sum[r] = sum[r] + dy[k] * v; });
#pragma GCC unroll 8
    for (int r = 0; r < run; ++r) {
      T* to = sums + r * w_step;
      store_part(to, load_part(to, n) + sum[r], n);
    }
  }

  template <int pixels, int step, class T>
  static FASTNN_INLINE void vector(const Line<T>& line, int64_t j, const Tap* taps,
                                   int64_t count, int64_t at, int n) {
    const int64_t channels = line.channels;
    const T* x = line.x + j * line.step * channels + at;
    Vec<T> dy[pixels];
#pragma GCC unroll 8
    for (int k = 0; k < pixels; ++k)
      dy[k] = load_part(line.dy + (j + k) * line.y_step + at, n);
    for (int64_t t = 0; t < count; t += taps[t].run) {
      const T* p = x + taps[t].offset;
      T* sums = line.sums + taps[t].weight + at;
      const int64_t run = taps[t].run;
      const int64_t w_step = run > 1 ? taps[t + 1].weight - taps[t].weight : 0;
      if (step && run == 3) {
        add_run<pixels, step ? step : 1, 3>(dy, p, channels, sums, w_step, n);
      } else if (step && run == 5) {
        add_run<pixels, step ? step : 1, 5>(dy, p, channels, sums, w_step, n);
      } else if (step && run == 2) {
        add_run<pixels, step ? step : 1, 2>(dy, p, channels, sums, w_step, n);
      } else {
        add_run<pixels, 1, 1>(dy, p, line.step * channels, sums, 0, n);
      }
    }
  }
};

template <class Op, int pixels, int step, class T>
FASTNN_INLINE void run_block(const Line<T>& line, int64_t j, const Tap* taps,
                             int64_t count) {
  int64_t at = line.part.begin;
  for (; at + lanes<T> <= line.part.end; at += lanes<T>)
    Op::template vector<pixels, step>(line, j, taps, count, at, lanes<T>);
  const int rest = static_cast<int>(line.part.end - at);
  if (rest > 0) Op::template vector<pixels, step>(line, j, taps, count, at, rest);
}

// The outputs [begin, end), for which all taps are valid.
template <class Op, int step, class T>
FASTNN_OUTLINE void run_inner(const Line<T>& line, Range outputs, const Tap* taps,
                              int64_t count) {
  int64_t j = outputs.begin;
  for (; j + 8 <= outputs.end; j += 8)
    run_block<Op, 8, step>(line, j, taps, count);
  for (; j + 4 <= outputs.end; j += 4)
    run_block<Op, 4, step>(line, j, taps, count);
  for (; j + 2 <= outputs.end; j += 2)
    run_block<Op, 2, step>(line, j, taps, count);
  for (; j < outputs.end; ++j)
    run_block<Op, 1, step>(line, j, taps, count);
}

// An output with taps outside of the image; `some` has room for all of them.
template <class Op, class T>
FASTNN_OUTLINE void run_border(const Line<T>& line, int64_t j, const Tap* taps,
                               int64_t count, Tap* some) {
  int64_t kept = 0;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t column = taps[t].column + j * line.step;
    if (column < 0 || column >= line.width) continue;
    some[kept] = taps[t];
    some[kept++].run = 1;
  }
  run_block<Op, 1, 0>(line, j, some, kept);
}

template <class Op, class T>
FASTNN_INLINE void run_line(const Line<T>& line, Tap* taps, int64_t count, Tap* some) {
  const Range inner = valid_for_all(taps, count, line.width, line.step, line.outputs);
  find_runs(taps, count, line.step, line.channels);
  int64_t j = 0;
  for (; j < inner.begin && j < line.outputs; ++j)
    run_border<Op>(line, j, taps, count, some);
  const Range rest = {j, inner.end};
  if (line.step == 1) {
    run_inner<Op, 1>(line, rest, taps, count);
  } else if (line.step == 2) {
    run_inner<Op, 2>(line, rest, taps, count);
  } else {
    run_inner<Op, 0>(line, rest, taps, count);
  }
  for (j = inner.end > j ? inner.end : j; j < line.outputs; ++j)
    run_border<Op>(line, j, taps, count, some);
}

}  // namespace depthwise
FASTNN_END_NAMESPACE
