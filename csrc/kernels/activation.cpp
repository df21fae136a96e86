// SPDX-License-Identifier: Apache-2.0
#include "shared/pointwise/activation.h"

#include "kernels/simd/pointwise.hpp"

FASTNN_POINTWISE_FAMILY(activation, FASTNN_ACTIVATION)
