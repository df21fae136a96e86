// SPDX-License-Identifier: Apache-2.0
// Products of bfloat16 matrices, summed in float32.
//
// Operands are copied as pairs along k, the form that vdpbf16ps takes: a 32-bit lane
// holds element 2p in its high half and 2p + 1 in its low half. Intel defines the
// instruction as two fused multiply-adds rounded to nearest, that of the high halves
// first. So every element of C is one chain of multiply-adds over k in ascending order:
// that of the float32 kernels on widened operands, with the same bits. The emulation
// (`WidenedDot`) guarantees them.
//
// The instruction may differ: it reads denormals as zero and flushes denormal sums (an
// absolute error of at most 2^-126 (|a| + |b| + 1) per k), and a CPU that rounds once
// per pair instead of twice stays within the same bound of k 2^-24 sum |a b|.
#pragma once

#include "base/half.hpp"
#include "base/scratch.hpp"
#include "kernels/gemm/half_product.hpp"
#include "kernels/gemm/plan.hpp"
#include "kernels/simd/widen.hpp"

FASTNN_BEGIN_NAMESPACE

// Without the instruction: a pair of B is two vectors of floats, and A is widened when
// it is packed.
struct WidenedDot {
  using A = float;
  using B = Vec<float>;
  static constexpr int kSteps = 2;  // elements of packed A per pair
  static FASTNN_INLINE void pack(uint16_t even, uint16_t odd, A* to, int64_t step) {
    to[0] = __builtin_bit_cast(float, static_cast<uint32_t>(even) << 16);
    to[step] = __builtin_bit_cast(float, static_cast<uint32_t>(odd) << 16);
  }
  template <int step>
  static FASTNN_INLINE B operand(Vec<uint32_t> pairs) {
    return step == 0 ? (B)(pairs & 0xffff0000u) : (B)(pairs << 16);
  }
  static FASTNN_INLINE Vec<float> add(Vec<float> sum, A a, B b) { return sum + a * b; }
};

// With it, or with any function that does the same: `Dot` is vdpbf16ps.
template <Vec<float> (*dot)(Vec<float>, uint32_t, Vec<uint32_t>)>
struct PairedDot {
  using A = uint32_t;
  using B = Vec<uint32_t>;
  static constexpr int kSteps = 1;
  static FASTNN_INLINE void pack(uint16_t even, uint16_t odd, A* to, int64_t) {
    to[0] = static_cast<uint32_t>(even) << 16 | odd;
  }
  template <int step>
  static FASTNN_INLINE B operand(Vec<uint32_t> pairs) {
    return pairs;
  }
  static FASTNN_INLINE Vec<float> add(Vec<float> sum, A a, B b) {
    return dot(sum, a, b);
  }
};

inline constexpr int kPairWidth = kMainWidth;  // vectors of a panel of B
inline constexpr int64_t kPairColumns = int64_t{kPairWidth} * lanes<float>;
inline constexpr int64_t kBlockPairs = kBlockK;  // a panel takes as much as in float32

// ---- packing

// A row of A, or what its columns hold of one: pairs `step` elements apart.
template <class Dot>
void pack_line(const uint16_t* a, int64_t stride, int64_t k, typename Dot::A* to,
               int64_t step) {
  const int64_t pairs = k / 2;
  if (stride == 1 && step == 1) {
    for (int64_t p = 0; p < pairs; ++p)
      Dot::pack(a[2 * p], a[2 * p + 1], to + p * Dot::kSteps, 1);
  } else {
    for (int64_t p = 0; p < pairs; ++p) {
      Dot::pack(a[2 * p * stride], a[(2 * p + 1) * stride], to + p * Dot::kSteps * step,
                step);
    }
  }
  if (k % 2) Dot::pack(a[(k - 1) * stride], 0, to + pairs * Dot::kSteps * step, step);
}

