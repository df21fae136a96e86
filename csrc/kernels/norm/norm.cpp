// SPDX-License-Identifier: Apache-2.0
// Normalization: the table of the family.
#include "kernels/norm/norm.hpp"

#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

constexpr KernelEntry kEntries[] = {
    {"moments", moments, Split::kRows, "k", 2, "axes keepdims"},
    {"batch_norm", batch_norm, Split::kAny, "aaa", 3, "axis epsilon"},
    {"batch_norm_grad", batch_norm_grad, Split::kAny, "aaaaa", 3, "axis epsilon"},
    {"batch_norm_apply", batch_norm_apply, Split::kRows, "raaaa", 1, "axis epsilon"},
    {"layer_norm", layer_norm, Split::kRows, "raa", 3, "axis epsilon centered", 1},
    {"layer_norm_grad", layer_norm_grad, Split::kRows, "rrarr", 3, "axis centered",
     kGradMinRows},
    {"unit_norm", unit_norm, Split::kRows, "r", 2, "epsilon", 1},
    {"unit_norm_grad", unit_norm_grad, Split::kRows, "rrr", 1, "epsilon", 1},
    {"group_norm", group_norm, Split::kRows, "raa", 3, "groups epsilon"},
    {"group_norm_grad", group_norm_grad, Split::kRows, "rrarr", 3, "groups"},
};

}  // namespace

extern const KernelFamily kFamily_norm;
const KernelFamily kFamily_norm = {"norm", kEntries,
                                   sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
