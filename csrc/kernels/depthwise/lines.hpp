// SPDX-License-Identifier: Apache-2.0
// The inner loops of depthwise convolution. Vectors run over channels; blocks of eight
// neighbouring outputs share the weights, and the inputs where windows overlap: a row
// of a 3x3 filter takes 10 loads for 24 multiply-adds. What a line reads is a list of
// rows and a span of columns: at the border of an image both are shorter, and the input
// gradient is the same loop over other lists. The order of additions is that of rows
// and columns, whatever the block.
#pragma once

#include "kernels/simd/images.hpp"
#include "kernels/simd/prefetch.hpp"

FASTNN_BEGIN_NAMESPACE
namespace depthwise {

// A row of the filter as a line sees it: where the image's row begins that it reads,
// and where its own weights do.
struct Row {
  int64_t x, w;
};
struct Rows {
  const Row* row;
  int64_t count;
  // The lowest in the image: lines before have not read it.
  FASTNN_INLINE int64_t lowest() const {
    if (count == 0) return 0;
    const int64_t first = row[0].x, last = row[count - 1].x;
    return first > last ? first : last;
  }
};

// Outputs of a line that read the same columns of the filter, [from, to).
struct Segment {
  Range outputs;
  int64_t from, to;
};

// The columns of the filter. Column t reads, for output j of a line, the pixel
// first + t * apart + j * step, and its weight is at w + t * w_apart.
struct Columns {
  int64_t first, apart, w, w_apart, count, step;
  int64_t outputs;  // of a line
  const Segment* segments;
  int64_t segment_count;

  // Windows overlap so that one load serves several outputs.
  FASTNN_INLINE bool overlap() const { return apart == 1 && step <= 2; }

  // Cuts the outputs of a line into segments; `space` has room for most_segments().
  FASTNN_INLINE void cut(int64_t width, Segment* space) {
    segments = space;
    segment_count = 0;
    for (int64_t j = 0; j < outputs;) {
      Segment s = {{j, outputs}, 0, 0};
      for (int64_t t = 0; t < count; ++t) {
        const int64_t at = first + t * apart + j * step;
        // Columns rise with t: those that lie within the line are neighbours.
        if (at >= width) break;
        s.to = t + 1;
        const int64_t change = at < 0 ? -at : width - at;
        const int64_t until = j + (change + step - 1) / step;
        s.outputs.end = until < s.outputs.end ? until : s.outputs.end;
        if (at < 0) s.from = t + 1;
      }
      space[segment_count++] = s;
      j = s.outputs.end;
    }
  }
  static FASTNN_INLINE int64_t most_segments(int64_t count, int64_t outputs) {
    return outputs < 2 * count + 1 ? outputs : 2 * count + 1;
  }
};

template <class T>
struct Line {
  const T* x;  // the image
  const T* w;
  T* y;
  int64_t channels, y_step;
  // All that is not in the cache is fetched a line ahead: as many rows of the image as
  // windows are apart, the lowest of them so far from this line's, and outputs.
  int64_t new_rows, row_size, y_ahead;
  Range part;             // channels to compute
  int64_t phase = 0;      // y begins so many pixels behind the first of a line
  const T* dy = nullptr;  // read instead of writing y, to add to
  T* sums = nullptr;      // what lies like w