// A tile of A whose rows are neighbours in memory, as columns kMainRows apart.
template <class Dot>
void pack_tile(const uint16_t* a, int64_t csa, int64_t k, int64_t rows,
               typename Dot::A* to) {
  if (rows < kMainRows) {
    for (int64_t i = 0; i < rows; ++i)
      pack_line<Dot>(a + i, csa, k, to + i, kMainRows);
    return;
  }
  static constexpr uint16_t kZeros[kMainRows] = {};
  for (int64_t p = 0; 2 * p < k; ++p) {
    const uint16_t* even = a + 2 * p * csa;
    const uint16_t* odd = 2 * p + 1 < k ? even + csa : kZeros;
#pragma GCC unroll 1
    for (int64_t i = 0; i < kMainRows; ++i)
      Dot::pack(even[i], odd[i], to + p * Dot::kSteps * kMainRows + i, kMainRows);
  }
}

FASTNN_INLINE Vec<uint32_t> load_pairs(const uint16_t* p, int64_t pairs) {
  Vec<uint32_t> v = {};
  if (pairs >= lanes<float>) {
    __builtin_memcpy(&v, p, sizeof v);
  } else {
    __builtin_memcpy(&v, p, static_cast<size_t>(pairs) * 4);
  }
  return v << 16 | v >> 16;
}

// Columns of B that are contiguous in memory: `k` elements each, an even number.
FASTNN_OUTLINE void pack_columns_of_b(const uint16_t* b, int64_t csb, int64_t k,
                                      int64_t cols, uint32_t* dst, int64_t width) {
  constexpr int n = lanes<float>;
  for (int64_t j = 0; j < width; j += n) {
    for (int64_t p = 0; p < k / 2; p += n) {
      Vec<uint32_t> v[n];
#pragma GCC unroll 16
      for (int r = 0; r < n; ++r) {
        v[r] = j + r < cols ? load_pairs(b + (j + r) * csb + 2 * p, k / 2 - p)
                            : Vec<uint32_t>{};
      }
      transpose<uint32_t>(v);
      const int64_t rows = min_of(n, k / 2 - p);
      for (int64_t q = 0; q < rows; ++q)
        store(dst + (p + q) * width + j, v[q]);
    }
  }
}

// dst[p * width + j] = the pair of b(2p, j) and b(2p + 1, j); zeros from `cols` on and
// behind an odd k.
FASTNN_OUTLINE void pack_pairs(const uint16_t* b, int64_t rsb, int64_t csb, int64_t k,
                               int64_t cols, uint32_t* dst, int64_t width) {
  constexpr int n = lanes<float>;
  const int64_t pairs = (k + 1) / 2;
  int64_t p = 0;
  if (rsb == 1 && csb != 1) {
    pack_columns_of_b(b, csb, k / 2 * 2, cols, dst, width);
    p = k / 2;
  }
  for (; p < pairs; ++p) {
    const uint16_t* even = b + 2 * p * rsb;
    const uint16_t* odd = 2 * p + 1 < k ? even + rsb : nullptr;
    uint32_t* to = dst + p * width;
    int64_t j = 0;
    for (; csb == 1 && j + n <= cols; j += n) {
      Vec<uint32_t> v = load_widened<uint32_t, uint16_t>(even + j) << 16;
      if (odd) v |= load_widened<uint32_t, uint16_t>(odd + j);
      store(to + j, v);
    }
    for (; j < cols; ++j) {
      to[j] = static_cast<uint32_t>(even[j * csb]) << 16 | (odd ? odd[j * csb] : 0u);
    }
    for (; j < width; ++j)
      to[j] = 0;
  }
}

// ---- the microkernel

template <class Dot>
struct PairTile {
  int64_t pairs;
  const typename Dot::A* a;  // element i of step s at a[i * rsa + s * csa]
  int64_t rsa, csa;
  const uint32_t* b;  // a panel of whole vectors
  float* c;
  int64_t ldc;
  bool accumulate;  // start from C instead of 0
};

template <class Dot, int step, int MR, int NV>
FASTNN_INLINE void add_step(const PairTile<Dot>& t, const typename Dot::A* a,
                            const Vec<uint32_t> (&pairs)[NV],
                            Vec<float> (&acc)[MR][NV]) {
  typename Dot::B b[NV];
#pragma GCC unroll 8
  for (int j = 0; j < NV; ++j)
    b[j] = Dot::template operand<step>(pairs[j]);
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
    const typename Dot::A x = a[i * t.rsa];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      acc[i][j] = Dot::add(acc[i][j], x, b[j]);
  }
}

