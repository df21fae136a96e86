// SPDX-License-Identifier: Apache-2.0
// The gradient of the kernel: for every tap, x^T dy with the output pixels as k.
//
// x is copied into blocks of a tile's channels, so that a tile reads one stream of
// contiguous memory, whatever the tap. Every element is one chain of multiply-adds over
// the pixels in ascending order, through dw itself from one window to the next.
#pragma once

#include "kernels/conv/halo.hpp"
#include "kernels/conv/weights.hpp"

FASTNN_BEGIN_NAMESPACE

// Most pixels of a window, of which a panel of dy then stays in L2; a window has whole
// rows (last axes), one at least, and where one is longer the panel does not stay.
inline constexpr int64_t kFilterPixels = 2048;
inline constexpr int64_t kFilterBytes = 1536 * 1024;

template <class T>
struct Filter {
  Geometry g;
  Field<const T> x, dy;
  bool dense;  // dy is row-major without gaps
  T* dw;

  int64_t columns() const { return g.groups * g.oc; }
};

// What a part computes: a box of dw's groups, channels, rows of taps and columns.
struct FilterShare {
  Range groups, channels, taps, cols;
};

FASTNN_INLINE Range split(int64_t whole, int64_t index, int64_t count, int64_t unit) {
  const int64_t units = ceil_div(whole, unit);
  return {min_of(whole, units * index / count * unit),
          min_of(whole, units * (index + 1) / count * unit)};
}

template <class T>
struct FilterScheme {
  bool joined;  // the taps of a row and their channels are one run of rows
  bool pack;    // dy
  int width;
  int64_t height;  // channels per block of x
  // Rows of taps whose runs are joined too, k-th elements of all rows side by side: x
  // is copied once for each of them.
  int64_t stacked;
};

// Whether to join rows of taps: where all of them make one tile and a row is so low
// that its tile waits for its sums. 1 -> 32 channels, 3 x 3, 64 x 28 x 28: 0.57 ms
// instead of 0.84. As many tiles as before gain nothing: 3 -> 64 channels, or 7 x 7
// taps, take a tenth longer so.
template <class T>
bool prefers_stacked(const Geometry& g, int64_t run) {
  if (g.kernel[1] == 1 || run * g.kernel[1] > kTileRows[2]) return false;
  const auto rows = static_cast<double>(g.kernel[1]);
  return best_panels<T>(run * g.kernel[1], g.oc).cycles <
         rows * best_panels<T>(run, g.oc).cycles;
}

template <class T>
FilterScheme<T> filter_scheme(const Filter<T>& op) {
  const Geometry& g = op.g;
  FilterScheme<T> s = {};
  s.joined = g.c < kMainRows && g.dilation[2] == 1;
  const int64_t run = s.joined ? g.kernel[2] * g.c : g.c;
  s.width = best_width<T>(run, g.oc);
  // A tile that takes all of few rows reads dy once: 3 -> 64 channels, 3 x 3, 0.265 ms
  // instead of 0.308 in tiles of 5 and 4 rows.
  if (s.joined && run <= kTileRows[2]) s.width = static_cast<int>(min_of(s.width, 2));
  s.stacked = 1;
  if (s.joined && prefers_stacked<T>(g, run)) {
    s.stacked = g.kernel[1];
    s.width = best_width<T>(run * s.stacked, g.oc);
  }
  s.height = s.joined ? g.c : ceil_div(g.c, ceil_div(g.c, kTileRows[s.width]));
  const int64_t rows = g.kernel[0] * g.kernel[1] * g.kernel[2] * g.c;
  const bool whole = kMaskedLoads || g.oc % lanes<T> == 0;
  s.pack = !op.dense || !whole || rows >= kPackRows;
  // Rows without gaps are as good as a copy, and are fetched ahead: 46 against 29
  // GFLOP/s for 1 -> 32 channels, 120 against 101 for 64 -> 64 (Cascade Lake).
  if (whole && op.dense && op.columns() == int64_t{s.width} * lanes<T>) s.pack = false;
  return s;
}

