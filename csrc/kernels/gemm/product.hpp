// SPDX-License-Identifier: Apache-2.0
// C[m, n] = epilogue(A[m, k] B[k, n]): the loops around the microkernel.
//
// Three ways with the same bits, chosen in plan.hpp: large products by blocks of B
// (blocks.hpp), others by rows, or as C^T = B^T A^T (then B is the operand with free
// strides) stored transposed.
#pragma once

#include "kernels/gemm/blocks.hpp"
#include "kernels/gemm/single_row.hpp"
#include "kernels/gemm/small.hpp"

FASTNN_BEGIN_NAMESPACE

// Tiles i and those below of the same height, in one call; how many that were. Called
// one by one, a tile of 128 steps takes 6 % longer.
template <class T>
int64_t multiply_same(const Block<T>& block, Tile<T>& t, Source source, int64_t i,
                      int64_t tiles, int64_t rows, int64_t width) {
  const Product<T>& p = block.p;
  const int64_t low = tiles - (p.m - divide(p.m, tiles) * tiles);
  t.count = (i < low ? low : tiles) - i;
  t.below = block.tiled ? p.k * kMainRows : 0;
  tile_table<T>().fn[source][width][rows](t);
  const int64_t count = t.count;
  t.count = 1;
  return count;
}

// One panel of B against all rows of the block.
template <class T>
void run_panel(const Block<T>& block, int64_t j, int64_t cols, int width) {
  const Product<T>& p = block.p;
  Source source;
  Tile<T> t = panel_tile(block, j, cols, &source);
  const int64_t wide = ceil_div(cols, lanes<T>);
  const int64_t tiles = ceil_div(p.m, kTileRows[block.tiled ? width : wide]);
  const int64_t left = p.n - j - cols;
  const auto next = fetching(p, p.csb == 1 && left > 0 ? t.b + cols : nullptr,
                             min_of(kMainWidth * lanes<T>, left), tiles, tiles);
  const bool alias = p.rsb * static_cast<int64_t>(sizeof(T)) % kAliasBytes == 0;
  const int64_t most = alias ? kMostAliasedTiles : kMostInPlaceTiles;
  if (source == kInPlace && tiles > most) source = kCopy;
  const bool fetches = source == kInPlace && next.per_line > 1;
  const bool plain = !block.last || (!p.epilogue.y && !p.epilogue.second_pass());
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t rows = divide(p.m + i, tiles);
    t.a = p.a + (block.tiled ? i * p.k * kMainRows : begin * p.rsa);
    if (source == kStream && plain && rows <= kTileRows[wide]) {
      t.c = p.c + begin * t.ldc + j;
      const int64_t count = multiply_same(block, t, source, i, tiles, rows, wide);
      begin += rows * count, i += count - 1;
      continue;
    }
    if (fetches) source = fetch(p, next, i, t) ? kAhead : kInPlace;
    multiply_tiles(block, t, source, begin, rows, j, cols);
    begin += rows;
  }
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
  if (is_large(p)) return run_blocks(p, buffer);
  run_rows(p, buffer);
}

FASTNN_END_NAMESPACE
