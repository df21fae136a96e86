// SPDX-License-Identifier: Apache-2.0
// The multiply-add loop behind fma_peak_gflops (runtime/peak.hpp), once per ISA.
#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

// Returns the floating-point operations done.
double run_fma_probe(int64_t rounds);
double run_fma_probe(int64_t rounds) {
  // Two multiply-adds per cycle of latency 4 or 5 need 10 independent chains. They fall
  // towards 1, where the compiler would see that nothing changes.
  constexpr int kChains = 12;
  using V = Vec<float>;
  V acc[kChains];
  for (int i = 0; i < kChains; ++i)
    acc[i] = splat<V>(static_cast<float>(i + 2));
  V scale = splat<V>(0.999f), shift = splat<V>(1e-3f);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i)
      acc[i] = acc[i] * scale + shift;
  }
  V sum = {};
  for (int i = 0; i < kChains; ++i)
    sum += acc[i];
  volatile float sink = sum[0];  // keeps the loop
  (void)sink;
  return 2.0 * kChains * lanes<float> * static_cast<double>(rounds);
}

FASTNN_END_NAMESPACE
