// SPDX-License-Identifier: Apache-2.0
// C[m, n] = epilogue(A[m, k] B[k, n]): the loops around the microkernel.
//
// Three ways with the same bits, chosen in plan.hpp: B read in place, B packed in
// blocks for L2, or C^T = B^T A^T (then B is the operand with free strides) stored
// transposed.
#pragma once

#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

// A block of the whole product: its operands and what to do with C.
template <class T>
struct Block {
  Product<T> p;     // k is the length of this block of k
  bool accumulate;  // not the first block of k
  bool last;        // the last one: apply the epilogue
  bool packed;      // `panel` holds panels of B: column j at j * k
  T* panel;         // scratch
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
  *source = kInPlace;
  if (block.packed) {
    t.b = block.panel + j * p.k;
    *source = kPanel;
  } else if (p.csb != 1 || (!kMaskedLoads && t.tail != n)) {
    pack_panel(t.b, p.rsb, p.csb, p.k, cols, block.panel, width * n);
    t.b = block.panel;
    *source = kPanel;
  }
  t.ahead = t.b;
  return t;
}

// `rows` rows of C from row `begin` on, in as many tiles as the width of `t` needs.
// t.a is the first of these rows.
template <class T>
FASTNN_INLINE void multiply_tiles(const Block<T>& block, Tile<T>& t, Source source,
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
    kTileTable<T>.fn[source][width][height](t);
    if (second_pass) {
      finish<T>({t.c, t.ldc, block.p.row + begin, block.p.col + j, height, cols}, e,
                false);
    }
    t.a += height * t.rsa;
    begin += height;
  }
}

// One panel of B against all rows. Row tile i fetches line i of every row of the next
// panel into L2, where A is read in columns the rows of A of the next tile.
template <class T>
void run_panel(const Block<T>& block, int64_t j, int64_t cols) {
  const Product<T>& p = block.p;
  Source source;
  Tile<T> t = panel_tile(block, j, cols, &source);
  const int64_t tiles = ceil_div(p.m, kTileRows[ceil_div(cols, lanes<T>)]);
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t rows = divide(p.m + i, tiles);
    const int64_t line = i * (64 / static_cast<int64_t>(sizeof(T)));
    t.a = p.a + begin * p.rsa;
    t.ahead = t.b, t.ahead_step = 0;
    if (p.rsa == 1 && p.csa != 1) {
      t.ahead = t.a + rows, t.ahead_step = p.csa;
    } else if (p.csb == 1 && line <= kMainWidth * lanes<T> && j + cols + line < p.n) {
      t.ahead = p.b + j + cols + line, t.ahead_step = p.rsb;
    }
    multiply_tiles(block, t, source, begin, rows, j, cols);
    begin += rows;
  }
}

template <class T>
FASTNN_INLINE Block<T> block_of_k(const Product<T>& p, int64_t k0, int64_t kc,
                                  bool packed, T* buffer) {
  Block<T> block = {p, k0 > 0, k0 + kc == p.k, packed, buffer};
  block.p.k = kc;
  block.p.a += k0 * p.csa;
  block.p.b += k0 * p.rsb;
  return block;
}

// B where it lies: blocks of k, panels of columns, tiles of rows.
template <class T>
void run_in_place(const Product<T>& p, const Plan& plan, T* buffer) {
  int64_t k0 = 0;
  do {
    const int64_t kc = min_of(p.k - k0, plan.block_k);
    const Block<T> block = block_of_k(p, k0, kc, false, buffer);
    for (int64_t j = 0; j < p.n;) {
      const int64_t w = panel_width<T>(p.n - j, plan.width);
      const int64_t cols = min_of(w * lanes<T>, p.n - j);
      run_panel(block, j, cols);
      j += cols;
    }
    k0 += kc;
  } while (k0 < p.k);
}

// All panels of a block of B; few rows at a time where these are contiguous, so that
// memory is read along them.
template <class T>
void pack_block_b(const Block<T>& block, int width) {
  const Product<T>& p = block.p;
  const int64_t rows = p.csb == 1 ? 8 : p.k;
  for (int64_t r = 0; r < p.k; r += rows) {
    const int64_t count = min_of(rows, p.k - r);
    for (int64_t j = 0; j < p.n;) {
      const int64_t w = panel_width<T>(p.n - j, width) * lanes<T>;
      const int64_t cols = min_of(w, p.n - j);
      pack_panel(p.b + r * p.rsb + j * p.csb, p.rsb, p.csb, count, cols,
                 block.panel + j * p.k + r * w, w);
      j += cols;
    }
  }
}

