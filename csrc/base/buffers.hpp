// SPDX-License-Identifier: Apache-2.0
// Memory of eager results. The system hands out zeroed pages and takes as long for it
// as a kernel for filling them (a page fault and 2 MB of zeros each time), so the
// memory of results that died is kept for the next ones.
//
// What is kept is bounded twice: with what is in use it never exceeds what was lately
// in use at once, and it never exceeds `buffer_limit`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/export.hpp"

namespace fastnn {

struct Buffer;  // a block of memory; its size class is its own business

// Memory for `bytes` bytes, aligned to 64, contents undefined (poisoned where asked
// for); throws std::bad_alloc.
FASTNN_API Buffer* acquire_buffer(size_t bytes);
FASTNN_API void* buffer_data(const Buffer* buffer);
// Whether it is known to hold zeros, which need not be written then: asked at once.
FASTNN_API bool buffer_is_zero(const Buffer* buffer);
// The memory may be handed out again at once, to any thread.
FASTNN_API void release_buffer(Buffer* buffer);

// Gives everything kept back to the system; returns how many bytes that were.
FASTNN_API size_t clear_buffers();
FASTNN_API size_t buffer_limit();
FASTNN_API void set_buffer_limit(size_t bytes);

struct BufferStats {
  int64_t live_bytes;   // held by results
  int64_t kept_bytes;   // waiting to be used again
  int64_t allocations;  // from the system, since start
  int64_t reuses;       // since start
};
FASTNN_API BufferStats buffer_stats();

}  // namespace fastnn
