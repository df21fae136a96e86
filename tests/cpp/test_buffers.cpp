// SPDX-License-Identifier: Apache-2.0
// Memory of eager results.
#include "base/buffers.hpp"

#include <cstring>
#include <thread>
#include <vector>

#include "check.hpp"

namespace {

using namespace fastnn;

bool aligned(const Buffer* buffer) {
  return reinterpret_cast<uintptr_t>(buffer_data(buffer)) % 64 == 0;
}

}  // namespace

TEST("every size has its room, apart from all others") {
  clear_buffers();
  const int64_t live = buffer_stats().live_bytes;
  std::vector<Buffer*> held;
  std::vector<size_t> sizes;
  for (size_t bytes = 0; bytes < 5'000'000; bytes = bytes * 9 / 8 + 1)
    sizes.push_back(bytes);
  for (const size_t bytes : sizes) {
    held.push_back(acquire_buffer(bytes));
    REQUIRE(aligned(held.back()));
    std::memset(buffer_data(held.back()), static_cast<int>(held.size() % 251), bytes);
  }
  for (size_t i = 0; i < held.size(); ++i) {
    const auto* data = static_cast<unsigned char*>(buffer_data(held[i]));
    for (size_t k = 0; k < sizes[i]; ++k) {
      if (data[k] != (i + 1) % 251) REQUIRE(false);
    }
    release_buffer(held[i]);
  }
  REQUIRE(buffer_stats().live_bytes == live);
  clear_buffers();
  REQUIRE(buffer_stats().kept_bytes == 0);
}

TEST("threads acquire and release at once") {
  const int64_t live = buffer_stats().live_bytes;
  std::vector<std::thread> threads;
  bool good[4] = {};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &good] {
      bool right = true;
      for (int i = 0; i < 2000; ++i) {
        const size_t bytes = 1000 + static_cast<size_t>(i * 37 % 5000);
        Buffer *a = acquire_buffer(bytes), *b = acquire_buffer(2 * bytes);
        std::memset(buffer_data(a), t, bytes);
        std::memset(buffer_data(b), t + 100, 2 * bytes);
        const auto* data = static_cast<char*>(buffer_data(a));
        right &= data[0] == t && data[bytes - 1] == t;
        release_buffer(a);
        release_buffer(b);
      }
      good[t] = right;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const bool right : good)
    REQUIRE(right);
  REQUIRE(buffer_stats().live_bytes == live);
}

TEST("a limit of nothing keeps nothing") {
  const size_t limit = buffer_limit();
  set_buffer_limit(0);
  release_buffer(acquire_buffer(100'000));
  REQUIRE(buffer_stats().kept_bytes == 0);
  set_buffer_limit(limit);
}
