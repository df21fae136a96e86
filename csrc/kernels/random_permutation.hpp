// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/export.hpp"

namespace fastnn {

// Writes a permutation of 0 .. n - 1: Fisher and Yates's shuffle with the 32-bit words
// of Philox under key `seed` and step `stream`, a pure function of its arguments. Every
// permutation is equally likely up to the period of the generator.
FASTNN_API void random_permutation(uint64_t seed, uint64_t stream, int64_t n,
                                   int64_t* out);

}  // namespace fastnn