template <class Dot, int MR, int NV>
void multiply_tile(const PairTile<Dot>& t) {
  constexpr int n = lanes<float>;
  Vec<float> acc[MR][NV];
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      acc[i][j] = t.accumulate ? load(t.c + i * t.ldc + j * n) : Vec<float>{};
  }
  const uint32_t* b = t.b;
  const typename Dot::A* a = t.a;
  for (int64_t p = t.pairs; p > 0; --p) {
    Vec<uint32_t> pairs[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      pairs[j] = load(b + j * n);
    add_step<Dot, 0>(t, a, pairs, acc);
    if constexpr (Dot::kSteps == 2) add_step<Dot, 1>(t, a + t.csa, pairs, acc);
    a += Dot::kSteps * t.csa;
    b += NV * n;
  }
#pragma GCC unroll 32
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j)
      store(t.c + i * t.ldc + j * n, acc[i][j]);
  }
}

template <class Dot>
struct PairTable {
  void (*fn[kPairWidth + 1][kMainRows + 1])(const PairTile<Dot>&) = {};

  template <int NV, int... MR>
  constexpr void fill_rows(Ints<MR...>) {
    ((fn[NV][MR] = multiply_tile<Dot, MR, NV>), ...);
  }
  template <int... NV>
  constexpr void fill(Ints<NV...>) {
    (fill_rows<NV>(typename Upto<kMainRows>::Type{}), ...);
  }
  constexpr PairTable() { fill(typename Upto<kPairWidth>::Type{}); }
};
template <class Dot>
inline constexpr PairTable<Dot> kPairTable;

// ---- the loops

