// SPDX-License-Identifier: Apache-2.0
// The kernels of the family, by file.
#pragma once

#include "kernels/kernel.hpp"
#include "shared/hd.h"

FASTNN_BEGIN_NAMESPACE

// moments.cpp
void moments(const KernelArgs& args);
// batch.cpp
void batch_norm(const KernelArgs& args);
void batch_norm_grad(const KernelArgs& args);
void batch_norm_apply(const KernelArgs& args);
// rows.cpp
void layer_norm(const KernelArgs& args);
void layer_norm_grad(const KernelArgs& args);
void unit_norm(const KernelArgs& args);
void unit_norm_grad(const KernelArgs& args);
// group.cpp
void group_norm(const KernelArgs& args);
void group_norm_grad(const KernelArgs& args);

// Rows of dy and x that share one row of layer_norm_grad's partial sums.
inline constexpr int kGradRows = 8;
// From here on `row_range` gives whole groups of them to each part.
inline constexpr int kGradMinRows = 4 * kGradRows;

FASTNN_END_NAMESPACE
