// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch.hpp"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

#include "base/arena.hpp"
#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/pacer.hpp"
#include "base/thread_pool.hpp"
#include "runtime/extent.hpp"
#include "runtime/half.hpp"

namespace fastnn {
namespace {

// A fork-join costs 1-5 us, so a part must be worth at least twice that.
constexpr double kSerialCost = 20'000;
constexpr double kCostPerPart = 10'000;

// Below this, only threads that are awake help: 32x300x100 takes 15 us alone, and
// waking another thread as long or longer.
constexpr double kWakeCost = 150'000;

// Calls this large gain from a team however long its members must be waited for: a
// time slice of the system is a few milliseconds.
constexpr double kAlwaysParallel = 5e6;

// All callers on all threads share one machine.
Pacer eager_pacer;
std::mutex eager_pacer_mutex;
// A child of fork has one thread; another of its parent's may have held the lock.
[[maybe_unused]] const int eager_pacer_after_fork =
    pthread_atfork(nullptr, nullptr, [] { new (&eager_pacer_mutex) std::mutex; });

template <class F>
void run_paced(int parts, double cost, F&& part_fn) {
  if (cost >= kAlwaysParallel || !pacing()) {
    run_team(parts, part_fn);
    return;
  }
  if (cost < kWakeCost) parts = threads_at_hand(parts);
  const int64_t begin = now_ns();
  const int64_t waited_before = waited_ns();
  bool alone;
  {
    const std::lock_guard lock(eager_pacer_mutex);
    alone = eager_pacer.alone(begin);
  }
  int threads = 1;
  if (alone) {
    part_fn(0, 1);
  } else {
    run_team(parts, [&](int index, int count) {
      if (index == 0) threads = count;
      part_fn(index, count);
    });
  }
  const int64_t end = now_ns();
  const std::lock_guard lock(eager_pacer_mutex);
  if (alone) {
    eager_pacer.alone_ran(cost, end - begin, end);
  } else if (threads > 1) {
    eager_pacer.team_ran(threads, cost, end - begin, waited_ns() - waited_before, end);
  }
}

// Unless they share memory with an input: an update in place reads its output.
void poison_outputs(const KernelEntry& kernel, const TensorView* in,
                    const TensorView* out) {
  for (int k = 0; k < kernel.n_out; ++k) {
    const auto bytes = static_cast<size_t>(out[k].numel() * dtype_size(out[k].dtype));
    const char* const begin = static_cast<char*>(out[k].data);
    bool shared = false;
    for (size_t i = 0; i < std::strlen(kernel.reads); ++i) {
      const Extent extent = extent_of(in[i]);
      const char* const data = static_cast<char*>(in[i].data);
      shared |= data + extent.above > begin && data - extent.below < begin + bytes;
    }
    if (!shared) poison(out[k].data, bytes);
  }
}

size_t count_words(const char* text) {
  size_t words = 0;
  for (bool inside = false; *text; ++text) {
    words += *text != ' ' && !inside;
    inside = *text != ' ';
  }
  return words;
}

}  // namespace

void check_arity(const KernelEntry& kernel, size_t n_in, size_t n_out, size_t n_attrs) {
  FASTNN_CHECK(n_in == std::strlen(kernel.reads),
               "[%s] expected %zu inputs, received %zu", kernel.name,
               std::strlen(kernel.reads), n_in);
  FASTNN_CHECK(n_out == static_cast<size_t>(kernel.n_out),
               "[%s] expected %d outputs, received %zu", kernel.name, kernel.n_out,
               n_out);
  FASTNN_CHECK(n_attrs == count_words(kernel.attrs),
               "[%s] expected %zu attributes (%s), received %zu", kernel.name,
               count_words(kernel.attrs), kernel.attrs, n_attrs);
}

void launch(const KernelEntry* kernel, const TensorView* in, const TensorView* out,
            const AttrValue* attrs, double cost) {
  if (debug_poison()) poison_outputs(*kernel, in, out);
  int parts = 1;
  if (cost >= kSerialCost && kernel->split != Split::kSerial) {
    parts = static_cast<int>(std::min<double>(num_threads(), cost / kCostPerPart));
    if (kernel->split == Split::kRows && kernel->min_rows == 0) {
      parts = static_cast<int>(std::min<int64_t>(parts, out[0].rows()));
    }
  }
  if (needs_widening(*kernel, in, std::strlen(kernel->reads), out)) {
    parts = widened_parts(*kernel, out, parts);
    const auto call = [&](int index, int count) {
      call_widened(*kernel, {in, out, attrs, Part{index, count}});
    };
    return parts <= 1 ? call(0, 1) : run_paced(parts, cost, call);
  }
  if (parts <= 1) {
    kernel->fn({in, out, attrs, Part{}});
    return;
  }
  run_paced(parts, cost, [&](int index, int count) {
    kernel->fn({in, out, attrs, Part{index, count, true}});
  });
}

void launch_part(const KernelEntry* kernel, const TensorView* in, const TensorView* out,
                 const AttrValue* attrs, Part part) {
  const KernelArgs args = {in, out, attrs, part};
  if (needs_widening(*kernel, in, std::strlen(kernel->reads), out)) {
    call_widened(*kernel, args);
  } else {
    kernel->fn(args);
  }
}

}  // namespace fastnn
