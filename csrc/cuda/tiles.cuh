// SPDX-License-Identifier: Apache-2.0
// Products of tiles in shared memory, by the threads of a block: on tensor cores, or
// exactly on floats.
//
// A tile has kRows rows of the left factor or columns of the right one, and 64 bytes of
// k for each. It lies along k (a line of 64 bytes for each row) or across (a line of
// all rows for each k), as it lies in memory, so that a copy moves 16 bytes at once.
// Chunks of 16 bytes change places within a line, so that what a warp reads together
// lies on different banks.
#pragma once

#include "cuda/mma.cuh"

namespace fastnn::device {

constexpr int kTileThreads = 256, kTileRows = 128, kStepBytes = 64, kChunk = 16;

template <class S, int kRows, bool kAcross>
struct TileOf {
  static constexpr int kDepth = kStepBytes / sizeof(S);  // k of a step
  static constexpr int kOfChunk = kChunk / sizeof(S);    // elements
  static constexpr int kBytes = kRows * kStepBytes;
  static constexpr int kChunksOfLine = (kAcross ? kRows : kDepth) / kOfChunk;
  static constexpr int kCopies = kBytes / kChunk / kTileThreads;  // of a thread

  // Of a chunk of a line, in bytes.
  static FASTNN_DEVICE int offset(int line, int chunk) {
    const int by = !kAcross         ? line >> 1 & 3
                   : sizeof(S) == 2 ? line & 7
                                    : (line & 3) << 1;
    return (line * kChunksOfLine + (chunk ^ by)) * kChunk;
  }
  // The line and chunk of the thread's i-th copy.
  static FASTNN_DEVICE int line_of(int i) {
    return (threadIdx.x + i * kTileThreads) / kChunksOfLine;
  }
  static FASTNN_DEVICE int chunk_of() { return threadIdx.x % kChunksOfLine; }

  static FASTNN_DEVICE uint32_t float_at(const char* tile, int row, int k) {
    static_assert(kAcross && sizeof(S) == 4);
    const int at = offset(k, row / kOfChunk) + row % kOfChunk * sizeof(S);
    return *reinterpret_cast<const uint32_t*>(tile + at);
  }
};

// A tile of kTileRows x kColumns on tensor cores, S rounded to TF32 where it is float.
// Warps lie as 2 x 4 or 4 x 2 of 64 x 32 or 32 x 32.
template <class S, int kColumns, bool kLeftAcross, bool kRightAcross>
struct TensorTile {
  using Left = TileOf<S, kTileRows, kLeftAcross>;
  using Right = TileOf<S, kColumns, kRightAcross>;
  static constexpr int kAcrossWarps = kColumns / 32;
  static constexpr int kWarpRows = kTileRows * kAcrossWarps / 8;
  static constexpr int kM = kWarpRows / 16, kN = 4;
  static constexpr bool kRounds = sizeof(S) == 4;

  float sum[kM][kN][4] = {};

  static FASTNN_DEVICE int lane() { return threadIdx.x % kWarp; }
  static FASTNN_DEVICE int first_row() {
    return threadIdx.x / kWarp / kAcrossWarps * kWarpRows;
  }
  static FASTNN_DEVICE int first_column() {
    return threadIdx.x / kWarp % kAcrossWarps * 32;
  }

  // Rows [row, row + 16) and the 32 bytes of k of a slice.
  static FASTNN_DEVICE void load_left(uint32_t (&a)[4], const char* tile, int row,
                                      int slice) {
    const int l = lane(), of = l % 8, i = l / 8;
    if constexpr (!kLeftAcross) {
      load_matrices(a,
                    tile + Left::offset(row + of + (i & 1) * 8, 2 * slice + (i >> 1)));
    } else if constexpr (sizeof(S) == 2) {
      load_transposed(
          a, tile + Left::offset(16 * slice + of + (i >> 1) * 8, row / 8 + (i & 1)));
    } else {
      for (int j = 0; j < 4; ++j)
        a[j] = Left::float_at(tile, row + l / 4 + (j & 1) * 8,
                              8 * slice + l % 4 + (j >> 1) * 4);
    }
    if constexpr (kRounds)
      for (int j = 0; j < 4; ++j)
        a[j] = to_tf32(a[j]);
  }
  // Columns [column, column + 16), two fragments.
  static FASTNN_DEVICE void load_right(uint32_t (&b)[4], const char* tile, int column,
                                       int slice) {
    const int l = lane(), of = l % 8, i = l / 8;
    if constexpr (!kRightAcross) {
      load_matrices(
          b, tile + Right::offset(column + of + (i >> 1) * 8, 2 * slice + (i & 1)));
    } else if constexpr (sizeof(S) == 2) {
      load_transposed(b, tile + Right::offset(16 * slice + of + (i & 1) * 8,
                                              column / 8 + (i >> 1)));
    } else {
      for (int j = 0; j < 4; ++j)
        b[j] = Right::float_at(tile, column + l / 4 + (j >> 1) * 8,
                               8 * slice + l % 4 + (j & 1) * 4);
    }
    if constexpr (kRounds)
      for (int j = 0; j < 4; ++j)
        b[j] = to_tf32(b[j]);
  }

