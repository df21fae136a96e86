// SPDX-License-Identifier: Apache-2.0
// What it costs to use threads, and what a plan adds to its kernels.
#include <benchmark/benchmark.h>

#include <thread>

#include "base/pacer.hpp"
#include "base/thread_pool.hpp"
#include "runtime/barrier.hpp"
#include "runtime/launch.hpp"
#include "runtime/plan.hpp"

namespace {

using namespace fastnn;

void nothing(const KernelArgs&) {}
const KernelEntry kNothing{"nothing", nothing, Split::kRows, "", 1, ""};

Operand vector_of(int64_t n) {
  Operand operand;
  operand.view.ndim = 1;
  operand.view.shape[0] = n;
  operand.view.stride[0] = 1;
  return operand;
}

// As many threads as asked for, whatever the machine, and no pacing: the cost itself.
struct Threads {
  explicit Threads(int count) : before(num_threads()) {
    set_num_threads(count);
    set_pacing(false);
    prepare_threads(count);
  }
  ~Threads() {
    set_pacing(true);
    set_num_threads(before);
  }
  int before;
};

void fork_join(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const Threads set(threads);
  for (auto _ : state)
    run_team(threads, [](int, int) {});
}

// The workers sleep: the gap between two calls of `predict`.
void fork_join_after_sleep(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const Threads set(threads);
  for (auto _ : state) {
    state.PauseTiming();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    state.ResumeTiming();
    run_team(threads, [](int, int) {});
  }
}

void barrier(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const Threads set(threads);
  constexpr int kMeetings = 1000;
  for (auto _ : state) {
    Barrier meeting;
    run_team(threads, [&](int, int count) {
      for (int i = 0; i < kMeetings; ++i)
        meeting.wait(count);
    });
  }
  state.SetItemsProcessed(state.iterations() * kMeetings);
}

// Per instruction (items): a list of kernels that do nothing, with or without barriers.
void plan_dispatch(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const bool barriers = state.range(1) != 0;
  const Threads set(threads);
  constexpr int kInstructions = 100, kSteps = 100;
  Plan plan(4096);
  for (int i = 0; i < kInstructions; ++i)
    plan.add(kNothing, {}, {vector_of(64)}, {}, barriers);
  for (auto _ : state)
    plan.run(kSteps, threads);
  state.SetItemsProcessed(state.iterations() * kInstructions * kSteps);
}

void plan_run(benchmark::State& state) {
  const int threads = static_cast<int>(state.range(0));
  const Threads set(threads);
  Plan plan(4096);
  plan.add(kNothing, {}, {vector_of(64)}, {}, false);
  for (auto _ : state)
    plan.run(1, threads);
}

void eager_launch(benchmark::State& state) {
  const Threads set(1);
  float data[64];
  TensorView view = vector_of(64).view;
  view.data = data;
  for (auto _ : state)
    launch(&kNothing, nullptr, &view, nullptr, 0);
}

BENCHMARK(fork_join)->Arg(1)->Arg(2)->Arg(4)->UseRealTime();
BENCHMARK(fork_join_after_sleep)->Arg(2)->UseRealTime()->Iterations(2000);
BENCHMARK(barrier)->Arg(2)->Arg(4)->UseRealTime();
BENCHMARK(plan_dispatch)
    ->ArgNames({"threads", "barriers"})
    ->Args({1, 0})
    ->Args({2, 0})
    ->Args({2, 1})
    ->UseRealTime();
BENCHMARK(plan_run)->Arg(1)->Arg(2)->UseRealTime();
BENCHMARK(eager_launch);

}  // namespace
