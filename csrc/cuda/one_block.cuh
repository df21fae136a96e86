// SPDX-License-Identifier: Apache-2.0
// Steps of a whole plan as one kernel of one block, its memory in shared memory.
//
// For plans whose variables and arena fit there: the launches of a step are device
// functions that find their place by blockIdx and gridDim, so one block that calls them
// in turn, with barriers between, computes the same. A view's pointer may point to
// shared memory as to any other.
//
// The table (fastnn/backends/cuda/one_block.py) has the arguments of all launches, then
// 64-bit words: where in it are pointers to shared memory, as offsets so far; and the
// blocks of memory that live there during the kernel: address, bytes, offset.
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

struct Lodger {
  char* address;
  int64_t nbytes, offset;
};

// All threads of the block, 8 bytes at once; sizes are multiples.
FASTNN_DEVICE void copy_words(char* to, const char* from, int64_t nbytes) {
  for (int64_t i = threadIdx.x; i < nbytes / 8; i += blockDim.x)
    reinterpret_cast<int64_t*>(to)[i] = reinterpret_cast<const int64_t*>(from)[i];
}

// Steps::run(table) is one step. Numbers: steps, bytes of the arguments, pointers in
// them, lodgers.
template <class Steps>
FASTNN_DEVICE void one_block(const Args<1, 1, 4>& a) {
  FASTNN_DYNAMIC_SHARED(home);
  const char* const table = a.in[0].ptr<char>();
  const int64_t steps = a.number[0].i, nbytes = a.number[1].i, pointers = a.number[2].i;
  const auto* const places = reinterpret_cast<const int64_t*>(table + nbytes);
  const auto* const lodgers = reinterpret_cast<const Lodger*>(places + pointers);
  copy_words(home, table, nbytes);
  for (int64_t i = 0; i < a.number[3].i; ++i)
    copy_words(home + lodgers[i].offset, lodgers[i].address, lodgers[i].nbytes);
  __syncthreads();
  for (int64_t i = threadIdx.x; i < pointers; i += blockDim.x) {
    auto* const pointer = reinterpret_cast<int64_t*>(home + places[i]);
    *pointer += reinterpret_cast<int64_t>(home);
  }
  __syncthreads();
  for (int64_t step = 0; step < steps; ++step)
    Steps::run(home);
  for (int64_t i = 0; i < a.number[3].i; ++i)
    copy_words(lodgers[i].address, home + lodgers[i].offset, lodgers[i].nbytes);
}

}  // namespace fastnn::device
