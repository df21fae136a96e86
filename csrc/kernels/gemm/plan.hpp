// SPDX-License-Identifier: Apache-2.0
// What is multiplied, and how: the choices, by shape and strides, that product.hpp
// carries out. All of them give the same bits.
#pragma once

#include "kernels/gemm/epilogue.hpp"

FASTNN_BEGIN_NAMESPACE

template <class T>
struct Product {
  int64_t m, n, k;
  const T* a;
  int64_t rsa, csa;
  const T* b;
  int64_t rsb, csb;
  T* c;
  int64_t ldc;
  Epilogue<T> epilogue;
  // Where row 0 and column 0 of this part lie in the whole C.
  int64_t row = 0, col = 0;
};

// 64-bit division takes up to 90 cycles on common CPUs, as long as a small tile.
FASTNN_INLINE int64_t divide(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}
FASTNN_INLINE int64_t ceil_div(int64_t a, int64_t b) { return divide(a + b - 1, b); }
FASTNN_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
FASTNN_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

// A stride along a dimension of size 1 says nothing: take the one that helps.
template <class T>
void normalise(Product<T>& p) {
  if (p.n == 1) p.csb = 1;
  if (p.m == 1) p.rsa = 1;
}

// True: compute C^T. In units of vector multiply-adds, with two of them per cycle and
// about 0.4 cycles per transposed element (64 shuffles for a 16 x 16 block). Decided on
// the whole product, before it is divided between parts.
template <class T>
bool prefers_transposed(const Product<T>& p) {
  const int64_t n = lanes<T>;
  if (p.n == 1 && p.csa == 1) return p.m > 1;  // single_row.hpp
  const int64_t bytes = p.k * p.n * int64_t{sizeof(T)};
  if (p.k > kMaxTransposedK || bytes > kTransposedBBytes) return false;
  const double rows =
      0.5 * p.m * ceil_div(p.n, n) * p.k + (p.csb == 1 ? 0 : 0.4) * p.k * p.n;
  const double columns = 0.5 * p.n * ceil_div(p.m, n) * p.k + 0.4 * p.m * p.n +
                         (p.rsa == 1 ? 0 : 0.4) * p.m * p.k;
  return columns < rows;
}

template <class T>
void transpose_operands(Product<T>& p) {
  Product<T> q = p;
  q.m = p.n, q.n = p.m;
  q.row = p.col, q.col = p.row;
  q.a = p.b, q.rsa = p.csb, q.csa = p.rsb;
  q.b = p.a, q.rsb = p.csa, q.csb = p.rsa;
  p = q;
}

// The widest tile that takes all m rows at once, so that B is read once.
FASTNN_INLINE int tile_width(int64_t m) {
  int width = kMaxWidth;
  while (width > kMainWidth && kTileRows[width] < m)
    --width;
  return width;
}

// Vectors of the next panel when `left` columns remain: full panels, then a rest that
// is not a single vector (such tiles are slower).
template <class T>
FASTNN_INLINE int64_t panel_width(int64_t left, int width) {
  const int64_t vectors = ceil_div(left, lanes<T>);
  if (vectors == width + 1 && width < kMaxWidth && kTileRows[width + 1] > 1) {
    return width + 1;
  }
  return min_of(vectors, width);
}

// What is done to A before it meets packed panels of B.
enum class PackA { kNo, kRows, kColumns };

// Carried out by small.hpp.
template <class T>
FASTNN_INLINE bool is_small(const Product<T>& p) {
  const int64_t most = p.csa == 1 ? kSmallProduct : kSmallColumns;
  return p.csb == 1 && p.m * p.k * p.n <= most && (kMaskedLoads || p.n % lanes<T> == 0);
}

// How the loops treat one product.
struct Plan {
  PackA pack_a;
  int width;        // vectors of a full panel
  int64_t block_k;  // of equal size, as few as allowed
  int64_t block_m;  // rows of A that stay in L2
};

// A in place costs nothing while its rows are contiguous and lie in different cache
// sets. As columns (the x^T of a weight gradient) it touches a line per k for a few
// elements: 67 % of the peak in place, 96 % packed (Cascade Lake, k = 128).
template <class T>
PackA choose_pack_a(const Product<T>& p) {
  const int64_t size = sizeof(T), main_columns = kMainWidth * lanes<T>;
  if (p.csa == 1) {
    const bool alias = p.rsa * size % kAliasBytes == 0;
    return alias && p.n >= 4 * main_columns ? PackA::kRows : PackA::kNo;
  }
  const bool pays = p.k >= kPackColumnsK && p.n >= main_columns;
  return pays ? PackA::kColumns : PackA::kNo;
}

