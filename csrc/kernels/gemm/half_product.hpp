// SPDX-License-Identifier: Apache-2.0
// A product of bfloat16 matrices, as one unit of the library hands it to another: its
// layout does not depend on the instruction set.
#pragma once

#include <cstdint>

namespace fastnn {

// C[m, n] = epilogue(A[m, k] B[k, n]), summed in float32 and rounded once. Numbers are
// the bits of bfloat16; every pointer is that of element (0, 0) of this part.
struct HalfProduct {
  int64_t m, n, k;
  const uint16_t* a;
  int64_t rsa, csa;
  const uint16_t* b;
  int64_t rsb, csb;
  uint16_t* c;
  int64_t ldc;
  const uint16_t* bias;  // nullptr: none
  int64_t bias_step;
  const uint16_t* y;  // for the activation's gradient; nullptr: none
  int64_t rsy, csy;
  int64_t activation;
  double alpha;
};

// With the instructions of AVX512_BF16: gemm/native/avx512bf16.cpp.
namespace avx512bf16 {
void multiply_half(const HalfProduct& p);
}

}  // namespace fastnn
