// SPDX-License-Identifier: Apache-2.0
// The kernel table of the instruction set chosen at load.
//
// A family is one .cpp compiled once per ISA inside `namespace fastnn::FASTNN_ISA`
// (macro = sse42 | avx2 | avx512 | neon); it defines `const KernelFamily
// kFamily_<name>`.
#pragma once

#include <span>
#include <string_view>

#include "kernels/kernel.hpp"

namespace fastnn {

struct KernelFamily {
  const char* name;
  const KernelEntry* entries;
  int count;
};

// clang-format off
#define FASTNN_FAMILIES(X) \
  X(arithmetic) \
  X(elementary) \
  X(activation) \
  X(reduce) \
  X(softmax) \
  X(norm) \
  X(loss) \
  X(copy) \
  X(index) \
  X(scatter) \
  X(cumulative) \
  X(sort) \
  X(random) \
  X(sampling) \
  X(optim) \
  X(gemm) \
  X(pool) \
  X(conv) \
  X(depthwise) \
  X(lrn) \
  X(pad) \
  X(resize) X(recurrent)
// clang-format on

// nullptr: not supported here.
FASTNN_API const KernelEntry* find_kernel(std::string_view name);
FASTNN_API std::span<const KernelFamily* const> kernel_families();
// "avx512", ...; FASTNN_ISA in the environment forces one.
FASTNN_API const char* active_isa();
// The compiled instruction sets that this CPU can run, best first.
FASTNN_API std::span<const char* const> available_isas();

}  // namespace fastnn
