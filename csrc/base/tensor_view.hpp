// SPDX-License-Identifier: Apache-2.0
// A non-owning view of a strided array: what every kernel reads and writes.
#pragma once

#include <cstdint>

#include "base/dtype.hpp"

// Helpers called from kernel families are forced inline: a weak out-of-line copy
// compiled with AVX-512 could otherwise be kept by the linker for every CPU.
#define FASTNN_INLINE inline __attribute__((always_inline))

namespace fastnn {

inline constexpr int kMaxRank = 8;

struct TensorView {
  void* data = nullptr;
  int64_t shape[kMaxRank] = {};
  int64_t stride[kMaxRank] = {};  // in elements; 0 repeats (broadcast)
  int32_t ndim = 0;
  DType dtype = DType::kFloat32;

  template <class T>
  FASTNN_INLINE T* ptr() const {
    return static_cast<T*>(data);
  }
  FASTNN_INLINE int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < ndim; ++i)
      n *= shape[i];
    return n;
  }
  // Size of the leading dimension, the unit of row ownership (1 for a scalar).
  FASTNN_INLINE int64_t rows() const { return ndim ? shape[0] : 1; }
  FASTNN_INLINE int64_t row_size() const {
    int64_t n = 1;
    for (int i = 1; i < ndim; ++i)
      n *= shape[i];
    return n;
  }
  // Row-major without gaps. Dimensions of size 1 may have any stride.
  FASTNN_INLINE bool contiguous() const {
    int64_t expect = 1;
    for (int i = ndim - 1; i >= 0; --i) {
      if (shape[i] != 1 && stride[i] != expect) return false;
      expect *= shape[i];
    }
    return true;
  }
};

}  // namespace fastnn
