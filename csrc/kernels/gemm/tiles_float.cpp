// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/ukernel.hpp"

FASTNN_BEGIN_NAMESPACE

constexpr TileTable<float> kFloatTiles = filled_table<float>();

FASTNN_END_NAMESPACE
