// SPDX-License-Identifier: Apache-2.0
// Products of bfloat16 matrices with vdpbf16ps. A unit of its own: it alone is compiled
// with -mavx512bf16, in its own namespace, and bf16.cpp calls it where the CPU can.
#include "kernels/gemm/pairs.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

FASTNN_INLINE Vec<float> dot(Vec<float> sum, uint32_t a, Vec<uint32_t> b) {
  const auto pair = (__m512bh)_mm512_set1_epi32(static_cast<int>(a));
  return (Vec<float>)_mm512_dpbf16_ps((__m512)sum, pair, (__m512bh)b);
}

}  // namespace

void multiply_half(const HalfProduct& p) { multiply_pairs<PairedDot<dot>>(p); }

FASTNN_END_NAMESPACE
