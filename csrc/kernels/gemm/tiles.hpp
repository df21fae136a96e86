// SPDX-License-Identifier: Apache-2.0
// The one table of sizes and thresholds of the matrix products.
//
// No entry changes a bit of a result: every output element is one chain of fused
// multiply-adds over k in ascending order, whatever tile, panel or block computes it.
#pragma once

#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

// Widest tile, in vectors. Wide flat tiles read B once when there are few rows.
inline constexpr int kMaxWidth = 8;

// kTileRows[w]: rows of the tallest tile of w vectors that GCC and Clang keep in
// registers (rows * w accumulators + w vectors of B + 1 broadcast); kMainWidth: the
// width used when there are rows enough. tools and tests grep the objects for spills.
// clang-format off
#if FASTNN_VECTOR_BYTES == 64 || defined(__aarch64__)  // 32 registers
//                                              w:  0   1   2  3  4  5  6  7  8
inline constexpr int kTileRows[kMaxWidth + 1] = {0, 24, 12, 8, 6, 4, 4, 3, 2};
inline constexpr int kMainWidth = 3;
#elif FASTNN_VECTOR_BYTES == 32                        // 16 registers, FMA
inline constexpr int kTileRows[kMaxWidth + 1] = {0, 12,  6, 4, 2, 2, 1, 1, 1};
inline constexpr int kMainWidth = 2;
#else                                                  // 16 registers, no FMA
inline constexpr int kTileRows[kMaxWidth + 1] = {0,  8,  5, 3, 2, 1, 1, 1, 1};
inline constexpr int kMainWidth = 2;
#endif
// clang-format on

// Masked vector loads are free with AVX-512 only. Elsewhere the last columns of B are
// copied into a zero-padded panel instead.
inline constexpr bool kMaskedLoads = FASTNN_VECTOR_BYTES == 64;

// Rows of B fetched ahead into L1 while B is read in place: the hardware does not
// follow a stride of ldb.
inline constexpr int64_t kAheadRows = 8;

// Elements of k per block: a packed panel of kMainWidth vectors and the rows of A that
// meet it stay in L2.
inline constexpr int64_t kBlockK = 384;
// The transposed form keeps a whole column of panels; longer products copy B.
inline constexpr int64_t kMaxTransposedK = 4096;

// A is packed, kBlockM rows at a time, when its stride in bytes is a multiple of
// kPackAStride (its rows meet in few cache sets) and this many columns share the copy.
inline constexpr int64_t kPackAStride = 1024;
inline constexpr int64_t kPackAColumns = 192;
inline constexpr int64_t kPackRows = 64;
inline constexpr int64_t kBlockM = 256;
inline constexpr int64_t kPackedLd = kBlockK + 16;

FASTNN_END_NAMESPACE
