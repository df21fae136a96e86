// SPDX-License-Identifier: Apache-2.0
// Memory the library owns: the arena of a plan, and counters that prove that a
// running plan allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/export.hpp"

namespace fastnn {

// Zero-filled block, 64-byte aligned; from 2 MB on page-aligned and backed by huge
// pages where the system grants them.
class FASTNN_API Arena {
 public:
  explicit Arena(size_t bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;  // nullptr: from the heap
  size_t mapping_size_ = 0;
};

struct MemoryStats {
  int64_t arena_bytes;          // live
  int64_t arena_allocations;    // since start
  int64_t scratch_bytes;        // live, all threads
  int64_t scratch_allocations;  // since start
};

FASTNN_API MemoryStats memory_stats();

// FASTNN_DEBUG_POISON=1: memory is filled with NaN (all bits set) each time before it
// is used, so that a kernel that reads what nobody wrote, or leaves an output
// unwritten, gives a wrong result in every run: scratch, the arena of a plan, eager
// outputs.
FASTNN_API bool debug_poison();
FASTNN_API void poison(void* data, size_t bytes);

}  // namespace fastnn
