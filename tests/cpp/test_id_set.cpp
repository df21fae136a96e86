// SPDX-License-Identifier: Apache-2.0
// The set of numbers beside std::set.
#include <cstdint>
#include <random>
#include <set>

#include "base/id_set.hpp"
#include "check.hpp"

namespace {

void check_same(fastnn::IdSet& ours, const std::set<int64_t>& expected, int64_t most) {
  for (int64_t id = 1; id <= most; ++id)
    REQUIRE(ours.contains(id) == (expected.count(id) == 1));
  size_t found = 0;
  for (const int64_t id : ours.slots())
    found += id != 0;
  REQUIRE(found == expected.size());
}

}  // namespace

TEST("ids in the order they are given") {
  fastnn::IdSet ours;
  std::set<int64_t> expected;
  check_same(ours, expected, 10);
  for (int64_t id = 1'000; id < 3'000; id += 3)
    ours.insert(id), expected.insert(id);
  check_same(ours, expected, 4'000);
  ours.clear();
  check_same(ours, {}, 4'000);
}

TEST("ids that meet in one place") {
  fastnn::IdSet ours;
  std::set<int64_t> expected;
  std::mt19937_64 random(0);
  for (int i = 0; i < 3'000; ++i) {
    const int64_t id = 1 + static_cast<int64_t>(random() % 64) * 1024;
    ours.insert(id), expected.insert(id);
  }
  check_same(ours, expected, 70'000);
  const int64_t last = INT64_MAX;
  ours.insert(last);
  REQUIRE(ours.contains(last) && !ours.contains(last - 1));
}