  FASTNN_DEVICE void multiply(const char* left, const char* right) {
#pragma unroll
    for (int slice = 0; slice < 2; ++slice) {
      uint32_t b[kN / 2][4], a[4];
#pragma unroll
      for (int n = 0; n < kN / 2; ++n)
        load_right(b[n], right, first_column() + 16 * n, slice);
#pragma unroll
      for (int m = 0; m < kM; ++m) {
        load_left(a, left, first_row() + 16 * m, slice);
#pragma unroll
        for (int n = 0; n < kN; ++n) {
          const uint32_t (&pair)[4] = b[n / 2];
          const uint32_t of_n[2] = {pair[n % 2 * 2], pair[n % 2 * 2 + 1]};
          multiply_add<S>(sum[m][n], a, of_n);
        }
      }
    }
  }

  // f(sum, row, column) for what the thread has.
  template <class F>
  FASTNN_DEVICE void finish(F f) const {
    const int g = lane() / 4, t = lane() % 4;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          f(sum[m][n][i], first_row() + 16 * m + g + i / 2 * 8,
            first_column() + 8 * n + 2 * t + i % 2);
  }
};

struct alignas(16) Float4 {
  float at[4];
};

// The same exactly: each thread has 8 x kColumns / 16 elements.
template <class S, int kColumns, bool kLeftAcross, bool kRightAcross>
struct ScalarTile {
  static_assert(kSame<S, float>);
  using Left = TileOf<S, kTileRows, kLeftAcross>;
  using Right = TileOf<S, kColumns, kRightAcross>;
  static constexpr int kM = kTileRows / 16, kN = kColumns / 16;

  float sum[kM][kN] = {};

  // The i-th row of those of `place` of 16.
  template <bool kAcross>
  static FASTNN_DEVICE int row_of(int place, int i) {
    return kAcross ? 4 * place + i / 4 * 64 + i % 4 : place + 16 * i;
  }
  // Four lines of k of n rows.
  template <class Tile, bool kAcross, int n>
  static FASTNN_DEVICE void load_four(float (&x)[n][4], const char* tile, int place,
                                      int k) {
    const auto at = [&](int line, int chunk) {
      return *reinterpret_cast<const Float4*>(tile + Tile::offset(line, chunk));
    };
    if constexpr (kAcross) {
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int i = 0; i < n / 4; ++i) {
          const Float4 four = at(k + j, place + 16 * i);
          for (int r = 0; r < 4; ++r)
            x[4 * i + r][j] = four.at[r];
        }
    } else {
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const Float4 four = at(place + 16 * i, k / 4);
        for (int j = 0; j < 4; ++j)
          x[i][j] = four.at[j];
      }
    }
  }

  FASTNN_DEVICE void multiply(const char* left, const char* right) {
    const int down = threadIdx.x / 16, across = threadIdx.x % 16;
#pragma unroll 1
    for (int k = 0; k < Left::kDepth; k += 4) {
      float a[kM][4], b[kN][4];
      load_four<Left, kLeftAcross>(a, left, down, k);
      load_four<Right, kRightAcross>(b, right, across, k);
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
          for (int n = 0; n < kN; ++n)
            sum[m][n] = Traits<float>::fused(a[m][j], b[n][j], sum[m][n]);
    }
  }

  template <class F>
  FASTNN_DEVICE void finish(F f) const {
    const int down = threadIdx.x / 16, across = threadIdx.x % 16;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int n = 0; n < kN; ++n)
        f(sum[m][n], row_of<kLeftAcross>(down, m), row_of<kRightAcross>(across, n));
  }
};

// Runs over `steps` steps of k. `left(i)` and `right(i)` say where the thread's i-th
// chunk of the next step comes from, null where there is nothing; `next()` goes on.
// kStages steps are on their way or at work.
template <class Tile, class LeftSource, class RightSource>
FASTNN_DEVICE void run_tile(Tile& tile, LeftSource& left, RightSource& right, int steps,
                            const void* somewhere) {
  constexpr int kStages = 3;
  using Left = typename Tile::Left;
  using Right = typename Tile::Right;
  constexpr int kBytes = Left::kBytes + Right::kBytes;
  alignas(128) __shared__ char stages[kStages * kBytes];
  const auto fetch = [&](int step) {
    char* const stage = stages + step % kStages * kBytes;
    if (step < steps) {
#pragma unroll
      for (int i = 0; i < Left::kCopies; ++i) {
        const void* from = left.at_chunk(i);
        copy_async(stage + Left::offset(Left::line_of(i), Left::chunk_of()),
                   from ? from : somewhere, from != nullptr);
      }
#pragma unroll
      for (int i = 0; i < Right::kCopies; ++i) {
        const void* from = right.at_chunk(i);
        copy_async(
            stage + Left::kBytes + Right::offset(Right::line_of(i), Right::chunk_of()),
            from ? from : somewhere, from != nullptr);
      }
      left.next();
      right.next();
    }
    commit_copies();  // an empty one too: waits count them
  };
  for (int step = 0; step < kStages - 1; ++step)
    fetch(step);
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();  // of all threads; and all are done with the step before
    fetch(step + kStages - 1);
    const char* const stage = stages + step % kStages * kBytes;
    tile.multiply(stage, stage + Left::kBytes);
  }
  wait_copies<0>();
  __syncthreads();
}

}  // namespace fastnn::device
