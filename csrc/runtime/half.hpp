// SPDX-License-Identifier: Apache-2.0
// bfloat16 and float16 for kernels that do not take them themselves: operands are
// widened to float32, the kernel runs, its results are rounded once. So a record has
// both dtypes without a line.
#pragma once

#include "kernels/table.hpp"

namespace fastnn {

// Whether calls of `kernel` with these operands must go through `call_widened`.
inline bool needs_widening(const KernelEntry& kernel, const TensorView* in, size_t n_in,
                           const TensorView* out) {
  if (kernel.halves == Halves::kAll) return false;
  bool bfloat16 = false, float16 = false;
  const auto look = [&](const TensorView& view) {
    bfloat16 |= view.dtype == DType::kBFloat16;
    float16 |= view.dtype == DType::kFloat16;
  };
  for (size_t i = 0; i < n_in; ++i)
    look(in[i]);
  for (int i = 0; i < kernel.n_out; ++i)
    look(out[i]);
  return float16 || (bfloat16 && kernel.halves != Halves::kBFloat16);
}

// How many of `count` parts compute something: 1 unless they own rows (kAny), and no
// more than have `min_rows` each.
int widened_parts(const KernelEntry& kernel, const TensorView* out, int count);

// Computes a part of a kernel's work. A part converts the rows that it owns of every
// output, and only those of the inputs of which it reads no others (letters 'r', and
// 'k' where the reduction keeps rows: another part may still be writing the rest).
void call_widened(const KernelEntry& kernel, const KernelArgs& args);

}  // namespace fastnn
