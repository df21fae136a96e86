// SPDX-License-Identifier: Apache-2.0
// Vectors of Philox blocks, and the share of an output that a part fills with them.
#pragma once

#include "kernels/kernel.hpp"
#include "kernels/simd/vec.hpp"
#include "shared/philox.h"

FASTNN_BEGIN_NAMESPACE

using Words = Vec<uint32_t>;
inline constexpr int kBlocks = lanes<uint32_t>;  // Philox blocks per chunk

struct Stream {
  uint64_t seed, step;
};

FASTNN_INLINE Stream read_stream(const TensorView& state) {
  const char* p = state.ptr<const char>();
  Stream s;
  __builtin_memcpy(&s.seed, p, 8);
  __builtin_memcpy(&s.step, p + 8 * state.stride[0], 8);
  return s;
}

// Blocks first .. first + kBlocks - 1, in the lane order whose transpose_4x4 is the
// blocks one after the other: lane 4 q + j holds block j * kBlocks / 4 + q.
FASTNN_OUTLINE void chunk_blocks(int64_t chunk, Stream stream, Words (&w)[4]) {
  const uint64_t first = static_cast<uint64_t>(chunk) * kBlocks;
  const Words i = iota<uint32_t>();
  const Words lane = i % 4 * (kBlocks / 4) + i / 4;
  // first is a multiple of kBlocks, a power of two: the sum cannot carry.
  const Words lo = splat<Words>(static_cast<uint32_t>(first)) + lane;
  const Words hi = splat<Words>(static_cast<uint32_t>(first >> 32));
  const PhiloxBlock<Words> b = philox(lo, hi, stream.step, stream.seed);
  for (int j = 0; j < 4; ++j)
    w[j] = b.w[j];
}

// Elements [begin, end) of the flat output that this part owns.
FASTNN_INLINE Range element_range(const TensorView& out, Part part) {
  const Range rows = row_range(out.rows(), part);
  const int64_t size = out.row_size();
  return {rows.begin * size, rows.end * size};
}

// Calls make(chunk, to) for the chunks of `chunk_size` elements that overlap `range`;
// a chunk that sticks out goes through a buffer.
template <class T, int chunk_size, class F>
FASTNN_INLINE void for_chunks(T* out, Range range, F make) {
  for (int64_t at = range.begin; at < range.end;) {
    const int64_t chunk = at / chunk_size, start = chunk * chunk_size;
    const int64_t stop =
        start + chunk_size < range.end ? start + chunk_size : range.end;
    const bool whole = at == start && stop == start + chunk_size;
    alignas(64) T buffer[chunk_size];
    make(chunk, whole ? out + start : buffer);
    if (!whole)
      __builtin_memcpy(out + at, buffer + (at - start), (stop - at) * sizeof(T));
    at = stop;
  }
}

FASTNN_END_NAMESPACE