FASTNN_INLINE float widened(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

// Epilogue of rows i .. i + rows and columns j .. j + cols, which stand in `strip`.
FASTNN_OUTLINE void store_tile(const HalfProduct& p, float* strip, int64_t ld,
                               int64_t i, int64_t rows, int64_t j, int64_t cols,
                               const float* bias) {
  Epilogue<float> e = {};
  e.activation = p.activation, e.alpha = p.alpha;
  e.bias = bias;
  float y[kMainRows * kPairColumns];
  if (p.y) {
    for (int64_t r = 0; r < rows; ++r) {
      const uint16_t* from = p.y + (i + r) * p.rsy + j * p.csy;
      for (int64_t q = 0; q < cols; ++q)
        y[r * ld + q] = widened(from[q * p.csy]);
    }
    e.y = y, e.rsy = ld, e.csy = 1;
  }
  finish<float>({strip, ld, 0, 0, rows, cols}, e, true);
  for (int64_t r = 0; r < rows; ++r) {
    uint16_t* to = p.c + (i + r) * p.ldc + j;
    const float* from = strip + r * ld;
    for (int64_t q = 0; q < cols; ++q)
      to[q] = BFloat16(from[q]).bits;
  }
}

// Rows of A in the form that the tiles read, and where the pieces of scratch lie.
template <class Dot>
struct PairBlock {
  const HalfProduct& p;
  int64_t pairs, tiled;  // of the whole k; A's columns are packed, in tiles
  int64_t row, rows;     // of C
  typename Dot::A* a;    // packed
  uint32_t* panel;       // of B
  float* strip;          // sums of a tile, or of a panel while k is cut

  int64_t tiles() const { return ceil_div(rows, kMainRows); }
  int64_t ld() const { return pairs * Dot::kSteps + kPackedGap; }
  int64_t first(int64_t tile) const { return divide(rows * tile, tiles()); }
};

template <class Dot>
void pack_rows_of_a(const PairBlock<Dot>& block) {
  const HalfProduct& p = block.p;
  for (int64_t s = 0; s < block.tiles(); ++s) {
    const int64_t begin = block.first(s), end = block.first(s + 1);
    const uint16_t* from = p.a + (block.row + begin) * p.rsa;
    if (block.tiled) {
      pack_tile<Dot>(from, p.csa, p.k, end - begin,
                     block.a + s * block.pairs * Dot::kSteps * kMainRows);
      continue;
    }
    for (int64_t i = begin; i < end; ++i, from += p.rsa)
      pack_line<Dot>(from, p.csa, p.k, block.a + i * block.ld(), 1);
  }
}

// One panel of columns against the rows of the block, k in blocks.
template <class Dot>
void multiply_panel(const PairBlock<Dot>& block, int64_t j, int64_t cols) {
  const HalfProduct& p = block.p;
  const int64_t width = ceil_div(cols, lanes<float>), ld = width * lanes<float>;
  const bool cut = block.pairs > kBlockPairs;
  float bias[kPairColumns];
  for (int64_t q = 0; p.bias && q < cols; ++q)
    bias[q] = widened(p.bias[(j + q) * p.bias_step]);
  int64_t done = 0;
  do {
    const int64_t pairs = min_of(block.pairs - done, kBlockPairs);
    const int64_t left = p.k - 2 * done;
    pack_pairs(p.b + 2 * done * p.rsb + j * p.csb, p.rsb, p.csb,
               min_of(left, 2 * pairs), cols, block.panel, ld);
    const bool last = done + pairs == block.pairs;
    for (int64_t s = 0; s < block.tiles(); ++s) {
      const int64_t begin = block.first(s), height = block.first(s + 1) - begin;
      PairTile<Dot> t = {};
      t.pairs = pairs;
      t.rsa = block.tiled ? 1 : block.ld(), t.csa = block.tiled ? kMainRows : 1;
      t.a = block.a + done * Dot::kSteps * t.csa +
            (block.tiled ? s * block.pairs * Dot::kSteps * kMainRows : begin * t.rsa);
      t.b = block.panel;
      t.c = block.strip + (cut ? begin * ld : 0), t.ldc = ld;
      t.accumulate = done > 0;
      kPairTable<Dot>.fn[width][height](t);
      if (last) {
        store_tile(p, t.c, ld, block.row + begin, height, j, cols,
                   p.bias ? bias : nullptr);
      }
    }
    done += pairs;
  } while (done < block.pairs);
}

// Computes a part of a product.
template <class Dot>
void multiply_pairs(const HalfProduct& p) {
  using A = typename Dot::A;
  if (p.m == 0 || p.n == 0) return;
  const int64_t pairs = (p.k + 1) / 2, per_row = pairs * Dot::kSteps + kPackedGap;
  const int64_t most = kBlockABytes / (per_row * int64_t{sizeof(A)});
  const int64_t blocks = ceil_div(p.m, most > 8 * kMainRows ? most : 8 * kMainRows);
  const int64_t rows = ceil_div(p.m, blocks) + kMainRows;
  const int64_t panel = min_of(pairs, kBlockPairs) * kPairColumns;
  const int64_t strip = (pairs > kBlockPairs ? rows : kMainRows) * kPairColumns;
  // Whole vectors, so that every piece is aligned.
  const int64_t packed = ceil_div(rows * per_row, lanes<float>) * lanes<float>;
  auto* memory = static_cast<char*>(scratch((packed + panel + strip) * 4));
  PairBlock<Dot> block = {p, pairs, p.csa != 1 && p.rsa == 1, 0, 0, {}, {}, {}};
  block.a = reinterpret_cast<A*>(memory);
  block.panel = reinterpret_cast<uint32_t*>(memory + packed * 4);
  block.strip = reinterpret_cast<float*>(memory + (packed + panel) * 4);
  for (int64_t i = 0; i < blocks; ++i) {
    block.row = divide(p.m * i, blocks);
    block.rows = divide(p.m * (i + 1), blocks) - block.row;
    pack_rows_of_a(block);
    for (int64_t j = 0; j < p.n; j += kPairColumns)
      multiply_panel(block, j, min_of(kPairColumns, p.n - j));
  }
}

FASTNN_END_NAMESPACE
