// SPDX-License-Identifier: Apache-2.0
// Large products: a block of B, as panels in L2, meets all rows of A.
//
// What lies beyond L2 comes at 35 cycles per line when it is waited for (Cascade Lake,
// virtual machine): B alone is then 10 % of 512 x 784 x 784. So everything is fetched
// while something else is multiplied: the next rows of A and the next block of B by
// lines spread over the steps of k, the tile of C that comes next at the start of this
// one, and the first tile of rows leaves the copy of B behind while it computes.
//
// Best share of the FMA peak that any run reached on one thread, in brackets that of
// run_rows: 128 x 784 x 784 83 % (75), 512 x 784 x 784 77 % (75), 512^3 86 % (80),
// 1024^3 75 % (62). Tried and worse: A packed in tiles with kernels unrolled for them
// (2 to 5 % less), A copied away from a stride of 4 KiB (as good), blocks of 600 KB
// (5 %), tiles of 12 x 32 and 14 x 32 (5 %), B copied apart, row by row (3 to 6 %).
#pragma once

#include "kernels/gemm/panel.hpp"

FASTNN_BEGIN_NAMESPACE

// The panels of a block of B, and how they are read at the moment.
template <class T>
struct PanelsOfBlock {
  int64_t count = 0;
  Tile<T> tile[kMostPanels];
  Source source[kMostPanels];
  int64_t col[kMostPanels], cols[kMostPanels];
};

// Cuts the columns begin .. end. What tiles cannot read in place is packed here, the
// rest by the first tile that meets it.
template <class T>
void cut_panels(Block<T> block, int64_t begin, int64_t end, PanelsOfBlock<T>& out) {
  for (int64_t j = begin; j < end;) {
    const int64_t width = panel_width<T>(end - j, kMainWidth), i = out.count++;
    const int64_t cols = min_of(width * lanes<T>, end - j);
    out.col[i] = j, out.cols[i] = cols;
    out.tile[i] = panel_tile(block, j, cols, &out.source[i]);
    if (out.source[i] == kInPlace) out.source[i] = kCopy;
    block.panel += width * lanes<T> * block.p.k;
    j += cols;
  }
}

// Every tile of rows meets all panels. `next`: where the next block of B lies; `copy`:
// where rows of A go, kPackedGap more than k apart, and are then read; nullptr:
// nowhere.
template <class T>
void run_block(const Block<T>& block, int64_t begin_col, int64_t end_col, const T* next,
               T* copy) {
  const Product<T>& p = block.p;
  PanelsOfBlock<T> panels;
  cut_panels(block, begin_col, end_col, panels);
  const int64_t tiles = ceil_div(p.m, kMainRows), count = panels.count;
  const auto ahead =
      fetching(p, next, end_col - begin_col, tiles * count, kTilesPerLine);
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t rows = divide(p.m + i, tiles);
    const T* const a = p.a + (block.tiled ? i * p.k * kMainRows : begin * p.rsa);
    T* const copied = copy ? copy + begin * (p.k + kPackedGap) : nullptr;
    if (copy) pack_rows(a, p.rsa, rows, p.k, copied, p.k + kPackedGap);
    for (int64_t q = 0; q < count; ++q) {
      Tile<T>& t = panels.tile[q];
      t.a = copy ? copied : a;
      if (copy) t.rsa = p.k + kPackedGap;
      t.row = block.tiled ? a + (kMainRows + q) * p.k
              : q < rows  ? a + (rows + q) * p.rsa
                          : t.b;
      if (!fetch(p, ahead, i * count + q, t)) t.ahead = t.b, t.ahead_step = 0;
      t.late = p.k >= kLateSteps;
      if (block.accumulate) {
        const bool last = q + 1 == count;
        t.fetch = last ? rows * p.ldc + begin_col : panels.col[q + 1];
        t.fetch -= panels.col[q];
      }
      multiply_tiles(block, t, panels.source[q], begin, rows, panels.col[q],
                     panels.cols[q]);
    }
    begin += rows;
  }
}

// Blocks of rows (only where A has to be packed), of k, of columns.
template <class T>
void run_blocks(const Product<T>& p, T* buffer) {
  const BlockPlan plan = plan_blocks(p);
  for (int64_t i = 0; i < p.m; i += plan.rows) {
    for (int64_t k0 = 0; k0 < p.k; k0 += plan.k) {
      const int64_t kc = min_of(p.k - k0, plan.k);
      Block<T> block = {p, k0 > 0, k0 + kc == p.k, buffer, false};
      Product<T>& q = block.p;
      q.m = min_of(plan.rows, p.m - i), q.k = kc;
      q.a += i * p.rsa + k0 * p.csa;
      q.b += k0 * p.rsb;
      q.c += i * p.ldc, q.row += i;
      T* const a_buffer = buffer + kBlockElements<T>;
      if (p.csa != 1) pack_tiles(block, kMainRows, a_buffer);
      for (int64_t j = 0; j < p.n;) {
        const bool rest = p.n - j - plan.cols <= lanes<T>;
        const int64_t end = rest ? p.n : j + plan.cols;
        const T* next = nullptr;
        if (p.csb == 1 && !rest) next = q.b + end;
        if (p.csb == 1 && rest && !block.last) next = q.b + kc * p.rsb;
        const bool copies = plan.copies_rows && j == 0;
        run_block(block, j, end, next, copies ? a_buffer : nullptr);
        if (copies) q.a = a_buffer, q.rsa = kc + kPackedGap;
        j = end;
      }
    }
  }
}

FASTNN_END_NAMESPACE
