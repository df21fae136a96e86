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
// Sanitizers want a check per load of every unrolled tile: small ones, which are the
// same templates, compile in a minute instead of twenty.
// clang-format off
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kTileRows[kMaxWidth + 1] = {0, 6, 4, 3, 2, 2, 1, 1, 1};
inline constexpr int kMainWidth = 3;
#elif FASTNN_VECTOR_BYTES == 64 || defined(__aarch64__)  // 32 registers
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

// B goes through L2 panel by panel, and every tile of A meets a panel before the next
// one comes: 97 % of the peak once both lie in L2, with kAheadRows fetched ahead into
// L1 (92 % without). Few tiles read the panel where it lies; with more the first one
// leaves a copy for the others. Copied apart, B costs 15 % of a product of 128 rows
// (Cascade Lake, 128 x 784 x 784: 0.15 ms of 1.05).
//
// Most elements of k per pass: a panel takes 150 KiB of L2.
inline constexpr int64_t kBlockK = 800;
// Most bytes of A between two reads of the same panel. A beyond L2 streams along, B
// does not.
inline constexpr int64_t kBlockABytes = 1024 * 1024;
// With so few tiles they all read B where it lies: 32 x 784 x 300 reaches 79 to 86 % of
// the peak so and 71 % with the copy, whose tile takes longer than the others (L2 is
// busy with both). Rows that meet in few sets do not stay in L2 that long.
inline constexpr int64_t kMostInPlaceTiles = 16;
inline constexpr int64_t kMostAliasedTiles = 1;
// Tiles in place fetch the next panel into L2, a line or two every so many steps of k:
// one per step takes all the buffers between L1 and L2. Small tiles do not. 64 x 784 x
// 784 reaches 83 % of the peak with it (the copy gave 78 %).
inline constexpr int kAheadSteps = 4;
inline constexpr int kAheadSums = 16;

// Large products, from these sizes on: blocks.hpp.
inline constexpr int64_t kLargeRows = 96, kLargeK = 64;
inline constexpr int64_t kLargeColumns = 12;  // vectors
// Up to this k a panel of B stays in L1, and packed columns of A go along it: 784 x 128
// x 784 takes 1.30 ms so, 1.38 by blocks.
inline constexpr int64_t kPanelInL1K = 128;
// Most elements of k, bytes and panels of a block of B. The rest of L2 holds the tile
// of A, lines of C, what was fetched of the next block, and what a neighbour on the
// same core takes: beside one, blocks of 800 x 48 are up to 20 % slower, alone as fast.
inline constexpr int64_t kLargeBlockK = 520;
inline constexpr int64_t kBlockBBytes = 400 * 1000;
inline constexpr int64_t kMostPanels = 16;
// An A no larger stays in L2 and meets single panels of kBlockK.
inline constexpr int64_t kResidentABytes = 448 * 1024;
// Tiles that share in fetching one line of each row of the next block, the last ones
// that meet this block: fetched earlier, A drives it out of L2 again.
inline constexpr int64_t kTilesPerLine = 6;
// From these steps of k on, the lines of C are fetched at the end of a tile.
inline constexpr int64_t kLateSteps = 128;
// Most rows of A that are packed in tiles at once.
inline constexpr int64_t kTiledRows = 2048;

// The transposed form keeps a whole column of panels; longer products copy B.
inline constexpr int64_t kMaxTransposedK = 4096;
// It reads B as columns, once per panel of A^T, so B must not come from far away:
// x^T dy of 784 x 4096 x 600 (10 MB) takes 2.5 times as long as by blocks, 784 x 3072 x
// 300 (3.7 MB) 1.1, 784 x 2048 x 300 (2.4 MB) 0.96, 300 x 4096 x 100 0.82 (Zen 4).
inline constexpr int64_t kTransposedBBytes = 2 << 20;

// Rows whose distance is a multiple of this meet in few sets of L1.
inline constexpr int64_t kAliasBytes = 1024;
// Such rows in one set of the eight ways that L1 has: from so many vectors of columns
// on, the first block of columns copies the rows of A elsewhere, so many at a time (1
// MB; 2048 rows, beside A in place: 0.95 to 1.09).
inline constexpr int64_t kSetBytes = 4096, kCopiedColumns = 36, kCopiedRows = 512;
// A is packed when at least this many rows share the copy.
inline constexpr int64_t kPackRows = 64;
// A in columns is packed from this k on.
inline constexpr int64_t kPackColumnsK = 16;
inline constexpr int64_t kPackedGap = 16;  // between packed rows of A

// Up to so many multiply-adds, the choice of loops costs more than it gains.
inline constexpr int64_t kSmallProduct = 64 * 64 * 64;
// Or copying A, whose columns lie together: 100x32x100 9.1 -> 7.1 us in place.
inline constexpr int64_t kSmallColumns = 1 << 20;

// A product with fewer rows per part than this is divided by columns.
inline constexpr int kMinRows = 4;
// What a part does along its edges, as rows and columns: it copies its columns of B and
// fetches its rows of A.
inline constexpr int64_t kCopyRows = 6, kFetchColumns = 4;

FASTNN_END_NAMESPACE
