// SPDX-License-Identifier: Apache-2.0
// C[m, n] = epilogue(A[m, k] B[k, n]): the loops around the microkernel.
//
// Two ways with the same bits, chosen in plan.hpp: by rows, or C^T = B^T A^T (then B is
// the operand with free strides) stored transposed.
#pragma once

#include "kernels/gemm/single_row.hpp"
#include "kernels/gemm/small.hpp"

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
    *source = kPanel;
  }
  t.ahead = t.b;
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
    if (source == kCopy) source = kPanel, t.b = t.ahead = t.copy;
    t.a += height * t.rsa;
    begin += height;
  }
}

// How many tiles fetch the same line of the next panel's rows, each of other rows: 0 to
// 1 of them would ask for more than L3 gives.
struct Ahead {
  int64_t lines, per_line;
};

template <class T>
Ahead fetching(const Product<T>& p, int64_t j, int64_t tiles) {
  constexpr int64_t line = 64 / int64_t{sizeof(T)};
  if (p.csb != 1 || j >= p.n) return {};
  const int64_t cols = min_of(kMainWidth * lanes<T>, p.n - j);
  const int64_t lines = ceil_div(cols, line) + (p.rsb % line != 0);
  return {lines, divide(tiles, lines)};
}

// The share of tile i in fetching the panel that begins at column j; false: none.
template <class T>
bool fetch(const Product<T>& p, int64_t j, const Ahead& ahead, int64_t i, Tile<T>& t) {
  const int64_t line = divide(i, ahead.per_line), rows = i - line * ahead.per_line;
  if (line >= ahead.lines) return false;
  t.ahead = p.b + j + line * (64 / int64_t{sizeof(T)});
  t.ahead += divide(rows * p.k, ahead.per_line) * p.rsb;
  t.ahead_pair = ahead.per_line < kAheadSteps ? p.rsb : 0;
  t.ahead_step = t.ahead_pair + p.rsb;
  return true;
}

// One panel of B against all rows of the block.
template <class T>
void run_panel(const Block<T>& block, int64_t j, int64_t cols, int width) {
  const Product<T>& p = block.p;
  Source source;
  Tile<T> t = panel_tile(block, j, cols, &source);
  const int64_t wide = ceil_div(cols, lanes<T>);
  const int64_t tiles = ceil_div(p.m, kTileRows[block.tiled ? width : wide]);
  const Ahead next = fetching(p, j + cols, tiles);
  const bool alias = p.rsb * static_cast<int64_t>(sizeof(T)) % kAliasBytes == 0;
  const int64_t most = alias ? kMostAliasedTiles : kMostInPlaceTiles;
  if (source == kInPlace && tiles > most) source = kCopy;
  const bool fetches = source == kInPlace && next.per_line > 1;
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t rows = divide(p.m + i, tiles);
    t.a = p.a + (block.tiled ? i * p.k * kMainRows : begin * p.rsa);
    if (fetches) source = fetch(p, j + cols, next, i, t) ? kAhead : kInPlace;
    multiply_tiles(block, t, source, begin, rows, j, cols);
    begin += rows;
  }
}

// Replaces the block's A by a copy.
template <class T>
void pack_a(Block<T>& block, PackA how, int64_t tile_rows, T* buffer) {
  Product<T>& p = block.p;
  if (how == PackA::kRows) {
    const int64_t ld = p.k + kPackedGap;
    pack_rows(p.a, p.rsa, p.m, p.k, buffer, ld);
    p.rsa = ld;
  } else {
    // A few k of every tile at a time: their lines are shared by neighbours.
    constexpr int64_t kStep = 16;
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
    p.rsa = 1, p.csa = kMainRows;
    block.tiled = true;
  }
  p.a = buffer;
}

