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
};

template <class T>
FilterScheme<T> filter_scheme(const Filter<T>& op) {
  const Geometry& g = op.g;
  FilterScheme<T> s = {};
  s.joined = g.c < kMainRows && g.dilation[2] == 1;
  const int64_t run = s.joined ? g.kernel[2] * g.c : g.c;
  s.width = best_width<T>(run, g.oc);
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
                                       Part part) {
  const int64_t taps = g.kernel[0] * g.kernel[1];
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

template <class T>
Blocks<T> copy_blocks(const Filter<T>& op, const FilterScheme<T>& scheme,
                      const Window& w, int64_t group, Range channels, T* buffer) {
  const Geometry& g = op.g;
  Range hull[kAxes];
  Blocks<T> r = {buffer, 0, scheme.height, {}};
  for (int i = kAxes - 1; i >= 0; --i) {
    hull[i] = forward_hull(g, i, w.axis[i]);
    r.axis[i] = r.image;
    r.image *= hull[i].end - hull[i].begin;
  }
  const int64_t images = w.images.end - w.images.begin;
  r.block = images * r.image;
  for (int64_t c = channels.begin; c < channels.end; c += scheme.height) {
    const T* first = op.x.data + (group * g.c + c) * op.x.last;
    for (int64_t n = 0; n < images; ++n, buffer += r.image) {
      copy_halo(first + (w.images.begin + n) * op.x.first, op.x, g.in, hull,
                min_of(scheme.height, channels.end - c), buffer, scheme.height);
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
  int64_t b = 0;
  for (int64_t c = share.channels.begin; c < share.channels.end; c += scheme.height) {
    int64_t rows = min_of(scheme.height, share.channels.end - c);
    if (scheme.joined) rows *= g.kernel[2];
    for (int64_t tap = share.taps.begin; tap < share.taps.end; ++tap) {
      const int64_t d = tap / g.kernel[1], h = tap % g.kernel[1];
      for (int64_t q = 0; q < steps; ++q) {
        const T* a = x.data + b * x.block + d * g.dilation[0] * x.axis[0] +
                     h * g.dilation[1] * x.axis[1] + q * g.dilation[2] * x.axis[2];
        run_tiles(t, source, width, a, dw + ((tap * g.kernel[2] + q) * g.c + c) * t.ldc,
                  rows);
      }
    }
    ++b;
  }
}

template <class T>
void filter_window(const Filter<T>& op, const FilterScheme<T>& scheme,
                   const FilterShare& share, const Window& w, int64_t group, bool first,
                   const Blocks<T>& x, T* panel, int64_t* jumps) {
  const Geometry& g = op.g;
  Tile<T> t = {};
  for_rows(w, [&](int64_t n, int64_t d, int64_t h) {
    jumps[t.segments++] = (n - w.images.begin) * x.image +
                          (d - w.axis[0].begin) * g.stride[0] * x.axis[0] +
                          (h - w.axis[1].begin) * g.stride[1] * x.axis[1];
  });
  t.jump = jumps;
  t.k = g.out[2];
  t.rsa = 1, t.csa = g.stride[2] * x.axis[2];
  t.ldc = op.columns();
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
      t.b = op.dy.data + rows * g.out[2] * t.ldc + col, t.ldb = t.ldc;
      source = kInPlace;
    }
    t.ahead = t.b + kAheadRows * ld, t.ahead_step = ld;
    run_filter_panel(op, scheme, share, x, t, source, width, op.dw + col);
  }
}

// dw is zero where no pixel contributes.
template <class T>
void zero_filter(const Filter<T>& op, const FilterShare& share) {
  const Geometry& g = op.g;
  for (int64_t group = share.groups.begin; group < share.groups.end; ++group) {
    for (int64_t tap = share.taps.begin * g.kernel[2];
         tap < share.taps.end * g.kernel[2]; ++tap) {
      for (int64_t c = share.channels.begin; c < share.channels.end; ++c) {
        zero_run(
            op.dw + (tap * g.c + c) * op.columns() + group * g.oc + share.cols.begin,
            share.cols.end - share.cols.begin);
      }
    }
  }
}

template <class T>
void filter_gradient(const Filter<T>& op, Part part) {
  const Geometry& g = op.g;
  if (g.c == 0 || g.oc == 0 || g.groups == 0) return;
  const FilterScheme<T> scheme = filter_scheme(op);
  const int64_t unit = lanes<T>;
  const FilterShare share = filter_share(g, scheme.height, unit, part);
  const int64_t pixels = g.images * g.out[0] * g.out[1] * g.out[2];
  if (pixels == 0) return zero_filter(op, share);
  const int64_t blocks =
      ceil_div(share.channels.end - share.channels.begin, scheme.height);
  if (blocks <= 0) return;
  const auto elements = [&](const Window& w) {
    int64_t n = (w.images.end - w.images.begin) * blocks * scheme.height;
    for (int i = 0; i < kAxes; ++i) {
      const Range r = forward_hull(g, i, w.axis[i]);
      n *= r.end - r.begin;
    }
    return n;
  };
  const auto fits = [&](const Window& w) {
    return w.rows() * g.out[2] <= kFilterPixels &&
           elements(w) * int64_t{sizeof(T)} <= kFilterBytes;
  };
  const Range rows = {0, g.images * g.out[0] * g.out[1]};
  int64_t x_elements = 0, most_rows = 0;
  Windows all(g.out, rows);
  for (Window w; all.next(w, fits);) {
    x_elements = max_of(x_elements, elements(w));
    most_rows = max_of(most_rows, w.rows());
  }
  const int64_t panel = most_rows * g.out[2] * scheme.width * lanes<T>;
  const int64_t jump_bytes = (most_rows * int64_t{sizeof(int64_t)} + 63) / 64 * 64;
  char* const memory =
      static_cast<char*>(scratch(jump_bytes + (x_elements + panel) * sizeof(T)));
  int64_t* const jumps = reinterpret_cast<int64_t*>(memory);
  T* const packed = reinterpret_cast<T*>(memory + jump_bytes);
  T* const buffer = packed + panel;
  for (int64_t group = share.groups.begin; group < share.groups.end; ++group) {
    Windows windows(g.out, rows);
    bool first = true;
    for (Window w; windows.next(w, fits); first = false) {
      const Blocks<T> x = copy_blocks(op, scheme, w, group, share.channels, buffer);
      filter_window(op, scheme, share, w, group, first, x, packed, jumps);
    }
  }
}

FASTNN_END_NAMESPACE
