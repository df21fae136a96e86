// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/tensor_view.hpp"

namespace fastnn {

// Bytes before and after `data` that the view touches.
struct Extent {
  int64_t below = 0;
  int64_t above = 0;
};

inline Extent extent_of(const TensorView& view) {
  Extent extent;
  if (view.numel() == 0) return extent;
  const int64_t size = dtype_size(view.dtype);
  for (int i = 0; i < view.ndim; ++i) {
    const int64_t reach = (view.shape[i] - 1) * view.stride[i] * size;
    (reach < 0 ? extent.below : extent.above) += reach < 0 ? -reach : reach;
  }
  extent.above += size;
  return extent;
}

}  // namespace fastnn
