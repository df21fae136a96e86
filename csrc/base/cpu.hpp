// SPDX-License-Identifier: Apache-2.0
// What the machine offers this process: instruction sets and processors.
#pragma once

#include <string>
#include <string_view>

#include "base/export.hpp"

namespace fastnn {

// True when the CPU and the operating system can run code of this instruction set
// ("sse42", "avx2", "avx512", "neon", "avx512bf16" on top of "avx512", and "pclmul").
FASTNN_API bool cpu_supports(std::string_view isa);

// Processors this process may use: affinity mask, cut by the cgroup CPU quota.
FASTNN_API int available_cpus();

// Processors' worth of time that control groups (v1 and v2) grant, 0 without a limit.
// Arguments: the list of this process's groups, and where their tree is mounted.
FASTNN_API double cgroup_quota(const std::string& groups = "/proc/self/cgroup",
                               const std::string& mount = "/sys/fs/cgroup");

// A hint to the core that this is a spin loop.
inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace fastnn