// Channels first: a part then copies only what it needs of x.
FASTNN_INLINE FilterShare filter_share(const Geometry& g, int64_t height, int64_t unit,
                                       Part part, int64_t stacked = 1) {
  const int64_t taps = g.kernel[0] * divide(g.kernel[1], stacked);
  FilterShare s = {{0, g.groups}, {0, g.c}, {0, taps}, {0, g.oc}};
  if (g.groups >= part.count) {
    if (part.count > 1) s.groups = split(g.groups, part.index, part.count, 1);
    return s;
  }
  int64_t index = part.index, count = part.count;
  const auto take = [&](int64_t whole, int64_t size) {
    const int64_t ways = max_of(1, min_of(count, ceil_div(whole, size)));
    const Range r = split(whole, index % ways, ways, size);
    index /= ways, count /= ways;
    return r;
  };
  s.channels = take(g.c, height);
  s.cols = take(g.oc, unit);
  s.taps = take(taps, 1);
  if (index > 0) s.groups.end = 0;  // more parts than pieces
  return s;
}

// The blocks of x of one window, in scratch.
template <class T>
struct Blocks {
  const T* data;
  int64_t block, image, axis[kAxes];
};

// Elements of a copy along an axis: of rows that are stacked, one for each row of
// outputs.
template <class T>
FASTNN_INLINE int64_t rows_of_copy(const FilterScheme<T>& s, int axis, const Window& w,
                                   const Range& hull) {
  const Range& r = axis == 1 && s.stacked > 1 ? w.axis[1] : hull;
  return r.end - r.begin;
}

// For every row of outputs the rows of x that its taps read, pixel by pixel.
template <class T>
void copy_stacked(const Filter<T>& op, const Range& outputs, const T* image,
                  const Range* hull, T* dst, int64_t rows) {
  const Geometry& g = op.g;
  const int64_t pitch = rows * g.c, line = (hull[2].end - hull[2].begin) * pitch;
  const int64_t begin = max_of(0, hull[2].begin), end = min_of(g.in[2], hull[2].end);
  zero_run(dst, (hull[0].end - hull[0].begin) * (outputs.end - outputs.begin) * line);
  for (int64_t d = hull[0].begin; d < hull[0].end; ++d) {
    for (int64_t o = outputs.begin; o < outputs.end; ++o, dst += line) {
      for (int64_t k = 0; k < rows; ++k) {
        const int64_t h = o * g.stride[1] - g.pad[1] + k * g.dilation[1];
        if (d < 0 || d >= g.in[0] || h < 0 || h >= g.in[1]) continue;
        copy_pixels(image + d * op.x.axis[0] + h * op.x.axis[1] + begin * op.x.axis[2],
                    op.x.axis[2], op.x.last, end - begin, g.c,
                    dst + (begin - hull[2].begin) * pitch + k * g.c, pitch);
      }
    }
  }
}

template <class T>
Blocks<T> copy_blocks(const Filter<T>& op, const FilterScheme<T>& scheme,
                      const Window& w, int64_t group, Range channels, T* buffer) {
  const Geometry& g = op.g;
  Range hull[kAxes];
  Blocks<T> r = {buffer, 0, scheme.height, {}};
  for (int i = kAxes - 1; i >= 0; --i) {
    hull[i] = forward_hull(g, i, w.axis[i]);
    if (i == 2) r.image *= scheme.stacked;
    r.axis[i] = r.image;
    r.image *= rows_of_copy(scheme, i, w, hull[i]);
  }
  const int64_t images = w.images.end - w.images.begin;
  r.block = images * r.image;
  for (int64_t c = channels.begin; c < channels.end; c += scheme.height) {
    const T* first = op.x.data + (group * g.c + c) * op.x.last;
    for (int64_t n = 0; n < images; ++n, buffer += r.image) {
      const T* image = first + (w.images.begin + n) * op.x.first;
      if (scheme.stacked > 1) {
        copy_stacked(op, w.axis[1], image, hull, buffer, scheme.stacked);
      } else {
        copy_halo(image, op.x, g.in, hull, min_of(scheme.height, channels.end - c),
                  buffer, scheme.height);
      }
    }
  }
  return r;
}

// f(image, depth, height) for the rows of outputs of a window.
template <class F>
FASTNN_INLINE void for_rows(const Window& w, F f) {
  for (int64_t n = w.images.begin; n < w.images.end; ++n) {
    for (int64_t d = w.axis[0].begin; d < w.axis[0].end; ++d) {
      for (int64_t h = w.axis[1].begin; h < w.axis[1].end; ++h)
        f(n, d, h);
    }
  }
}

// Columns j .. j + cols of dy, `ld` apart with zeros behind them.
template <class T>
void pack_dy(const Filter<T>& op, const Window& w, int64_t col, int64_t cols,
             int64_t ld, T* dst) {
  const int64_t pixels = op.g.out[2];
  for_rows(w, [&](int64_t n, int64_t d, int64_t h) {
    const T* src = op.dy.data + n * op.dy.first + d * op.dy.axis[0] +
                   h * op.dy.axis[1] + col * op.dy.last;
    copy_pixels(src, op.dy.axis[2], op.dy.last, pixels, cols, dst, ld);
    if (cols < ld) {
      for (int64_t p = 0; p < pixels; ++p)
        zero_run(dst + p * ld + cols, ld - cols);
    }
    dst += pixels * ld;
  });
}