// Blocks of k, of rows of A that stay in L2, panels of B, tiles of rows.
template <class T>
void run_rows(const Product<T>& p, T* buffer) {
  const Plan plan = plan_rows(p);
  T* const a_buffer = buffer + panel_elements<T>(plan.block_k);
  int64_t k0 = 0;
  do {
    const int64_t kc = min_of(p.k - k0, plan.block_k);
    for (int64_t i0 = 0; i0 < p.m; i0 += plan.block_m) {
      Block<T> block = {p, k0 > 0, k0 + kc == p.k, buffer, false};
      Product<T>& q = block.p;
      q.m = min_of(plan.block_m, p.m - i0), q.k = kc;
      q.a += i0 * p.rsa + k0 * p.csa;
      q.b += k0 * p.rsb;
      q.c += i0 * p.ldc, q.row += i0;
      if (plan.pack_a != PackA::kNo) {
        pack_a(block, plan.pack_a, kTileRows[plan.width], a_buffer);
      }
      for (int64_t j = 0; j < p.n;) {
        const int64_t w = panel_width<T>(p.n - j, plan.width);
        const int64_t cols = min_of(w * lanes<T>, p.n - j);
        run_panel(block, j, cols, plan.width);
        j += cols;
      }
    }
    k0 += kc;
  } while (k0 < p.k);
}

// Stores columns j .. j + cols of C^T's rows i .. i + rows, which stand in `strip`, as
// rows of C.
template <class T>
void store_strip(const Product<T>& p, const T* strip, int64_t ld, int64_t i,
                 int64_t rows, int64_t j, int64_t cols) {
  constexpr int n = lanes<T>;
  for (int64_t q = 0; q < cols; q += n) {
    Vec<T> v[n];
    const int valid = clip<T>(cols - q);
    load_transposed(strip + q, ld, static_cast<int>(rows), n, v);
    T* c = p.c + (j + q) * p.ldc + i;
    for (int r = 0; r < valid; ++r)
      store_n(c + r * p.ldc, v[r], static_cast<int>(rows));
  }
  const Region<T> region = {p.c + j * p.ldc + i, p.ldc, p.col + j,
                            p.row + i,           cols,  rows};
  if (p.epilogue.activation != kLinear || p.epilogue.bias)
    finish(region, p.epilogue, true);
}

// `p` describes C^T; ldc is the stride between the rows of C. Strips of one vector of
// rows of C^T are computed into L1 and stored transposed.
template <class T>
void run_transposed(const Product<T>& p, T* buffer) {
  constexpr int n = lanes<T>;
  alignas(64) T strip[n * kMaxWidth * n];
  const int width = tile_width(p.m);
  const Block<T> block = {p, false, false, buffer, false};
  for (int64_t j = 0; j < p.n;) {
    const int64_t w = panel_width<T>(p.n - j, width), ld = w * n;
    const int64_t cols = min_of(ld, p.n - j);
    Source source;
    Tile<T> t = panel_tile(block, j, cols, &source);
    t.ldc = ld;
    for (int64_t i = 0; i < p.m; i += n) {
      const int64_t rows = min_of(n, p.m - i), blocks = ceil_div(rows, kTileRows[w]);
      for (int64_t s = 0; s < blocks; ++s) {
        const int64_t begin = divide(rows * s, blocks);
        const int64_t end = divide(rows * (s + 1), blocks);
        t.a = p.a + (i + begin) * p.rsa;
        t.c = strip + begin * ld;
        tile_table<T>().fn[source][w][end - begin](t);
      }
      store_strip(p, strip, ld, i, rows, j, cols);
    }
    j += cols;
  }
}

// Computes a part of a product; `transposed` was decided on the whole one.
template <class T>
void run_product(Product<T> p, bool transposed, T* buffer) {
  if (p.m == 0 || p.n == 0) return;
  normalise(p);
  if (is_single_row(p, transposed)) return run_single_row(p, transposed);
  // A row that is a column of C: stored as it comes.
  const bool plain = p.m == 1 && p.ldc == 1 && p.epilogue.is_none();
  if (transposed && !plain) return run_transposed(p, buffer);
  if (is_small(p)) return run_small(p);
  run_rows(p, buffer);
}

FASTNN_END_NAMESPACE
