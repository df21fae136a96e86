// SPDX-License-Identifier: Apache-2.0
// The plan with kernels of its own: what it promises does not depend on families.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/thread_pool.hpp"
#include "check.hpp"
#include "runtime/plan.hpp"

namespace {

std::atomic<int64_t> heap_allocations{0};

void* counted(size_t bytes) {
  ++heap_allocations;
  void* data = std::malloc(bytes ? bytes : 1);
  if (!data) throw std::bad_alloc();
  return data;
}

}  // namespace

void* operator new(size_t bytes) { return counted(bytes); }
void operator delete(void* data) noexcept { std::free(data); }
void operator delete(void* data, size_t) noexcept { std::free(data); }

namespace {

using namespace fastnn;

// These plans begin with the zeros of a new arena, also where other tests are poisoned.
const bool not_poisoned = unsetenv("FASTNN_DEBUG_POISON") == 0;

// out[i] = 3 * in[(i + 1) % n] + i (mod 2^64): every part reads its neighbour's.
void rotate(const KernelArgs& args) {
  const int64_t n = args.out[0].rows();
  const auto* in = args.in[0].ptr<uint64_t>();
  auto* out = args.out[0].ptr<uint64_t>();
  const Range range = row_range(n, args.part);
  for (int64_t i = range.begin; i < range.end; ++i) {
    out[i] = 3 * in[(i + 1) % n * args.in[0].stride[0]] + static_cast<uint64_t>(i);
  }
}

// counter += amount, using scratch as kernels do.
void count(const KernelArgs& args) {
  *static_cast<int64_t*>(scratch(64)) = args.attrs[0].i;
  *args.out[0].ptr<int64_t>() += *static_cast<int64_t*>(scratch(64));
}

void refuse(const KernelArgs& args) {
  if (args.part.index == args.part.count - 1) fail("[refuse] no");
}

// out[i] += 1 for its share; the second thread of a team is always late.
std::atomic<int64_t> steps_alone{0};
void lag(const KernelArgs& args) {
  const Range range = row_range(args.out[0].rows(), args.part);
  for (int64_t i = range.begin; i < range.end; ++i)
    ++args.out[0].ptr<int64_t>()[i];
  steps_alone += args.part.count == 1;
  if (args.part.index == 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

const KernelEntry kLag{"lag", lag, Split::kRows, "", 1, ""};
const KernelEntry kRotate{"rotate", rotate, Split::kRows, "a", 1, ""};
const KernelEntry kCount{"count", count, Split::kSerial, "", 1, "amount"};
const KernelEntry kRefuse{"refuse", refuse, Split::kAny, "", 1, ""};

Operand vector_at(int slot, int64_t offset, int64_t n) {
  Operand operand{slot, offset, {}};
  operand.view.dtype = DType::kInt64;
  operand.view.ndim = 1;
  operand.view.shape[0] = n;
  operand.view.stride[0] = 1;
  return operand;
}

AttrValue attr(int64_t value) {
  AttrValue result;
  result.i = value;
  return result;
}

// x -> y -> x -> ... and a counter in slot 1.
constexpr int64_t kLength = 50;
void build(Plan& plan) {
  const Operand x = vector_at(0, 0, kLength), y = vector_at(0, 512, kLength);
  plan.add(kRotate, {x}, {y}, {}, false);
  plan.add(kCount, {}, {vector_at(1, 8, 1)}, {attr(5)}, false);
  plan.add(kRotate, {y}, {x}, {}, true);
}

std::vector<int64_t> result_of(int threads, int64_t steps, int64_t* counter) {
  Plan plan(1024);
  build(plan);
  plan.bind(1, counter, 16, true);
  plan.run(steps, threads);
  const auto* x = reinterpret_cast<const int64_t*>(plan.arena().data());
  return {x, x + kLength};
}

}  // namespace

TEST("any number of threads gives the result of one") {
  REQUIRE(not_poisoned);
  set_num_threads(4);
  int64_t counter[2] = {};
  const std::vector<int64_t> expected = result_of(1, 1, counter);
  REQUIRE(expected[0] == 3 * (3 * 0 + 1) + 0);
  REQUIRE(counter[0] == 0 && counter[1] == 5);
  const std::vector<int64_t> many = result_of(1, 501, counter);
  for (const int threads : {2, 3, 4}) {
    counter[1] = 0;
    REQUIRE(result_of(threads, 501, counter) == many);
    REQUIRE_MSG(counter[1] == 5 * 501, std::to_string(counter[1]));
  }
}

TEST("a team that mostly waits becomes one thread, whatever the step") {
  set_num_threads(2);
  Plan plan(1024);
  plan.add(kLag, {}, {vector_at(0, 0, kLength)}, {}, false);
  for (const int64_t steps : {20'000, 1, 7}) {
    const int64_t before = *reinterpret_cast<const int64_t*>(plan.arena().data());
    plan.run(steps, 2);
    const auto* x = reinterpret_cast<const int64_t*>(plan.arena().data());
    for (int64_t i = 0; i < kLength; ++i)
      REQUIRE(x[i] == before + steps);
  }
  REQUIRE_MSG(steps_alone > 19'000, std::to_string(steps_alone));
}

TEST("a running plan allocates nothing") {
  set_num_threads(2);
  Plan plan(1024);
  build(plan);
  int64_t counter[2] = {};
  plan.bind(1, counter, sizeof counter, true);
  plan.run(2, 2);
  const MemoryStats before = memory_stats();
  const int64_t heap = heap_allocations;
  plan.run(100, 2);
  REQUIRE(heap_allocations == heap);
  REQUIRE(memory_stats().arena_allocations == before.arena_allocations);
  REQUIRE(memory_stats().scratch_allocations == before.scratch_allocations);
  REQUIRE(before.arena_allocations > 0 && before.scratch_allocations > 0);
}

TEST("an error in one part stops all threads") {
  set_num_threads(4);
  Plan plan(1024);
  int64_t counter[2] = {};
  plan.add(kRefuse, {}, {vector_at(0, 0, 4)}, {}, false);
  build(plan);
  plan.bind(1, counter, sizeof counter, true);
  for (int round = 0; round < 50; ++round) {
    for (const int threads : {1, 2, 4}) {
      REQUIRE_THROWS(plan.run(10, threads), "[refuse] no");
    }
  }
  REQUIRE(result_of(4, 3, counter).size() == kLength);
}

TEST("a timed run has the moments of each thread, instruction and barrier") {
  set_num_threads(2);
  Plan plan(1024);
  build(plan);
  int64_t counter[2] = {};
  plan.bind(1, counter, sizeof counter, true);
  plan.run(1, 2);
  const Timeline seen = plan.run_timed(9, 2);
  REQUIRE(counter[1] == 50);
  REQUIRE(seen.steps == 9 && seen.threads >= 1 && seen.threads <= 2);
  REQUIRE(seen.entries == static_cast<int64_t>(plan.instructions().size()) + 1);
  REQUIRE(seen.allocations == 0);
  const auto per_thread = static_cast<size_t>(9 * seen.entries);
  for (int thread = 0; thread < seen.threads; ++thread) {
    int64_t last = 0;
    for (size_t i = 0; i < per_thread; ++i) {
      const int64_t* at =
          seen.moments.data() + 3 * (static_cast<size_t>(thread) * per_thread + i);
      REQUIRE(last <= at[0] && at[0] <= at[1] && at[1] <= at[2]);
      last = at[2];
    }
    REQUIRE(last > 0);
  }
}

TEST("a plan refuses what does not fit") {
  Plan plan(1024);
  const Operand x = vector_at(0, 0, 4);
  REQUIRE_THROWS(plan.add(kRotate, {}, {x}, {}, false), "[rotate] expected 1 inputs");
  REQUIRE_THROWS(plan.add(kRotate, {x}, {}, {}, false), "expected 1 outputs");
  REQUIRE_THROWS(plan.add(kCount, {}, {x}, {}, false), "1 attributes (amount)");
  REQUIRE_THROWS(plan.add(kRotate, {x}, {vector_at(0, 1000, 4)}, {}, false),
                 "ends at byte 1032 of an arena of 1024");
  REQUIRE_THROWS(plan.add(kRotate, {vector_at(0, 4, 4)}, {x}, {}, false), "aligned");
  Operand backwards = vector_at(0, 16, 4);
  backwards.view.stride[0] = -1;
  REQUIRE_THROWS(plan.add(kRotate, {backwards}, {x}, {}, false), "before slot 0");
  REQUIRE_THROWS(plan.add(kRotate, {x}, {backwards}, {}, false), "slot 0");
  backwards.offset = 24;
  REQUIRE_THROWS(plan.add(kRotate, {x}, {backwards}, {}, false), "contiguous");
  REQUIRE_THROWS(plan.add(kRotate, {vector_at(-1, 0, 4)}, {x}, {}, false), "slot -1");
  REQUIRE(plan.instructions().empty());
  plan.add(kRotate, {backwards}, {vector_at(0, 512, 4)}, {}, false);
}

TEST("slots are checked when bound and before a run") {
  Plan plan(0);
  int64_t data[4] = {};
  plan.add(kRotate, {vector_at(1, 0, 4)}, {vector_at(2, 0, 4)}, {}, false);
  REQUIRE_THROWS(plan.run(1, 1), "slot 1 is not bound");
  REQUIRE_THROWS(plan.bind(0, data, 32, true), "slot 0 is the arena");
  REQUIRE_THROWS(plan.bind(3, data, 32, true), "no instruction uses slot 3");
  REQUIRE_THROWS(plan.bind(1, data, 31, true), "needs 32 bytes");
  REQUIRE_THROWS(plan.bind(2, data, 32, false), "read-only");
  plan.bind(1, data, 32, false);
  int64_t out[4] = {};
  plan.bind(2, out, 32, true);
  plan.run(1, 1);
  REQUIRE(out[3] == 3);
  plan.add(kRotate, {vector_at(1, 0, 8)}, {vector_at(2, 0, 8)}, {}, false);
  REQUIRE_THROWS(plan.run(1, 1), "slot 1 is not bound");
}

TEST("arenas are aligned and zero") {
  for (const size_t bytes : {size_t{1}, size_t{100}, size_t{5} << 20}) {
    const int64_t live = memory_stats().arena_bytes;
    Arena arena(bytes);
    REQUIRE(reinterpret_cast<uintptr_t>(arena.data()) % 64 == 0);
    for (size_t i = 0; i < bytes; ++i)
      REQUIRE(arena.data()[i] == 0);
    REQUIRE(memory_stats().arena_bytes == live + static_cast<int64_t>(bytes));
  }
}
