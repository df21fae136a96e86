// SPDX-License-Identifier: Apache-2.0
// Zeroed memory from the system in huge pages, where it grants them.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace fastnn {

inline constexpr size_t kHugePage = size_t{2} << 20;

inline size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// A mapping from which `data`, on a huge page's boundary, has `bytes` bytes; `unmap`
// gives it back, there is no owner. `in_huge_pages`: how many bytes of it are worth
// huge pages, of which the last is whole however little of it is used.
struct Mapping {
  void* start = nullptr;
  size_t size = 0;
  char* data = nullptr;

  explicit Mapping(size_t bytes) : Mapping(bytes, bytes) {}

  Mapping(size_t bytes, size_t in_huge_pages)
      : size(round_up(bytes, kHugePage) + kHugePage) {
    start =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<uintptr_t>(start);
    data = static_cast<char*>(start) + (round_up(address, kHugePage) - address);
#if defined(MADV_HUGEPAGE)
    madvise(data, round_up(in_huge_pages, kHugePage), MADV_HUGEPAGE);
#endif
  }
};

}  // namespace fastnn
