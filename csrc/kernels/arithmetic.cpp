// SPDX-License-Identifier: Apache-2.0
#include "shared/pointwise/arithmetic.h"

#include "kernels/simd/pointwise.hpp"

FASTNN_POINTWISE_FAMILY(arithmetic, FASTNN_ARITHMETIC)
