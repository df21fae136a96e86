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
// width used when there are rows enough. GCC 12: no vector spills in any k loop.
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

inline constexpr int64_t kMainRows = kTileRows[kMainWidth];

// Masked vector loads are free with AVX-512 only. Elsewhere the last columns of B are
// copied into a zero-padded panel instead.
inline constexpr bool kMaskedLoads = FASTNN_VECTOR_BYTES == 64;

// Rows of B fetched ahead into L1 while B is read in place: the hardware does not
// follow a stride of ldb.
inline constexpr int64_t kAheadRows = 8;

// Two ways through memory (product.hpp). With few rows B is read in place, panel by
// panel: one pass over B, most elements of k per pass kBlockK. With kPackRows rows or
// more, blocks of B are packed into L2 and every tile of A, which then lies in L1,
// meets all panels of the block: L2 delivers 192 bytes per 12 cycles instead of 224,
// and C is written row by row. Cascade Lake, 512^3: 93 to 97 % of the peak so, 82 to 90
// % panel by panel; 128 x 784 x 784: 87 % and 73 %.
inline constexpr int64_t kBlockK = 1024;
inline constexpr int64_t kPackedBlockK = 400;
// One packed block of B. 600 KiB of a 1 MiB L2 is already slower with 128 rows (65 %
// instead of 87 %): A and C pass through it too.
inline constexpr int64_t kBlockBBytes =
    FASTNN_VECTOR_BYTES == 64 ? 320 * 1024 : 160 * 1024;
// The transposed form keeps a whole column of panels; longer products copy B.
inline constexpr int64_t kMaxTransposedK = 4096;

// Rows whose distance is a multiple of this meet in few sets of L1.
inline constexpr int64_t kAliasBytes = 1024;
// B is packed when at least this many rows share the copy; when its rows lie well, it
// is read in place up to kPackRowsAligned.
inline constexpr int64_t kPackRows = 64;
inline constexpr int64_t kPackRowsAligned = 96;
// B that lies in L2 with A and C is read in place by any number of rows.
inline constexpr int64_t kInPlaceBytes = 96 * 1024;
// A in columns is packed from this k on; below, fetching it ahead is enough.
inline constexpr int64_t kPackColumnsK = 16;
inline constexpr int64_t kPackedGap = 16;  // between packed rows of A
// Columns of A that are packed together: long runs, since each lies in another page
// (784 x 512 x 784: 66 % of the peak, 54 % with 16 rows at a time).
inline constexpr int64_t kBlockABytes = kBlockBBytes;

// A product with fewer rows per part than this is divided by columns.
inline constexpr int kMinRows = 4;

FASTNN_END_NAMESPACE
