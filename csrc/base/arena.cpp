// SPDX-License-Identifier: Apache-2.0
#include "base/arena.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/scratch.hpp"

namespace fastnn {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

std::atomic<int64_t> arena_bytes{0};
std::atomic<int64_t> arena_allocations{0};
std::atomic<int64_t> scratch_bytes{0};
std::atomic<int64_t> scratch_allocations{0};

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

void* allocate(size_t bytes) {
  void* data = std::aligned_alloc(kAlignment, round_up(bytes, kAlignment));
  if (!data) throw std::bad_alloc();
  return data;
}

struct Scratch {
  void* data = nullptr;
  size_t size = 0;
  ~Scratch() { release(); }
  void release() {
    std::free(data);
    scratch_bytes -= static_cast<int64_t>(size);
    data = nullptr;
    size = 0;
  }
};

thread_local Scratch thread_scratch;

}  // namespace

Arena::Arena(size_t bytes) : size_(bytes) {
  if (bytes >= kHugePage) {
    mapping_size_ = round_up(bytes, kHugePage) + kHugePage;
    mapping_ = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<uintptr_t>(mapping_);
    data_ = static_cast<char*>(mapping_) + (round_up(address, kHugePage) - address);
#if defined(MADV_HUGEPAGE)
    madvise(data_, mapping_size_ - kHugePage, MADV_HUGEPAGE);
#endif
  } else {
    data_ = static_cast<char*>(allocate(bytes ? bytes : 1));
    std::memset(data_, 0, bytes);
  }
  arena_bytes += static_cast<int64_t>(size_);
  ++arena_allocations;
}

Arena::~Arena() {
  if (mapping_) {
    munmap(mapping_, mapping_size_);
  } else {
    std::free(data_);
  }
  arena_bytes -= static_cast<int64_t>(size_);
}

MemoryStats memory_stats() {
  return {arena_bytes, arena_allocations, scratch_bytes, scratch_allocations};
}

bool debug_poison() {
  static const bool on = [] {
    const char* text = std::getenv("FASTNN_DEBUG_POISON");
    return text && *text && std::strcmp(text, "0") != 0;
  }();
  return on;
}

void poison(void* data, size_t bytes) {
  if (bytes) std::memset(data, 0xff, bytes);
}

void* scratch(size_t bytes) {
  Scratch& mine = thread_scratch;
  if (bytes > mine.size) {
    mine.release();
    const size_t grown = round_up(bytes, 4096);
    mine.data = allocate(grown);
    mine.size = grown;
    scratch_bytes += static_cast<int64_t>(grown);
    ++scratch_allocations;
  }
  if (debug_poison()) poison(mine.data, mine.size);
  return mine.data;
}

}  // namespace fastnn
