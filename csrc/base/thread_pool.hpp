// SPDX-License-Identifier: Apache-2.0
// Fixed workers that wait by a bounded spin, then by futex.
//
// Workers start when a plan that can use them is built (`prepare_threads`) or at the
// first parallel call, not at import: import stays cheap, a process that never computes
// in parallel has no threads, and one that forks after `import fastnn` (a worker pool)
// loses none. A forked child starts without workers and makes its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "base/export.hpp"

namespace fastnn {

// Threads that parallel calls may use, the caller included. The default is
// `available_cpus()`.
FASTNN_API int num_threads();
FASTNN_API void set_num_threads(int count);

// Starts the workers of a team of `threads` and lets it meet a few times, so that the
// system has given each a processor and its stack is in memory before the first step.
FASTNN_API void prepare_threads(int threads);

using TeamFunction = void (*)(void* context, int index, int count);

// Calls `fn(context, i, count)` for i in [0, count), each on its own thread and all
// running together (they may wait for each other), where count <= wanted is what is
// free: 1 inside another team, while another thread uses the pool, or when
// num_threads() is 1. Thread 0 is the caller. Rethrows the exception of the lowest i.
FASTNN_API void run_team(int wanted, TeamFunction fn, void* context);

// fn(index, count)
template <class F>
void run_team(int wanted, F&& fn) {
  run_team(
      wanted,
      [](void* context, int index, int count) {
        (*static_cast<std::remove_reference_t<F>*>(context))(index, count);
      },
      const_cast<void*>(static_cast<const void*>(&fn)));
}

// How many threads of a team of `wanted` could begin at once: the caller and the
// workers that still spin after their last work. Waking one costs as much as a short
// plan takes (20 to 100 us), so a single short run takes those that it finds. Where
// such runs follow each other closely, this call also tells the others to be there for
// the next.
FASTNN_API int threads_at_hand(int wanted);

// Calls fn(part) once for each part in [0, count), on up to `count` threads.
template <class F>
void run_parts(int count, F&& fn) {
  run_team(count, [&](int index, int threads) {
    for (int part = index; part < count; part += threads)
      fn(part);
  });
}

// How long a waiting thread spins before it sleeps; 0 when threads share processors.
FASTNN_API int64_t spin_budget_ns(int threads);

// Waits until `word` differs from `old`: spins for the budget, then sleeps. The
// writer must call notify after changing the word.
FASTNN_API void wait_while_equal(const std::atomic<uint32_t>& word, uint32_t old,
                                 int64_t spin_ns);

// Nanoseconds that this thread has spent in wait_while_equal so far.
FASTNN_API int64_t waited_ns();

}  // namespace fastnn
