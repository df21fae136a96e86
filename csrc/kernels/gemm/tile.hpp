// SPDX-License-Identifier: Apache-2.0
// A tile of C and the table of microkernels that compute it (ukernel.hpp). The table is
// filled in tiles_float.cpp and tiles_double.cpp: its hundreds of kernels take longer
// to compile than everything that calls them.
#pragma once

#include "kernels/gemm/tiles.hpp"

FASTNN_BEGIN_NAMESPACE

inline constexpr int64_t kNoJump = 0;

template <class T>
struct Tile {
  int64_t count;  // tiles of these rows, one below the other; 0 is 1
  int64_t k;      // of one segment
  const T* a;     // element (i, p) at a[i * rsa + p * csa]: any strides
  int64_t below;  // from this tile's A to that of the next one; 0: rows follow on
  int64_t rsa, csa;
  int64_t segments;     // B goes on where the segment before ended
  const int64_t* jump;  // segment s of A begins at a + jump[s]
  const T* b;           // element (p, j) at b[p * ldb + j]
  int64_t ldb;
  T* c;
  int64_t ldc;
  int64_t fetch;   // from this tile's C to that whose lines are fetched
  bool late;       // kStream: as the tile ends, a row of C per kAheadSteps of k
  const T* bias;   // added before the activation; nullptr: none
  const T* ahead;  // a line to fetch into L2, `ahead_step` apart: kPanel per k, others
  int64_t ahead_step, ahead_pair;  // per kAheadSteps of k (kAhead: it and the pair)
  const T* row;                    // kStream: of A, to fetch into L2 as it is read
  T* copy;                         // kCopy: where B's vectors go
  int tail;                        // columns of the last vector, 1..lanes
  bool accumulate;                 // start from C instead of 0
  bool relu;
  const T* y;  // ReLU's gradient: C is 0 where y <= 0; nullptr: none
  int64_t ldy;
};

// How a tile reads B.
enum Source {
  kInPlace,  // rows ldb apart, kAheadRows of them fetched ahead
  kPanel,    // a copy without gaps; `ahead` may be its lines
  kCopy,     // in place, and leaves the copy behind
  kAhead,    // in place, and fetches lines of the next panel
  kStream,   // a copy without gaps in L2, kAheadRows of it fetched ahead into L1
  kSources,
};

template <class T>
using TileFn = void (*)(const Tile<T>&);

template <int... I>
struct Ints {};
template <int N, int... I>
struct Upto : Upto<N - 1, N, I...> {};
template <int... I>
struct Upto<0, I...> {
  using Type = Ints<I...>;  // 1..N
};

template <class T>
struct TileTable {
  TileFn<T> fn[kSources][kMaxWidth + 1][kTileRows[1] + 1];
};
extern const TileTable<float> kFloatTiles;
extern const TileTable<double> kDoubleTiles;
template <class T>
FASTNN_INLINE const TileTable<T>& tile_table() {
  if constexpr (sizeof(T) == sizeof(float)) {
    return kFloatTiles;
  } else {
    return kDoubleTiles;
  }
}

FASTNN_END_NAMESPACE