  FASTNN_INLINE bool whole() const { return part.end - part.begin == channels; }
};

// What the vectors of a block fetch for the next line: the one at channel c the lines
// at p + c * pass, step elements apart. Together they fetch pixels in order of memory,
// which the second level's prefetcher follows, not channel by channel: 8x29x29x128 with
// stride 2 takes 0.30 ms instead of 0.37. Of a few channels each fetches its own.
template <class T>
struct Soon {
  const T* p;
  int64_t pass, step;
  static FASTNN_INLINE Soon of(const T* first, int64_t pixels, int64_t apart,
                               bool whole) {
    return whole ? Soon{first, pixels, lanes<T>} : Soon{first, 1, apart};
  }
  FASTNN_INLINE const T* at(int64_t channel) const { return p + channel * pass; }
};

// Neighbouring outputs of a line, and what they read.
template <class T>
struct Block {
  const T* x;         // the first column, in row 0 of the image
  Soon<T> rows_of_x;  // the lowest
  Soon<T> outputs;
  int64_t w, y;  // where the first column's weights and the first output lie
  // From a column, a tap, an output to the next, in elements.
  int64_t x_step, w_step, y_step;
  int64_t taps;
  Rows rows;
};

// p + step, of which GCC knows nothing: it keeps every multiple of a step otherwise,
// and moves them between general and vector registers.
template <class P>
FASTNN_INLINE P* next(P* p, int64_t step) {
  p += step;
  asm("" : "+r"(p));
  return p;
}
template <int columns, class T>
FASTNN_INLINE void prefetch_rows(const Line<T>& line, const Soon<T>& lowest,
                                 int64_t at) {
  for (int64_t r = 0; r < line.new_rows; ++r) {
    const T* p = lowest.at(at) - r * line.row_size;
#pragma GCC unroll 16
    for (int k = 0; k < columns; ++k, p = next(p, lowest.step))
      prefetch_second(p);
  }
}

// sum + a b, fused where the instruction set can. Of two products in a sum the compiler
// would choose which one to round, not always the same.
template <class V>
FASTNN_INLINE V add_product(V sum, V a, V b) {
  if constexpr (Traits<V>::kFused) {
    return Traits<V>::fused(a, b, sum);
  } else {
    return sum + a * b;
  }
}

// Calls f(input, tap of the run, output) for `pixels` outputs, `step` columns apart, of
// a run of taps; each input is loaded once.
template <int pixels, int step, int run, class T, class F>
FASTNN_INLINE void for_run(const T* x, int64_t x_step, int n, F f) {
#pragma GCC unroll 32
  for (int i = 0; i < (pixels - 1) * step + run; ++i, x = next(x, x_step)) {
    const auto v = run > 1 ? in_register(load_part(x, n)) : load_part(x, n);
#pragma GCC unroll 8
    for (int r = 0; r < run; ++r) {
      if (i >= r && (i - r) % step == 0 && (i - r) / step < pixels)
        f(v, r, (i - r) / step);
    }
  }
}

// Calls add.operator()<step, run>(x, w) for the taps of every row, as many together as
// windows overlap by.
template <int step, class T, class W, class F>
FASTNN_INLINE void for_taps(const Block<T>& b, int64_t at, W* weights, F add) {
  for (int64_t i = 0; i < b.rows.count; ++i) {
    const T* x = b.x + b.rows.row[i].x + at;
    W* w = weights + b.rows.row[i].w + at;
    int64_t left = b.taps;
    if constexpr (step > 0) {
      for (; left >= 5; left -= 5, x += 5 * b.x_step, w += 5 * b.w_step)
        add.template operator()<step, 5>(x, w);
      if (left >= 3) {
        add.template operator()<step, 3>(x, w);
        left -= 3, x += 3 * b.x_step, w += 3 * b.w_step;
      }
      if (left == 2) {
        add.template operator()<step, 2>(x, w);
      } else if (left == 1) {
        add.template operator()<step, 1>(x, w);
      }
    } else {
      for (; left > 0; --left, x += b.x_step, w += b.w_step)
        add.template operator()<1, 1>(x, w);
    }
  }
}

// y of the block.
struct Convolve {
  static constexpr bool kWrites = true;
  template <int pixels, int step, class T>
  static FASTNN_INLINE void vector(const Line<T>& line, const Block<T>& b,
                                   int64_t x_step, int64_t at, int n) {
    T* y = line.y + b.y + at;
    prefetch_rows<pixels*(step ? step : 1)>(line, b.rows_of_x, at);
    Vec<T> sum[pixels] = {};
    for_taps<step>(
        b, at, line.w + b.w,
        [&]<int apart, int run>(const T* x, const T* w) FASTNN_LAMBDA_INLINE {
          Vec<T> weight[run];
#pragma GCC unroll 8
          for (int r = 0; r < run; ++r, w = next(w, b.w_step))
            weight[r] = load_part(w, n);
          for_run<pixels, apart, run>(x, x_step, n,
                                      [&](Vec<T> v, int r, int k) FASTNN_LAMBDA_INLINE {
                                        sum[k] = add_product(sum[k], weight[r], v);
                                      });
        });
    const T* soon = b.outputs.at(at);
#pragma GCC unroll 8
    for (int k = 0; k < pixels; ++k) {
      store_part(y, sum[k], n);
      prefetch_to_write(soon);
      y = next(y, b.y_step), soon = next(soon, b.outputs.step);
    }
  }
};

// sums += dy of the block times what each tap reads there. The products of a block are
// summed in registers first: short sums round less.
struct Correlate {
  static constexpr bool kWrites = false;
  template <int pixels, int step, class T>
  static FASTNN_INLINE void vector(const Line<T>& line, const Block<T>& b,
                                   int64_t x_step, int64_t at, int n) {
    const T *dy = line.dy + b.y + at, *soon = b.outputs.at(at);
    Vec<T> g[pixels];
#pragma GCC unroll 8
    for (int k = 0; k < pixels; ++k) {
      g[k] = load_part(dy, n);
      prefetch(soon);
      dy = next(dy, b.y_step), soon = next(soon, b.outputs.step);
    }
    prefetch_rows<pixels*(step ? step : 1)>(line, b.rows_of_x, at);
    for_taps<step>(b, at, line.sums + b.w,
                   [&]<int apart, int run>(const T* x, T* sums) FASTNN_LAMBDA_INLINE {
                     Vec<T> sum[run] = {};
                     for_run<pixels, apart, run>(
                         x, x_step, n,
                         [&](Vec<T> v, int r, int k) FASTNN_LAMBDA_INLINE {
                           sum[r] = add_product(sum[r], g[k], v);
                         });
#pragma GCC unroll 8
                     for (int r = 0; r < run; ++r, sums = next(sums, b.w_step))
                       store_part(sums, load_part(sums, n) + sum[r], n);
                   });
  }
};

template <class Op, int pixels, int step, class T>
FASTNN_INLINE void run_block(const Line<T>& line, const Columns& c, const Segment& s,
                             const Rows& rows, int64_t j) {
  const int64_t channels = line.channels, x_step = step ? channels : c.step * channels;
  const int64_t x = (c.first + s.from * c.apart + j * c.step) * channels;
  const int64_t soon = rows.lowest() + line.new_rows * line.row_size;
  const int64_t w = c.w + s.from * c.w_apart, y = j * line.y_step;
  const bool whole = line.whole();
  const T* outputs = (line.dy ? line.dy : line.y) + y + line.y_ahead;
  if (whole) outputs += line.phase * (pixels - 1) * channels;
  constexpr int columns = pixels * (step ? step : 1);
  const Block<T> b = {line.x + x,
                      Soon<T>::of(line.x + x + soon, columns, x_step, whole && step),
                      Soon<T>::of(outputs, pixels, line.y_step, whole),
                      w,
                      y,
                      c.apart * channels,
                      c.w_apart,
                      line.y_step,
                      s.to - s.from,
                      rows};
  int64_t at = line.part.begin;
  for (; at + lanes<T> <= line.part.end; at += lanes<T>)
    Op::template vector<pixels, step>(line, b, x_step, at, lanes<T>);
  const int rest = static_cast<int>(line.part.end - at);
  if (rest > 0) Op::template vector<pixels, step>(line, b, x_step, at, rest);
}

template <class Op, int step, class T>
FASTNN_OUTLINE void run_segment(const Line<T>& line, const Columns& c, const Segment& s,
                                const Rows& rows) {
  int64_t j = s.outputs.begin;
  for (; j + 8 <= s.outputs.end; j += 8)
    run_block<Op, 8, step>(line, c, s, rows, j);
  for (; j + 4 <= s.outputs.end; j += 4)
    run_block<Op, 4, step>(line, c, s, rows, j);
  for (; j + 2 <= s.outputs.end; j += 2)
    run_block<Op, 2, step>(line, c, s, rows, j);
  for (; j < s.outputs.end; ++j)
    run_block<Op, 1, step>(line, c, s, rows, j);
}

template <class Op, class T>
FASTNN_INLINE void run_any(const Line<T>& line, const Columns& c, const Segment& s,
                           const Rows& rows) {
  if (!c.overlap()) {
    run_segment<Op, 0>(line, c, s, rows);
  } else if (c.step == 1) {
    run_segment<Op, 1>(line, c, s, rows);
  } else {
    run_segment<Op, 2>(line, c, s, rows);
  }
}

template <class Op, class T>
FASTNN_INLINE void run_line(const Line<T>& line, const Columns& c, const Rows& rows) {
  for (int64_t i = 0; i < c.segment_count; ++i)
    run_any<Op>(line, c, c.segments[i], rows);
}

}  // namespace depthwise
FASTNN_END_NAMESPACE