// The tiles of one panel, tap row and block; t is set but for a, c and the rows.
template <class T>
void run_tiles(Tile<T> t, Source source, int64_t width, const T* a, T* c,
               int64_t rows) {
  const int64_t blocks = ceil_div(rows, kTileRows[width]);
  const int64_t height = divide(rows, blocks), taller = rows - height * blocks;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t own = height + (i < taller);
    t.a = a, t.c = c;
    tile_table<T>().fn[source][width][own](t);
    a += own;
    c += own * t.ldc;
  }
}

template <class T>
void run_filter_panel(const Filter<T>& op, const FilterScheme<T>& scheme,
                      const FilterShare& share, const Blocks<T>& x, const Tile<T>& t,
                      Source source, int64_t width, T* dw) {
  const Geometry& g = op.g;
  const int64_t steps = scheme.joined ? 1 : g.kernel[2];
  const int64_t heights = divide(g.kernel[1], scheme.stacked);
  int64_t b = 0;
  for (int64_t c = share.channels.begin; c < share.channels.end; c += scheme.height) {
    int64_t rows = min_of(scheme.height, share.channels.end - c);
    if (scheme.joined) rows *= g.kernel[2] * scheme.stacked;
    for (int64_t tap = share.taps.begin; tap < share.taps.end; ++tap) {
      const int64_t d = tap / heights, h = tap % heights;
      for (int64_t q = 0; q < steps; ++q) {
        const T* a = x.data + b * x.block + d * g.dilation[0] * x.axis[0] +
                     h * g.dilation[1] * x.axis[1] + q * g.dilation[2] * x.axis[2];
        const int64_t first = (tap * scheme.stacked * g.kernel[2] + q) * g.c + c;
        run_tiles(t, source, width, a, dw + first * t.ldc, rows);
      }
    }
    ++b;
  }
}

// Where a group's sums are written: dw itself, or rows in the order of stacked taps.
template <class T>
struct Sums {
  T* first;  // column 0 of the group
  int64_t ld;
};

// Sums of stacked taps to their places: element (width, height, channel) of a plane of
// taps.
template <class T>
void unstack(const Filter<T>& op, const FilterShare& share, int64_t group,
             const Sums<T>& from) {
  const Geometry& g = op.g;
  const int64_t plane = g.kernel[1] * g.kernel[2] * g.c;
  const T* src = from.first + share.taps.begin * plane * from.ld + share.cols.begin;
  for (int64_t d = share.taps.begin; d < share.taps.end; ++d) {
    for (int64_t k = 0; k < plane; ++k) {
      const int64_t c = k % g.c, h = k / g.c % g.kernel[1], i = k / g.c / g.kernel[1];
      const int64_t row = ((d * g.kernel[1] + h) * g.kernel[2] + i) * g.c + c;
      copy_run(src, op.dw + row * op.columns() + group * g.oc + share.cols.begin,
               share.cols.end - share.cols.begin);
      src += from.ld;
    }
  }
}

template <class T>
void filter_window(const Filter<T>& op, const FilterScheme<T>& scheme,
                   const FilterShare& share, const Window& w, int64_t group, bool first,
                   const Blocks<T>& x, T* panel, int64_t* jumps, const Sums<T>& to) {
  const Geometry& g = op.g;
  Tile<T> t = {};
  const int64_t below = scheme.stacked > 1 ? 1 : g.stride[1];
  for_rows(w, [&](int64_t n, int64_t d, int64_t h) {
    jumps[t.segments++] = (n - w.images.begin) * x.image +
                          (d - w.axis[0].begin) * g.stride[0] * x.axis[0] +
                          (h - w.axis[1].begin) * below * x.axis[1];
  });
  t.jump = jumps;
  t.k = g.out[2];
  t.rsa = 1, t.csa = g.stride[2] * x.axis[2];
  t.ldc = to.ld;
  t.accumulate = !first;
  const int64_t step = int64_t{scheme.width} * lanes<T>;
  for (int64_t j = share.cols.begin; j < share.cols.end; j += step) {
    const int64_t cols = min_of(step, share.cols.end - j), col = group * g.oc + j;
    const int64_t width = ceil_div(cols, lanes<T>), ld = width * lanes<T>;
    t.tail = static_cast<int>(cols - (width - 1) * lanes<T>);
    Source source = kPanel;
    if (scheme.pack) {
      pack_dy(op, w, col, cols, ld, panel);
      t.b = panel, t.ldb = ld;
    } else {
      const int64_t rows =
          (w.images.begin * g.out[0] + w.axis[0].begin) * g.out[1] + w.axis[1].begin;
      t.ldb = op.columns();
      t.b = op.dy.data + rows * g.out[2] * t.ldb + col;
      source = kInPlace;
    }
    t.ahead = t.b + kAheadRows * ld, t.ahead_step = ld;
    run_filter_panel(op, scheme, share, x, t, source, width, to.first + j);
  }
}

