// SPDX-License-Identifier: Apache-2.0
// Eager execution of one kernel.
#pragma once

#include "base/export.hpp"
#include "kernels/kernel.hpp"

namespace fastnn {

// Throws unless the counts are those of the kernel's table row.
FASTNN_API void check_arity(const KernelEntry& kernel, size_t n_in, size_t n_out,
                            size_t n_attrs);

// Calls the kernel. `cost` is its work in nanoseconds on one thread, as far as the
// caller knows it: small work runs on the calling thread, more on the pool.
FASTNN_API void launch(const KernelEntry* kernel, const TensorView* in,
                       const TensorView* out, const AttrValue* attrs, double cost);

// Computes one part on the calling thread: for tests.
FASTNN_API void launch_part(const KernelEntry* kernel, const TensorView* in,
                            const TensorView* out, const AttrValue* attrs, Part part);

}  // namespace fastnn
