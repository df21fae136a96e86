// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/export.hpp"

namespace fastnn {

// Thread-local scratch memory, 64-byte aligned, valid until the next call on this
// thread. Grows once, then is reused: no allocation in a running plan.
FASTNN_API void* scratch(size_t bytes);

}  // namespace fastnn
