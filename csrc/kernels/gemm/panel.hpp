// SPDX-License-Identifier: Apache-2.0
// A panel of B against tiles of rows: the step that all loops share.
#pragma once

#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

// A block of the whole product: its operands and what to do with C.
template <class T>
struct Block {
  Product<T> p;     // k is the length of this block of k
  bool accumulate;  // not the first block of k
  bool last;        // the last one: apply the epilogue
  T* panel;         // scratch for one panel of B
  bool tiled;       // A is packed in columns, kMainRows rows per tile
};

// The tile of columns j .. j + cols and how it reads B.
template <class T>
Tile<T> panel_tile(const Block<T>& block, int64_t j, int64_t cols, Source* source) {
  constexpr int n = lanes<T>;
  const Product<T>& p = block.p;
  const int64_t width = ceil_div(cols, n);
  Tile<T> t = {};
  t.k = p.k;
  t.rsa = p.rsa, t.csa = p.csa;
  t.segments = 1, t.jump = &kNoJump;
  t.b = p.b + j * p.csb, t.ldb = p.rsb;
  t.ldc = p.ldc;
  t.tail = static_cast<int>(cols - (width - 1) * n);
  t.accumulate = block.accumulate;
  const Epilogue<T>& e = p.epilogue;
  if (block.last && !e.y) {
    t.bias = e.bias ? e.bias + p.col + j : nullptr;
    t.relu = e.activation == kRelu;
  }
  t.copy = block.panel;
  *source = kInPlace;
  if (p.csb != 1 || (!kMaskedLoads && t.tail != n)) {
    pack_panel(t.b, p.rsb, p.csb, p.k, cols, block.panel, width * n);
    t.b = block.panel;
    *source = kStream;
  }
  t.ahead = t.row = t.b;
  return t;
}

// `rows` rows of C from row `begin` on, in as many tiles as the width of `t` needs.
// t.a is the first of these rows. A copy of the panel, once made, is used.
template <class T>
FASTNN_INLINE void multiply_tiles(const Block<T>& block, Tile<T>& t, Source& source,
                                  int64_t begin, int64_t rows, int64_t j,
                                  int64_t cols) {
  const Epilogue<T>& e = block.p.epilogue;
  const int64_t width = ceil_div(cols, lanes<T>);
  const int64_t tiles = rows <= kTileRows[width] ? 1 : ceil_div(rows, kTileRows[width]);
  const bool second_pass = block.last && e.second_pass();
  const bool relu_gradient = block.last && e.y && e.activation == kRelu && !second_pass;
  for (int64_t s = 0; s < tiles; ++s) {
    const int64_t height = tiles == 1 ? rows : divide(rows + s, tiles);
    t.c = block.p.c + begin * t.ldc + j;
    if (relu_gradient) {
      t.y = e.y + (block.p.row + begin) * e.rsy + block.p.col + j;
      t.ldy = e.rsy;
    }
    tile_table<T>().fn[source][width][height](t);
    if (second_pass) {
      finish<T>({t.c, t.ldc, block.p.row + begin, block.p.col + j, height, cols}, e,
                false);
    }
    if (source == kCopy) source = kStream, t.b = t.ahead = t.row = t.copy;
    t.a += height * t.rsa;
    begin += height;
  }
}

// How the last `lines` * `per_line` of some tiles share in fetching columns of B that
// come next, where they lie: one line each of some rows. No more than 1 per line would
// ask for more than L3 gives.
template <class T>
struct Ahead {
  const T* b;
  int64_t lines, per_line, first;
};

template <class T>
Ahead<T> fetching(const Product<T>& p, const T* b, int64_t cols, int64_t tiles,
                  int64_t most_per_line) {
  constexpr int64_t line = 64 / int64_t{sizeof(T)};
  if (!b) return {};
  const int64_t lines = ceil_div(cols, line) + (p.rsb % line != 0);
  const int64_t per_line = min_of(divide(tiles, lines), most_per_line);
  return {b, lines, per_line, tiles - per_line * lines};
}

// The share of tile i; false: none.
template <class T>
bool fetch(const Product<T>& p, const Ahead<T>& ahead, int64_t i, Tile<T>& t) {
  i -= ahead.first;
  if (i < 0 || ahead.per_line == 0) return false;
  const int64_t line = divide(i, ahead.per_line), rows = i - line * ahead.per_line;
  t.ahead = ahead.b + line * (64 / int64_t{sizeof(T)});
  t.ahead += divide(rows * p.k, ahead.per_line) * p.rsb;
  t.ahead_pair = ahead.per_line < kAheadSteps ? p.rsb : 0;
  t.ahead_step = t.ahead_pair + p.rsb;
  return true;
}

// Replaces the block's A by tiles of `tile_rows` rows, kMainRows elements per k.
template <class T>
void pack_tiles(Block<T>& block, int64_t tile_rows, T* buffer) {
  // A few k of every tile at a time: their lines are shared by neighbours.
  constexpr int64_t kStep = 16;
  Product<T>& p = block.p;
  const int64_t tiles = ceil_div(p.m, tile_rows);
  for (int64_t k = 0; k < p.k; k += kStep) {
    const T* src = p.a + k * p.csa;
    for (int64_t s = 0; s < tiles; ++s) {
      const int64_t height = divide(p.m + s, tiles);
      pack_columns(src, p.rsa, p.csa, min_of(kStep, p.k - k), height,
                   buffer + (s * p.k + k) * kMainRows, kMainRows);
      src += height * p.rsa;
    }
  }
  p.a = buffer;
  p.rsa = 1, p.csa = kMainRows;
  block.tiled = true;
}

// Replaces the block's A by a copy.
template <class T>
void pack_a(Block<T>& block, PackA how, int64_t tile_rows, T* buffer) {
  Product<T>& p = block.p;
  if (how == PackA::kRows) {
    const int64_t ld = p.k + kPackedGap;
    pack_rows(p.a, p.rsa, p.m, p.k, buffer, ld);
    p.rsa = ld;
    p.a = buffer;
  } else {
    pack_tiles(block, tile_rows, buffer);
  }
}

FASTNN_END_NAMESPACE