// A tile of rows against all panels of the block. Panel q fetches row q of the next
// tile, or one panel the next columns.
template <class T>
void run_row(const Block<T>& block, int width, const Product<T>& a, int64_t begin,
             int64_t rows, const T* next, int64_t next_row, int64_t next_k) {
  const Product<T>& p = block.p;
  int64_t q = 0;
  for (int64_t j = 0; j < p.n; ++q) {
    const int64_t w = panel_width<T>(p.n - j, width);
    const int64_t cols = min_of(w * lanes<T>, p.n - j);
    Source source;
    Tile<T> t = panel_tile(block, j, cols, &source);
    t.a = a.a, t.rsa = a.rsa, t.csa = a.csa;
    if (next && q < rows) t.ahead = next + q * next_row, t.ahead_step = next_k;
    multiply_tiles(block, t, source, begin, rows, j, cols);
    j += cols;
  }
}

// Packs rows begin .. begin + rows, `tiles` tiles from number `first` on, and returns
// how to read them.
template <class T>
Product<T> pack_group(const Block<T>& block, PackA how, int64_t begin, int64_t rows,
                      int64_t first, int64_t tiles, int64_t all_tiles, T* buffer) {
  const Product<T>& p = block.p;
  Product<T> a = p;
  a.a += begin * p.rsa;
  if (how == PackA::kNo) return a;
  if (how == PackA::kRows) {
    const int64_t ld = p.k + kPackedGap;
    pack_rows(a.a, p.rsa, rows, p.k, buffer, ld);
    a.rsa = ld;
  } else {
    // A few k of every tile at a time: their lines are shared by neighbours.
    constexpr int64_t kStep = 16;
    for (int64_t k = 0; k < p.k; k += kStep) {
      const T* src = a.a + k * p.csa;
      for (int64_t s = 0; s < tiles; ++s) {
        const int64_t height = divide(p.m + first + s, all_tiles);
        pack_columns(src, p.rsa, p.csa, min_of(kStep, p.k - k), height,
                     buffer + (s * p.k + k) * kMainRows, kMainRows);
        src += height * p.rsa;
      }
    }
    a.rsa = 1, a.csa = kMainRows;
  }
  a.a = buffer;
  return a;
}

// The rows of a block, group by group; `a_buffer` holds a packed group.
template <class T>
void run_block(const Block<T>& block, const Plan& plan, T* a_buffer) {
  const Product<T>& p = block.p;
  const int64_t tiles = ceil_div(p.m, kTileRows[plan.width]);
  const bool columns = p.rsa == 1 && p.csa != 1, pack = plan.pack_a != PackA::kNo;
  int64_t begin = 0;
  for (int64_t i = 0; i < tiles;) {
    const int64_t end = min_of(i + plan.group, tiles);
    int64_t rows = 0;
    for (int64_t s = i; s < end; ++s)
      rows += divide(p.m + s, tiles);
    const int64_t after = begin + rows;
    Product<T> a =
        pack_group(block, plan.pack_a, begin, rows, i, end - i, tiles, a_buffer);
    for (; i < end; ++i) {
      const int64_t height = divide(p.m + i, tiles);
      // Fetched meanwhile: the next tile in place, or of the next group.
      const int64_t next = pack ? after : begin + height;
      run_row(block, plan.width, a, begin, height,
              next < p.m ? p.a + next * p.rsa : nullptr, columns ? 0 : p.rsa,
              columns ? p.csa : 1);
      a.a += plan.pack_a == PackA::kColumns ? p.k * kMainRows : height * a.rsa;
      begin += height;
    }
  }
}

// The last block takes a rest that would fill one vector only.
template <class T>
FASTNN_INLINE int64_t join_rest(int64_t left, int64_t block_n) {
  return left - block_n <= lanes<T> ? left : block_n;
}

// B in packed blocks that stay in L2 while all rows pass.
template <class T>
void run_packed(const Product<T>& p, const Plan& plan, T* buffer) {
  T* const a_buffer = buffer + block_elements<T>(p.k);
  for (int64_t j = 0; j < p.n;) {
    const int64_t cols = join_rest<T>(p.n - j, plan.block_n);
    int64_t k0 = 0;
    do {
      const int64_t kc = min_of(p.k - k0, plan.block_k);
      Block<T> block = block_of_k(p, k0, kc, true, buffer);
      block.p.n = cols;
      block.p.b += j * p.csb;
      block.p.c += j;
      block.p.col += j;
      pack_block_b(block, plan.width);
      run_block(block, plan, a_buffer);
      k0 += kc;
    } while (k0 < p.k);
    j += cols;
  }
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
  const Block<T> block = {p, false, false, false, buffer};
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
  if (transposed) return run_transposed(p, buffer);
  const Plan plan = plan_rows(p);
  return plan.packed ? run_packed(p, plan, buffer) : run_in_place(p, plan, buffer);
}

FASTNN_END_NAMESPACE
