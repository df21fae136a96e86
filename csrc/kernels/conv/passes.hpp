// SPDX-License-Identifier: Apache-2.0
// One pass over a window of the input: panels of columns, blocks of k, rows of outputs,
// tiles. A row of the kernel is a segment of k, between which A jumps.
#pragma once

#include "kernels/conv/flat.hpp"
#include "kernels/conv/tall.hpp"
#include "kernels/conv/weights.hpp"

FASTNN_BEGIN_NAMESPACE

// Most elements of k between two visits of C, if a segment is not longer: 128 channels
// in one block give 128 GFLOP/s, in two 123 (Cascade Lake).
inline constexpr int64_t kPassK = 1200;
// Segments longer than this are cut, so that a block of k leaves room in L1 and L2.
inline constexpr int64_t kLongSegment = 1536;
// Sums this short, of so few segments, are computed in tiles of fewer sums: their
// stores come in smaller bursts (64 -> 128 channels, 1x1: 125 instead of 119 GFLOP/s; 3
// -> 64: 109 instead of 106; Cascade Lake).
inline constexpr int64_t kShortK = 64;
inline constexpr int64_t kShortSegments = 3;
inline constexpr int64_t kShortTile = 18;  // vectors
// Sums up to this length go element by element (flat.hpp) where rows of taps are
// shorter than kShortRow.
inline constexpr int64_t kFlatK = 160;
inline constexpr int64_t kShortRow = 24;
// Sums up to this length may take less time than memory: lines of C so far ahead are
// fetched (C in memory; 1 -> 32 channels, 3x3: 0.74 ms instead of 0.97; 1 -> 64, 7x7:
// a tenth less).
inline constexpr int64_t kFetchingK = 64;
inline constexpr int64_t kFetchedLines = 32;

// A window of the input: where it begins and how far apart its elements are.
template <class T>
struct Input {
  const T* data;
  int64_t image, axis[kAxes];
};

// One pass over a window. `k` blocks: segments of `length`, `jumps` apart.
template <class T>
struct Pass {
  Axis axis[kAxes];
  const T* a;
  int64_t a_image, a_step[kAxes];  // from one output to the next
  T* c;
  int64_t c_image, c_step[kAxes];
  const T* y;  // nullptr: no activation gradient
  int64_t y_image, y_step[kAxes], y_channel;
  int64_t images;
  int64_t length, segments;
  const int64_t* jumps;
  bool flat;  // segments are elements
};

// A panel of columns and a block of k of one pass.
template <class T>
struct Panel {
  Tile<T> tile;  // all but what depends on the row
  Source source;
  int64_t col, cols, width;
  bool last;
  int64_t most_rows;  // of a tile
  Epilogue<T> epilogue;
};

template <class T>
FASTNN_INLINE TileFn<T> tile_function(const Pass<T>& s, const Panel<T>& panel,
                                      int64_t rows) {
  if (rows > kTileRows[panel.width])
    return s.flat ? tall_tile<T, true> : tall_tile<T, false>;
  if (s.flat && has_flat_tiles(panel.width)) return kFlatTiles<T>.fn[panel.width][rows];
  return tile_table<T>().fn[panel.source][panel.width][rows];
}

// Tiles of one row of outputs.
template <class T>
FASTNN_INLINE void run_row(const Pass<T>& s, Panel<T>& panel, const T* a, T* c,
                           const T* y) {
  Tile<T> t = panel.tile;
  const int64_t count = s.axis[2].count;
  const int64_t blocks = ceil_div(count, panel.most_rows);
  const int64_t height = divide(count, blocks), taller = count - height * blocks;
  const bool second_pass = panel.last && panel.epilogue.second_pass();
  for (int64_t i = 0, begin = 0; i < blocks;) {
    const int64_t rows = height + (i < taller);
    const bool alone = second_pass || panel.source == kCopy;
    t.count = alone ? 1 : i < taller ? taller - i : blocks - i;
    t.a = a + begin * t.rsa;
    t.c = c + begin * t.ldc;
    if (y && panel.last && !second_pass) t.y = y + begin * t.ldy;
    tile_function(s, panel, rows)(t);
    if (panel.source == kCopy) {  // the others read the copy
      panel.source = kPanel;
      panel.tile.b = t.b = t.copy;
    }
    if (second_pass) {
      Epilogue<T> e = panel.epilogue;
      if (y) e.y = y + begin * s.y_step[2];
      finish<T>({t.c, t.ldc, 0, 0, rows, panel.cols}, e, false);
    }
    begin += rows * t.count;
    i += t.count;
  }
}

template <class T>
void run_rows_of(const Pass<T>& s, Panel<T>& panel) {
  for (int64_t n = 0; n < s.images; ++n) {
    for (int64_t d = 0; d < s.axis[0].count; ++d) {
      for (int64_t h = 0; h < s.axis[1].count; ++h) {
        const T* y = nullptr;
        if (s.y) {
          y = s.y + n * s.y_image + d * s.y_step[0] + h * s.y_step[1] +
              panel.col * s.y_channel;
        }
        run_row(s, panel, s.a + n * s.a_image + d * s.a_step[0] + h * s.a_step[1],
                s.c + n * s.c_image + d * s.c_step[0] + h * s.c_step[1] + panel.col, y);
      }
    }
  }
}

