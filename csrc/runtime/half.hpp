// SPDX-License-Identifier: Apache-2.0
// bfloat16 and float16 for every kernel: operands are widened to float32, the kernel
// runs, its results are rounded once. So a record has both dtypes without a line.
#pragma once

#include "kernels/table.hpp"

namespace fastnn {

// Whether calls of `kernel` with these operands must go through `call_widened`.
inline bool needs_widening(const KernelEntry& kernel, const TensorView* in, size_t n_in,
                           const TensorView* out) {
  if (kernel.reads_half) return false;
  bool half = false;
  for (size_t i = 0; i < n_in; ++i)
    half |= dtype_is_half(in[i].dtype);
  for (int i = 0; i < kernel.n_out; ++i)
    half |= dtype_is_half(out[i].dtype);
  return half;
}

// Computes a part of a kernel's work. A part that owns rows converts only those of the
// operands of which it reads no others; where parts own no rows, part 0 does all.
void call_widened(const KernelEntry& kernel, const KernelArgs& args);

}  // namespace fastnn
