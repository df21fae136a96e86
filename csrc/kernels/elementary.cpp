// SPDX-License-Identifier: Apache-2.0
#include "shared/pointwise/elementary.h"

#include "kernels/simd/pointwise.hpp"

FASTNN_POINTWISE_FAMILY(elementary, FASTNN_ELEMENTARY)