// dw is zero where no pixel contributes.
template <class T>
void zero_filter(const Filter<T>& op, const FilterShare& share, int64_t stacked) {
  const Geometry& g = op.g;
  const int64_t per_row = stacked * g.kernel[2];
  for (int64_t group = share.groups.begin; group < share.groups.end; ++group) {
    for (int64_t tap = share.taps.begin * per_row; tap < share.taps.end * per_row;
         ++tap) {
      for (int64_t c = share.channels.begin; c < share.channels.end; ++c) {
        zero_run(
            op.dw + (tap * g.c + c) * op.columns() + group * g.oc + share.cols.begin,
            share.cols.end - share.cols.begin);
      }
    }
  }
}

// Elements of the copy of a window of x.
template <class T>
int64_t copied_elements(const Filter<T>& op, const FilterScheme<T>& scheme,
                        const Window& w, int64_t blocks) {
  int64_t n = (w.images.end - w.images.begin) * blocks * scheme.height * scheme.stacked;
  for (int i = 0; i < kAxes; ++i)
    n *= rows_of_copy(scheme, i, w, forward_hull(op.g, i, w.axis[i]));
  return n;
}

template <class T>
void filter_gradient(const Filter<T>& op, Part part) {
  const Geometry& g = op.g;
  if (g.c == 0 || g.oc == 0 || g.groups == 0) return;
  const FilterScheme<T> scheme = filter_scheme(op);
  const FilterShare share =
      filter_share(g, scheme.height, lanes<T>, part, scheme.stacked);
  const int64_t pixels = g.images * g.out[0] * g.out[1] * g.out[2];
  if (pixels == 0) return zero_filter(op, share, scheme.stacked);
  const int64_t blocks =
      ceil_div(share.channels.end - share.channels.begin, scheme.height);
  if (blocks <= 0) return;
  const auto fits = [&](const Window& w) {
    return w.rows() * g.out[2] <= kFilterPixels &&
           copied_elements(op, scheme, w, blocks) * int64_t{sizeof(T)} <= kFilterBytes;
  };
  const Range rows = {0, g.images * g.out[0] * g.out[1]};
  int64_t x_elements = 0, most_rows = 0;
  Windows all(g.out, rows);
  for (Window w; all.next(w, fits);) {
    x_elements = max_of(x_elements, copied_elements(op, scheme, w, blocks));
    most_rows = max_of(most_rows, w.rows());
  }
  const int64_t panel = most_rows * g.out[2] * scheme.width * lanes<T>;
  const bool stacked = scheme.stacked > 1;
  const int64_t cols = padded_columns<T>(g.oc);
  const int64_t sums =
      stacked ? g.kernel[0] * g.kernel[1] * g.kernel[2] * g.c * cols : 0;
  const int64_t jump_bytes = (most_rows * int64_t{sizeof(int64_t)} + 63) / 64 * 64;
  char* const memory =
      static_cast<char*>(scratch(jump_bytes + (x_elements + panel + sums) * sizeof(T)));
  int64_t* const jumps = reinterpret_cast<int64_t*>(memory);
  T* const packed = reinterpret_cast<T*>(memory + jump_bytes);
  T* const space = packed + panel;
  T* const buffer = space + sums;
  for (int64_t group = share.groups.begin; group < share.groups.end; ++group) {
    Windows windows(g.out, rows);
    const Sums<T> to =
        stacked ? Sums<T>{space, cols} : Sums<T>{op.dw + group * g.oc, op.columns()};
    bool first = true;
    for (Window w; windows.next(w, fits); first = false) {
      const Blocks<T> x = copy_blocks(op, scheme, w, group, share.channels, buffer);
      filter_window(op, scheme, share, w, group, first, x, packed, jumps, to);
    }
    if (stacked) unstack(op, share, group, to);
  }
}

FASTNN_END_NAMESPACE
