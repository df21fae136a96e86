// SPDX-License-Identifier: Apache-2.0
// FASTNN_DEBUG_POISON: what nobody wrote is NaN.
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/arena.hpp"
#include "check.hpp"
#include "runtime/launch.hpp"
#include "runtime/plan.hpp"

namespace {

using namespace fastnn;

const bool asked = setenv("FASTNN_DEBUG_POISON", "1", 1) == 0;

// Writes all but the last element, which it forgets.
void forget_last(const KernelArgs& args) {
  for (int64_t i = 0; i + 1 < args.out[0].numel(); ++i)
    args.out[0].ptr<float>()[i] = args.in[0].ptr<float>()[i];
}

const KernelEntry kForget{"forget_last", forget_last, Split::kSerial, "a", 1, ""};

TensorView vector_view(float* data, int64_t n) {
  TensorView view;
  view.data = data;
  view.ndim = 1;
  view.shape[0] = n;
  view.stride[0] = 1;
  return view;
}

}  // namespace

TEST("scratch is poisoned at every call") {
  REQUIRE(asked && debug_poison());
  for (const size_t bytes : {size_t{64}, size_t{100}, size_t{10'000}}) {
    auto* data = static_cast<float*>(scratch(bytes));
    for (size_t i = 0; i < bytes / sizeof(float); ++i)
      REQUIRE(std::isnan(data[i]));
    std::memset(data, 0, bytes);
  }
}

TEST("an output that a kernel forgets is NaN, one updated in place is not") {
  float in[4] = {1, 2, 3, 4}, out[4] = {5, 6, 7, 8};
  const TensorView source = vector_view(in, 4), target = vector_view(out, 4);
  launch(&kForget, &source, &target, nullptr, 0);
  REQUIRE(out[0] == 1 && out[2] == 3 && std::isnan(out[3]));
  launch(&kForget, &source, &source, nullptr, 0);
  REQUIRE(in[0] == 1 && in[3] == 4);
}

TEST("the arena is poisoned before each run of a plan") {
  Plan plan(64);
  float out[4] = {};
  plan.add(kForget, {{0, 0, vector_view(nullptr, 4)}},
           {{1, 0, vector_view(nullptr, 4)}}, {}, false);
  plan.bind(1, out, sizeof out, true);
  for (int round = 0; round < 2; ++round) {
    plan.run(1, 1);
    REQUIRE(std::isnan(out[0]) && out[3] == 0);
    std::memset(plan.arena().data(), 0, 64);
  }
}
