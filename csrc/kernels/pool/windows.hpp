// SPDX-License-Identifier: Apache-2.0
// Which inputs a pooling window covers, and which windows cover an input.
#pragma once

#include "kernels/simd/images.hpp"

FASTNN_BEGIN_NAMESPACE
namespace pool {

// a / b rounded up, of negative a too.
FASTNN_INLINE int64_t ceiling(int64_t a, int64_t b) {
  return a > 0 ? (a + b - 1) / b : -(-a / b);
}

// A window along one axis: its first element before clipping (negative in the padding)
// and the elements [begin, end) of the input that it covers.
struct Span {
  int64_t start, begin, end;
};

// stride 0: adaptive windows, from floor(o in / out) to ceil((o + 1) in / out).
struct Axis {
  int64_t in, out, window, stride, low;

  FASTNN_INLINE int64_t start(int64_t o) const {
    return stride ? o * stride - low : o * in / out;
  }
  FASTNN_INLINE Span span(int64_t o) const {
    const int64_t first = start(o);
    const int64_t stop = stride ? first + window : ceiling((o + 1) * in, out);
    return {first, first < 0 ? 0 : first, stop < in ? stop : in};
  }
  // The windows [begin, end) that cover input i; `start` is not used.
  FASTNN_INLINE Span cover(int64_t i) const {
    if (!stride) return {0, i * out / in, ceiling((i + 1) * out, in)};
    const int64_t over = i + low - window + stride;
    const int64_t first = over > 0 ? quotient(over, stride) : 0;
    const int64_t stop = quotient(i + low, stride) + 1;
    return {0, first, stop < out ? stop : out};
  }
  // The most windows that cover one input.
  FASTNN_INLINE int64_t most_covers() const {
    int64_t most = 0;
    for (int64_t i = 0; i < in; ++i) {
      const Span s = cover(i);
      most = s.end - s.begin > most ? s.end - s.begin : most;
    }
    return most;
  }
};

struct Windows {
  Grid in, out;
  Axis axis[3];

  // The most elements that a window covers. Windows may be larger than the image by
  // any factor, so their own product could even overflow.
  FASTNN_INLINE int64_t taps() const {
    int64_t product = 1;
    for (const Axis& a : axis)
      product *= a.window < a.in ? a.window : a.in;
    return product;
  }
};

// Attributes: window, strides, low (pads in front), one number per spatial axis.
FASTNN_OUTLINE Windows windows_of(const TensorView& in, const TensorView& out,
                                  const AttrValue* attrs) {
  Windows w = {grid_of(in), grid_of(out), {}};
  const int missing = 5 - in.ndim;
  for (int a = 0; a < 3; ++a) {
    const int k = a - missing;
    const bool given = k >= 0;
    w.axis[a] = {w.in.size[a], w.out.size[a], given ? attrs[0].ints[k] : 1,
                 given ? attrs[1].ints[k] : 1, given ? attrs[2].ints[k] : 0};
  }
  return w;
}

// An element of a window: its place relative to the first covered one, and its number
// in the whole window, padding included.
struct Tap {
  int64_t offset, number;
};

// Calls f(image, place of the first tap in it, taps, how many, place of the output)
// for every output pixel of `lines`. `taps` has room for `Windows::taps`.
template <class F>
FASTNN_INLINE void for_windows(const Windows& w, Range lines, const Span* columns,
                               Tap* taps, F f) {
  const int64_t channels = w.in.channels, width = w.in.size[2], height = w.in.size[1];
  for (int64_t line = lines.begin; line < lines.end; ++line) {
    const Place at = place_of(w.out, line);
    const Span d = w.axis[0].span(at.depth);
    const Span h = w.axis[1].span(at.height);
    const int64_t row = (d.begin * height + h.begin) * width;
    int64_t count = 0, skipped = -1, covered = -1;
    for (int64_t o = 0; o < w.out.size[2]; ++o) {
      const Span& c = columns[o];
      if (c.begin - c.start != skipped || c.end - c.begin != covered) {
        skipped = c.begin - c.start;
        covered = c.end - c.begin;
        count = 0;
        for (int64_t i = d.begin; i < d.end; ++i) {
          for (int64_t j = h.begin; j < h.end; ++j) {
            const int64_t from =
                ((i - d.begin) * height + j - h.begin) * width * channels;
            const int64_t number =
                ((i - d.start) * w.axis[1].window + j - h.start) * w.axis[2].window +
                skipped;
            for (int64_t k = 0; k < covered; ++k)
              taps[count++] = {from + k * channels, number + k};
          }
        }
      }
      f(at.image, (row + c.begin) * channels, taps, count,
        (line * w.out.size[2] + o) * channels);
    }
  }
}

// A window that covers an input: its place in the image of outputs, the number of the
// input within it, and how many inputs it covers. Covers of a row and of a column make
// one of a pixel: places and numbers are added, sizes multiplied.
struct Cover {
  int64_t offset, number, size;
};
struct Covers {
  const Cover* cover;
  int64_t count;
};
FASTNN_INLINE Cover joined(const Cover& row, const Cover& column) {
  return {row.offset + column.offset, row.number + column.number,
          row.size * column.size};
}

// The covers of every element of the last axis.
FASTNN_OUTLINE void list_covers(const Axis& a, int64_t channels, Covers* of,
                                Cover* space) {
  for (int64_t i = 0; i < a.in; ++i) {
    const Span over = a.cover(i);
    of[i] = {space, over.end - over.begin};
    for (int64_t o = over.begin; o < over.end; ++o) {
      const Span s = a.span(o);
      *space++ = {o * channels, i - s.start, s.end - s.begin};
    }
  }
}

// The covers of line `at` by rows of windows.
FASTNN_OUTLINE Covers covers_of_line(const Windows& w, const Place& at, Cover* space) {
  const Span depths = w.axis[0].cover(at.depth), heights = w.axis[1].cover(at.height);
  int64_t count = 0;
  for (int64_t p = depths.begin; p < depths.end; ++p) {
    const Span d = w.axis[0].span(p);
    for (int64_t q = heights.begin; q < heights.end; ++q) {
      const Span h = w.axis[1].span(q);
      const int64_t row = (at.depth - d.start) * w.axis[1].window + at.height - h.start;
      space[count++] = {(p * w.out.size[1] + q) * w.out.line_size(),
                        row * w.axis[2].window, (d.end - d.begin) * (h.end - h.begin)};
    }
  }
  return {space, count};
}

}  // namespace pool
FASTNN_END_NAMESPACE
