// SPDX-License-Identifier: Apache-2.0
// C[m, n] = epilogue(A[m, k] B[k, n]): the loops around the microkernel.
//
// A may have any strides, B is read in place when its rows are contiguous. Otherwise
// there are two ways, with the same bits: copy B into panels, or compute
// C^T = B^T A^T (then B is the operand with free strides) and store transposed.
#pragma once

#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

// A block of the whole product: its operands and what to do with C.
template <class T>
struct Block {
  Product<T> p;     // k is the length of this block of k
  bool accumulate;  // not the first block of k
  bool last;        // the last one: apply the epilogue
  bool pack_b;
  T* panel;        // scratch for one panel of B
  int64_t a_tile;  // A in tiles of kMainRows rows, this far apart; 0: by strides
};

// Replaces the block's A by a copy.
template <class T>
void pack_a(Block<T>& block, PackA how, T* buffer) {
  Product<T>& p = block.p;
  if (how == PackA::kRows) {
    const int64_t ld = p.k + kPackedGap;
    pack_block(p.a, p.rsa, p.m, p.k, buffer, ld);
    p.rsa = ld;
  } else {
    block.a_tile = p.k * kMainRows;
    for (int64_t i = 0; i < p.m; i += kMainRows) {
      const int64_t rows = min_of(kMainRows, p.m - i);
      pack_block(p.a + i, p.csa, p.k, rows, buffer + i * p.k, kMainRows);
    }
    p.csa = kMainRows;
  }
  p.a = buffer;
}

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
  *source = kInPlace;
  if (block.pack_b || (!kMaskedLoads && t.tail != n)) {
    pack_panel(t.b, p.rsb, p.csb, p.k, cols, block.panel, width * n);
    t.b = t.ahead = block.panel;
    *source = kPanel;
  }
  return t;
}

// What row block i fetches while it works: the rows of A of the next block where these
// are columns in memory, which the hardware does not follow; else one line of every
// row of the next panel of B, for L2.
template <class T>
void set_ahead(const Block<T>& block, int64_t i, int64_t rows, int64_t next_j,
               Tile<T>& t) {
  const Product<T>& p = block.p;
  const int64_t line = i * (64 / static_cast<int64_t>(sizeof(T)));
  t.ahead = t.b, t.ahead_step = 0;
  if (p.rsa == 1 && !block.a_tile) {
    t.ahead = t.a + rows, t.ahead_step = p.csa;
  } else if (p.csb == 1 && line <= kMainWidth * lanes<T> && next_j + line < p.n) {
    t.ahead = p.b + next_j + line, t.ahead_step = p.rsb;
  }
}

template <class T>
void run_panel(const Block<T>& block, int64_t j, int64_t cols) {
  const Product<T>& p = block.p;
  Source source;
  Tile<T> t = panel_tile(block, j, cols, &source);
  const int64_t width = ceil_div(cols, lanes<T>);
  const int64_t tallest = block.a_tile ? kMainRows : kTileRows[width];
  const int64_t blocks = ceil_div(p.m, tallest);
  const Epilogue<T>& e = p.epilogue;
  const bool second_pass = block.last && e.second_pass();
  const bool relu_gradient = block.last && e.y && e.activation == kRelu && !second_pass;
  // Tiles of equal height, or of kMainRows where A is packed so.
  const int64_t height = block.a_tile ? kMainRows : divide(p.m, blocks);
  const int64_t taller = block.a_tile ? 0 : p.m - height * blocks;
  for (int64_t i = 0, begin = 0; begin < p.m; ++i) {
    const int64_t rows = min_of(height + (i < taller), p.m - begin);
    t.a = p.a + (block.a_tile ? i * block.a_tile : begin * p.rsa);
    t.c = p.c + begin * p.ldc + j;
    if (relu_gradient) {
      t.y = e.y + (p.row + begin) * e.rsy + p.col + j;
      t.ldy = e.rsy;
    }
    set_ahead(block, i, rows, j + cols, t);
    kTileTable<T>.fn[source][width][rows](t);
    if (second_pass) {
      finish<T>({t.c, t.ldc, p.row + begin, p.col + j, rows, cols}, e, false);
    }
    begin += rows;
  }
}

// C by rows: blocks of k, of rows where A is packed, panels of columns, tiles of rows.
template <class T>
void run_rows(const Product<T>& p, T* buffer) {
  const Plan plan = plan_rows(p);
  T* const a_buffer = buffer + panel_elements<T>(min_of(p.k, kBlockK));
  int64_t k0 = 0;
  do {
    const int64_t kc = min_of(p.k - k0, plan.block_k);
    for (int64_t i0 = 0; i0 < p.m; i0 += plan.block_m) {
      Block<T> block = {p, k0 > 0, k0 + kc == p.k, plan.pack_b, buffer, 0};
      Product<T>& q = block.p;
      q.m = min_of(plan.block_m, p.m - i0);
      q.k = kc;
      q.a += i0 * p.rsa + k0 * p.csa;
      q.b += k0 * p.rsb;
      q.c += i0 * p.ldc;
      q.row += i0;
      if (plan.pack_a != PackA::kNo) pack_a(block, plan.pack_a, a_buffer);
      for (int64_t j = 0; j < p.n;) {
        const int64_t w = panel_width<T>(p.n - j, plan.width, block.a_tile != 0);
        const int64_t cols = min_of(w * lanes<T>, p.n - j);
        run_panel(block, j, cols);
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
  Block<T> block = {p, false, false, p.csb != 1, buffer, 0};
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
        kTileTable<T>.fn[source][w][end - begin](t);
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
  if (!transposed) return run_rows(p, buffer);
  run_transposed(p, buffer);
}

FASTNN_END_NAMESPACE
