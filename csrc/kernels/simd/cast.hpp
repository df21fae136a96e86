// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/dtype.hpp"
#include "shared/hd.h"

FASTNN_BEGIN_NAMESPACE

// Converts n contiguous elements; equal types copy. Floats truncate towards zero, bool
// is x != 0. Defined in copy.cpp, for every pair of dtypes.
using CastFn = void (*)(const void* from, void* to, int64_t n);
CastFn find_cast(DType from, DType to);

FASTNN_END_NAMESPACE
