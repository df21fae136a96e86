// SPDX-License-Identifier: Apache-2.0
// What this machine can give right now: the ceilings that benchmarks divide by.
#pragma once

#include "base/export.hpp"

namespace fastnn {

// float32 multiply-adds from registers with the active instruction set, summed over
// `threads` threads that run for about `seconds`; two operations per multiply-add.
FASTNN_API double fma_peak_gflops(int threads, double seconds);

// Bytes read plus bytes written per second (in units of 1e9) by copies larger than the
// caches, summed over `threads` threads.
FASTNN_API double copy_bandwidth_gbs(int threads, double seconds);

}  // namespace fastnn
