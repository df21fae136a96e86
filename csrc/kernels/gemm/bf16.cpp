// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/bf16.hpp"

#include "base/cpu.hpp"
#include "kernels/gemm/pairs.hpp"

FASTNN_BEGIN_NAMESPACE

void run_half(const HalfProduct& p) {
#if defined(__x86_64__) && FASTNN_VECTOR_BYTES == 64
  static const bool native = cpu_supports("avx512bf16");
  if (native) return avx512bf16::multiply_half(p);
#endif
  multiply_pairs<WidenedDot>(p);
}

FASTNN_END_NAMESPACE
