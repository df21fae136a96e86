// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/ukernel.hpp"

FASTNN_BEGIN_NAMESPACE

constexpr TileTable<double> kDoubleTiles = filled_table<double>();

FASTNN_END_NAMESPACE