// The right-hand side of a pass: packed panels; the kernel itself (ld != 0); or the
// kernel, packed panel by panel into `buffer`.
template <class T>
struct Panels {
  const T* b;
  int64_t ld;
  int width;
  const Weights<T>* weights;
  T* buffer;
};

// How high the tiles of a panel are and how far ahead they fetch C.
template <class T>
void set_height(const Pass<T>& s, Panel<T>& p) {
  const int64_t k = s.length * s.segments, width = p.width;
  const bool rows_follow = k <= kFetchingK && p.tile.ldc == width * lanes<T>;
  const bool tall = s.flat ? rows_follow && k >= kTallRows * width : p.source == kPanel;
  p.most_rows = tall ? tallest(width) : kTileRows[width];
  if (k <= kShortK && s.segments <= kShortSegments)
    p.most_rows = max_of(1, min_of(p.most_rows, kShortTile / width));
  constexpr int64_t kVectors = kFetchedLines * 64 / FASTNN_VECTOR_BYTES;
  if (k <= kFetchingK) p.tile.fetch = ceil_div(kVectors, width) * p.tile.ldc;
}

// The source of B for the block of `segments` from `first` on of panel p.
template <class T>
void set_source(const Pass<T>& s, const Panels<T>& b, int64_t first, int64_t segments,
                const T* packed, Panel<T>& p) {
  Tile<T>& t = p.tile;
  const int64_t ld = p.width * lanes<T>;
  p.source = kPanel;
  t.ldb = b.ld;
  t.ahead_step = ld;
  if (b.ld) {
    t.ahead_step = 0;  // the tile fetches the rows that follow
    t.b = b.b + first * s.length * b.ld + p.col;
    p.source = b.buffer ? kCopy : kInPlace;
    t.copy = b.buffer;
  } else if (b.buffer) {
    const int64_t taps = divide(s.length, b.weights->rows);
    pack_taps(*b.weights, s.axis, {first * taps, (first + segments) * taps},
              {p.col, p.col + p.cols}, b.buffer, ld);
    t.b = b.buffer;
  } else {
    t.b = packed + first * s.length * ld;
  }
  t.ahead = t.b + kAheadRows * t.ahead_step;
}

template <class T>
void run_pass(const Pass<T>& s, const Panels<T>& b, const Epilogue<T>& e, Range cols,
              int64_t ldc) {
  const int64_t k = s.length * s.segments, step = int64_t{b.width} * lanes<T>;
  const int64_t per_block =
      k ? max_of(1, ceil_div(s.segments, ceil_div(k, kPassK))) : 1;
  int64_t first = 0;
  do {
    const int64_t segments = min_of(per_block, s.segments - first);
    const T* packed = b.b;
    for (int64_t j = cols.begin; j < cols.end; j += step) {
      Panel<T> p = {};
      p.col = j, p.cols = min_of(step, cols.end - j);
      p.width = ceil_div(p.cols, lanes<T>);
      const int64_t ld = p.width * lanes<T>;
      p.last = first + segments >= s.segments;
      p.epilogue = e;
      p.epilogue.rsy = s.y_step[2], p.epilogue.csy = s.y_channel;
      Tile<T>& t = p.tile;
      t.k = s.length, t.segments = segments, t.jump = s.jumps + first;
      t.rsa = s.a_step[2], t.csa = 1;
      t.ldc = ldc, t.ldy = s.y_step[2];
      t.tail = static_cast<int>(p.cols - (p.width - 1) * lanes<T>);
      t.accumulate = first > 0;
      if (p.last && !s.y) {
        t.bias = e.bias ? e.bias + j : nullptr;
        t.relu = e.activation == kRelu;
      }
      set_source(s, b, first, segments, packed, p);
      set_height(s, p);
      run_rows_of(s, p);
      packed += k * ld;
    }
    first += segments;
  } while (first < s.segments);
}

// Cuts a pass over `input` into segments: rows of taps where these are contiguous,
// else single taps.
template <class T>
void cut_segments(Pass<T>& s, const Input<T>& input, int64_t channels, bool flat,
                  int64_t* jumps) {
  const Axis &d = s.axis[0], &h = s.axis[1], &w = s.axis[2];
  const bool joined = (w.taps <= 1 || w.tap_step * input.axis[2] == channels) &&
                      w.taps * channels <= kLongSegment;
  const int64_t per_row = joined ? min_of(w.taps, 1) : w.taps;
  const int64_t run = joined ? w.taps * channels : channels, rows = d.taps * h.taps;
  s.flat =
      flat && run < kShortRow && rows * per_row > 1 && run * rows * per_row <= kFlatK;
  s.length = s.flat ? 1 : run;
  s.segments = 0;
  s.jumps = jumps;
  for (int64_t i = 0; i < d.taps; ++i) {
    for (int64_t j = 0; j < h.taps; ++j) {
      for (int64_t q = 0; q < per_row; ++q) {
        const int64_t at = i * d.tap_step * input.axis[0] +
                           j * h.tap_step * input.axis[1] +
                           q * w.tap_step * input.axis[2];
        for (int64_t c = 0; c < run; c += s.length)
          jumps[s.segments++] = at + c;
      }
    }
  }
}

FASTNN_END_NAMESPACE
