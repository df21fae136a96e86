// SPDX-License-Identifier: Apache-2.0
// One driver for all element-by-element kernels (pointwise, optimizers).
//
// A *tile* is the only code that exists per op and element type: a loop over whole
// vectors of contiguous operands, where a step of 0 repeats one vector (a scalar). The
// driver, compiled once, turns every other case into that: broadcast scalars become a
// filled vector, tails and strided operands go through small buffers. So each element
// passes through the same instructions wherever it stands, and an op costs a few
// hundred bytes of code instead of one loop per layout.
#pragma once

#include "base/error.hpp"
#include "kernels/simd/prefetch.hpp"
#include "kernels/simd/strided.hpp"

FASTNN_BEGIN_NAMESPACE

inline constexpr int kMaxTileOut = 3;

struct TileArgs {
  const char* in[kMaxOperands];
  int64_t step[kMaxOperands];  // bytes per vector, 0 repeats
  char* out[kMaxTileOut];
  int64_t ahead;  // bytes by which to fetch outputs before they are written
};
using Tile = void (*)(const TileArgs& args, int64_t vectors, const void* state);

struct TileOp {
  Tile tile;
  const void* state;
  int lanes;  // elements per vector step
  int n_in, n_out;
  int in_size[kMaxOperands];  // bytes per element
  int out_size[kMaxTileOut];
};

// n elements; in[k] is contiguous, or one element where repeat[k].
FASTNN_OUTLINE void run_line(const TileOp& op, const char* const* in,
                             const bool* repeat, char* const* out, int64_t n) {
  alignas(64) char buffer[kMaxOperands][64];
  alignas(64) char result[kMaxTileOut][64];
  TileArgs args;
  for (int k = 0; k < op.n_in; ++k) {
    args.in[k] = repeat[k] ? buffer[k] : in[k];
    args.step[k] = repeat[k] ? 0 : int64_t{op.lanes} * op.in_size[k];
    if (repeat[k]) fill_64(buffer[k], in[k], op.in_size[k]);
  }
  for (int k = 0; k < op.n_out; ++k)
    args.out[k] = out[k];
  args.ahead = write_ahead(n * op.out_size[0]);
  const int64_t vectors = n / op.lanes;
  const int rest = static_cast<int>(n - vectors * op.lanes);
  if (vectors) op.tile(args, vectors, op.state);
  if (!rest) return;
  for (int k = 0; k < op.n_in; ++k) {
    if (repeat[k]) continue;
    const uint8_t* from = (const uint8_t*)args.in[k] + vectors * args.step[k];
    store((uint8_t*)buffer[k], load_n(from, rest * op.in_size[k]));
    args.in[k] = buffer[k];
  }
  for (int k = 0; k < op.n_out; ++k)
    args.out[k] = result[k];
  op.tile(args, 1, op.state);
  for (int k = 0; k < op.n_out; ++k) {
    uint8_t* to = (uint8_t*)out[k] + vectors * op.lanes * op.out_size[k];
    store_n(to, load((const uint8_t*)result[k]), rest * op.out_size[k]);
  }
}

// One element. Through scalar registers: a masked load of what a masked store has just
// written waits until that is in the cache.
FASTNN_OUTLINE void run_lone(const TileOp& op, const KernelArgs& args) {
  alignas(64) char buffer[kMaxOperands][64];
  alignas(64) char result[kMaxTileOut][64];
  TileArgs tile;
  tile.ahead = 0;
  for (int k = 0; k < op.n_in; ++k) {
    fill_64(buffer[k], args.in[k].ptr<const char>(), op.in_size[k]);
    tile.in[k] = buffer[k];
    tile.step[k] = 0;
  }
  for (int k = 0; k < op.n_out; ++k)
    tile.out[k] = result[k];
  op.tile(tile, 1, op.state);
  for (int k = 0; k < op.n_out; ++k)
    copy_run(args.out[k].ptr<char>(), result[k], 0, 1, op.out_size[k]);
}

// Operands that are neither contiguous nor scalar pass through buffers of this many
// elements, which stay in L1.
inline constexpr int kGatherBlock = 256;

FASTNN_OUTLINE void run_gathered(const TileOp& op, const Walk& w, char* const* out,
                                 int64_t total) {
  alignas(64) char buffer[kMaxOperands][kGatherBlock * 8];
  const bool repeat[kMaxOperands] = {};
  for (int64_t start = 0; start < total; start += kGatherBlock) {
    const int64_t n = total - start < kGatherBlock ? total - start : kGatherBlock;
    const char* in[kMaxOperands];
    char* to[kMaxTileOut];
    for (int k = 0; k < op.n_in; ++k) {
      gather(buffer[k], w, k, start, n, op.in_size[k]);
      in[k] = buffer[k];
    }
    for (int k = 0; k < op.n_out; ++k)
      to[k] = out[k] + start * op.out_size[k];
    run_line(op, in, repeat, to, n);
  }
}

FASTNN_INLINE bool all_dense(const KernelArgs& args, int n_in) {
  bool dense = true;
  for (int k = 0; k < n_in && dense; ++k)
    dense = args.in[k].contiguous();
  return dense;
}

// Runs the op over the rows of this part. Inputs have the shape of the outputs (stride
// 0 broadcasts), outputs are contiguous.
FASTNN_OUTLINE void run_tiles(const KernelArgs& args, const TileOp& op) {
  const TensorView& y = args.out[0];
  const Range rows = row_range(y.rows(), args.part);
  const int64_t row_size = y.row_size();
  const int64_t total = (rows.end - rows.begin) * row_size;
  if (total <= 0) return;
  if (row_size == 1 && y.rows() == 1) return run_lone(op, args);
  char* out[kMaxTileOut];
  for (int k = 0; k < op.n_out; ++k) {
    out[k] = args.out[k].ptr<char>() + rows.begin * row_size * op.out_size[k];
  }
  // A walk takes longer than a few vectors: 32 x 30 floats 131 -> 118 ns.
  if (all_dense(args, op.n_in)) {
    constexpr bool repeat[kMaxOperands] = {};
    const char* in[kMaxOperands];
    for (int k = 0; k < op.n_in; ++k) {
      in[k] = args.in[k].ptr<const char>() + rows.begin * row_size * op.in_size[k];
    }
    return run_line(op, in, repeat, out, total);
  }
  const TensorView* view[kMaxOperands] = {};
  for (int k = 0; k < op.n_in; ++k)
    view[k] = &args.in[k];
  Walk w = make_walk(view, op.n_in, rows);
  const int inner = w.ndim - 1;
  const int64_t n = w.shape[inner];
  bool repeat[kMaxOperands];
  bool lines = n == total || n >= 16;  // shorter lines cost more than gathering
  for (int k = 0; k < op.n_in; ++k) {
    repeat[k] = w.stride[k][inner] == 0;
    lines = lines && (repeat[k] || w.stride[k][inner] == op.in_size[k]);
  }
  if (!lines) return run_gathered(op, w, out, total);
  int64_t at[kMaxRank] = {};
  for (int64_t done = 0;;) {
    run_line(op, w.base, repeat, out, n);
    if ((done += n) == total) return;
    for (int k = 0; k < op.n_out; ++k)
      out[k] += n * op.out_size[k];
    for (int d = inner - 1; d >= 0; --d) {
      for (int k = 0; k < op.n_in; ++k)
        w.base[k] += w.stride[k][d];
      if (++at[d] < w.shape[d]) break;
      for (int k = 0; k < op.n_in; ++k)
        w.base[k] -= at[d] * w.stride[k][d];
      at[d] = 0;
    }
  }
}

FASTNN_END_NAMESPACE
