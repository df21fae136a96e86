// SPDX-License-Identifier: Apache-2.0
// What gathers and scatters share: reading indices, checking them, naming a bad one.
#pragma once

#include "base/error.hpp"
#include "kernels/simd/strided.hpp"

FASTNN_BEGIN_NAMESPACE

inline constexpr int64_t kIndexBlock = 512;

template <class I>
FASTNN_INLINE void widen_indices(const void* from, int64_t n, int64_t* to) {
  const I* p = static_cast<const I*>(from);
  for (int64_t i = 0; i < n; ++i)
    to[i] = p[i];
}
FASTNN_INLINE void widen_indices(const void* from, DType dtype, int64_t n,
                                 int64_t* to) {
  if (dtype == DType::kInt64) return widen_indices<int64_t>(from, n, to);
  if (dtype == DType::kInt32) return widen_indices<int32_t>(from, n, to);
  widen_indices<uint8_t>(from, n, to);
}
// n (at most kIndexBlock) indices from position `start` on.
FASTNN_OUTLINE void gather_indices(const Walk& w, DType dtype, int64_t start, int64_t n,
                                   int64_t* to) {
  alignas(64) char buffer[kIndexBlock * 8];
  gather(buffer, w, 0, start, n, dtype_size(dtype));
  widen_indices(buffer, dtype, n, to);
}

// "[take] index 7 at position (1, 2) is out of range for an axis of size 4".
[[noreturn]] FASTNN_OUTLINE void fail_index(const char* op, const TensorView& indices,
                                            int64_t at, int64_t index, int64_t size) {
  char place[8 * kMaxRank * 3 + 4];
  int64_t position[kMaxRank];
  for (int d = indices.ndim - 1; d >= 0; --d) {
    position[d] = at % indices.shape[d];
    at /= indices.shape[d];
  }
  int n = 0;
  for (int d = 0; d < indices.ndim; ++d) {
    char digits[20];
    int count = 0;
    for (int64_t v = position[d]; count == 0 || v; v /= 10)
      digits[count++] = static_cast<char>('0' + v % 10);
    if (d) place[n++] = ',', place[n++] = ' ';
    while (count)
      place[n++] = digits[--count];
  }
  place[n] = 0;
  fail("[%s] index %lld at position (%s) is out of range for an axis of size %lld", op,
       static_cast<long long>(index), place, static_cast<long long>(size));
}

// Indices of any integer dtype and any strides, by flat position.
class IndexReader {
 public:
  FASTNN_INLINE IndexReader(const char* op, const TensorView& x) : view_(x), op_(op) {
    FASTNN_CHECK(x.dtype == DType::kInt64 || x.dtype == DType::kInt32 ||
                     x.dtype == DType::kUInt8,
                 "[%s] indices of dtype %s are not supported (int32, int64, uint8)", op,
                 dtype_name(x.dtype));
    // A walk takes longer to plan than the 32 numbers of a batch to read.
    if (x.contiguous()) {
      flat_ = x.ptr<const char>();
    } else if (x.numel()) {
      const TensorView* view = &view_;
      walk_ = make_walk(&view, 1, {0, x.rows()});
    }
  }
  FASTNN_INLINE void read(int64_t start, int64_t n, int64_t* to) const {
    if (!flat_) return gather_indices(walk_, view_.dtype, start, n, to);
    const int size = dtype_size(view_.dtype);
    widen_indices(flat_ + start * size, view_.dtype, n, to);
  }
  FASTNN_INLINE int64_t operator[](int64_t i) const {
    int64_t index;
    read(i, 1, &index);
    return index;
  }
  // n indices as numbers of rows, of which there are `size`; negative ones count from
  // the end. Fails for one out of range: rows are then read or written unchecked.
  FASTNN_INLINE void rows(int64_t start, int64_t n, int64_t size, int64_t* to) const {
    read(start, n, to);
    bool bad = false;
    for (int64_t i = 0; i < n; ++i) {
      to[i] += to[i] < 0 ? size : 0;
      bad |= static_cast<uint64_t>(to[i]) >= static_cast<uint64_t>(size);
    }
    if (!bad) [[likely]]
      return;
    for (int64_t i = 0; i < n; ++i) {
      if (static_cast<uint64_t>(to[i]) >= static_cast<uint64_t>(size))
        fail_index(op_, view_, start + i, (*this)[start + i], size);
    }
  }

 private:
  TensorView view_;
  Walk walk_;
  const char* flat_ = nullptr;
  const char* op_;
};

FASTNN_INLINE void check_slice(const char* op, int axis, int64_t start, int64_t n,
                               int64_t size) {
  FASTNN_CHECK(start >= 0 && start <= size - n,
               "[%s] %lld elements from %lld on do not fit axis %d of size %lld", op,
               static_cast<long long>(n), static_cast<long long>(start), axis,
               static_cast<long long>(size));
}

FASTNN_END_NAMESPACE