template <class T>
FASTNN_INLINE int64_t rows_per_block(int64_t k) {
  const int64_t rows = divide(kBlockABytes, (k + kPackedGap) * int64_t{sizeof(T)});
  return rows > kTileRows[1] ? rows : kTileRows[1];
}

template <class T>
Plan plan_rows(const Product<T>& p) {
  Plan plan;
  plan.pack_a = p.m >= kPackRows ? choose_pack_a(p) : PackA::kNo;
  plan.width = tile_width(p.m);
  plan.block_k = p.k <= kBlockK ? p.k : ceil_div(p.k, ceil_div(p.k, kBlockK));
  const int64_t tile = kTileRows[plan.width], most = rows_per_block<T>(plan.block_k);
  const int64_t blocks = ceil_div(p.m + (p.m == 0), most);
  plan.block_m = ceil_div(ceil_div(p.m, blocks), tile) * tile;
  return plan;
}

// Carried out by blocks.hpp.
template <class T>
FASTNN_INLINE bool is_large(const Product<T>& p) {
  if (p.csa != 1 && p.k <= kPanelInL1K) return false;
  return p.m >= kLargeRows && p.n >= kLargeColumns * lanes<T> && p.k >= kLargeK;
}

// Sizes of the blocks of a large product, but for the last ones.
struct BlockPlan {
  int64_t k, cols, rows;
  bool copies_rows;  // the first block of columns leaves a copy of A for the others
};

// Bounds for any share of a product.
template <class T>
inline constexpr int64_t kBlockElements =  // of the copy of a block of B
    kBlockBBytes / int64_t{sizeof(T)} + kBlockK * lanes<T>;
template <class T>
int64_t tiled_elements(int64_t rows, int64_t k) {
  const int64_t resident = kResidentABytes / int64_t{sizeof(T)} + kMainRows * kBlockK;
  const int64_t tiled = (rows + kMainRows) * k;
  return tiled > resident ? tiled : resident;
}

template <class T>
BlockPlan plan_blocks(const Product<T>& p) {
  constexpr int64_t wide = int64_t{kMainWidth} * lanes<T>;
  BlockPlan plan;
  // A that stays in L2 is read again for every panel, else for every block.
  const bool stays = p.m * p.k * int64_t{sizeof(T)} <= kResidentABytes;
  plan.k = ceil_div(p.k, ceil_div(p.k, stays ? kBlockK : kLargeBlockK));
  const int64_t bytes = plan.k * wide * int64_t{sizeof(T)};
  const int64_t fit = stays ? 1 : min_of(kMostPanels, kBlockBBytes / bytes);
  const int64_t most = fit > 0 ? fit : 1;
  // A single vector that is left joins the last panel.
  const int64_t vectors = ceil_div(p.n, lanes<T>);
  const int64_t panels = ceil_div(vectors - 1, kMainWidth);
  plan.cols = ceil_div(panels, ceil_div(panels, most)) * wide;
  plan.copies_rows = p.csa == 1 && !stays && p.n >= kCopiedColumns * lanes<T> &&
                     p.rsa * int64_t{sizeof(T)} % kSetBytes == 0;
  const int64_t most_rows = plan.copies_rows ? kCopiedRows : kTiledRows;
  plan.rows = p.csa == 1 && !plan.copies_rows ? p.m : min_of(p.m, most_rows);
  return plan;
}

// Elements of the copy of a panel of any width.
template <class T>
FASTNN_INLINE int64_t panel_elements(int64_t k) {
  return k * kMaxWidth * lanes<T>;
}
// Scratch of a product and of any share of it: copies of columns of B and rows of A.
template <class T>
int64_t scratch_elements(const Product<T>& p, bool transposed) {
  if (transposed || is_small(p)) return panel_elements<T>(p.k);
  int64_t blocks = 0;
  if (is_large(p)) {
    const BlockPlan plan = plan_blocks(p);
    blocks = kBlockElements<T>;
    if (p.csa != 1) blocks += tiled_elements<T>(plan.rows, plan.k);
    if (plan.copies_rows) blocks += plan.rows * (plan.k + kPackedGap);
  }
  // A share may be too small for that.
  const Plan plan = plan_rows(p);
  int64_t rows = panel_elements<T>(plan.block_k);
  if (plan.pack_a != PackA::kNo) {
    // A share of the rows may choose other blocks, but none with more.
    const int64_t most = min_of(p.m, rows_per_block<T>(plan.block_k)) + 2 * kMainRows;
    rows += most * (plan.block_k + kPackedGap);
  }
  return blocks > rows ? blocks : rows;
}

FASTNN_END_NAMESPACE
