// SPDX-License-Identifier: Apache-2.0
// Walking strided operands: merge dimensions, read runs of elements by size. Nothing
// here depends on the element type, so each family carries one small copy.
#pragma once

#include "kernels/kernel.hpp"
#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

inline constexpr int kMaxOperands = 5;

// The common iteration space of some operands of one shape, with size-1 dimensions
// dropped and dimensions merged where every operand allows it. Strides in bytes.
struct Walk {
  int ndim = 0;
  int64_t shape[kMaxRank];
  int64_t stride[kMaxOperands][kMaxRank];
  const char* base[kMaxOperands];
};

// `view[k]` restricted to rows [rows.begin, rows.end); all have the shape of view[0].
FASTNN_OUTLINE Walk make_walk(const TensorView* const* view, int count, Range rows) {
  Walk w;
  for (int k = 0; k < count; ++k) {
    const TensorView& v = *view[k];
    const int64_t row = v.ndim ? v.stride[0] * dtype_size(v.dtype) : 0;
    w.base[k] = v.ptr<const char>() + rows.begin * row;
  }
  for (int d = 0; d < view[0]->ndim; ++d) {
    const int64_t n = d ? view[0]->shape[d] : rows.end - rows.begin;
    if (n == 1) continue;
    bool merge = w.ndim > 0;
    for (int k = 0; k < count && merge; ++k) {
      const int64_t stride = view[k]->stride[d] * dtype_size(view[k]->dtype);
      merge = w.stride[k][w.ndim - 1] == stride * n;
    }
    const int at = merge ? w.ndim - 1 : w.ndim++;
    w.shape[at] = merge ? w.shape[at] * n : n;
    for (int k = 0; k < count; ++k) {
      w.stride[k][at] = view[k]->stride[d] * dtype_size(view[k]->dtype);
    }
  }
  if (w.ndim == 0) {  // one element
    w.ndim = 1;
    w.shape[0] = 1;
    for (int k = 0; k < count; ++k)
      w.stride[k][0] = dtype_size(view[k]->dtype);
  }
  return w;
}

template <class T>
FASTNN_INLINE void copy_strided(char* to, const char* from, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    T x;
    __builtin_memcpy(&x, from + i * stride, sizeof x);
    __builtin_memcpy(to + i * sizeof(T), &x, sizeof x);
  }
}

// n elements of `size` bytes, `stride` bytes apart, to contiguous memory.
FASTNN_OUTLINE void copy_run(char* to, const char* from, int64_t stride, int64_t n,
                             int size) {
  if (stride == size) {
    __builtin_memcpy(to, from, n * size);
  } else if (size == 4) {
    copy_strided<uint32_t>(to, from, stride, n);
  } else if (size == 8) {
    copy_strided<uint64_t>(to, from, stride, n);
  } else if (size == 1) {
    copy_strided<uint8_t>(to, from, stride, n);
  } else {
    copy_strided<uint16_t>(to, from, stride, n);
  }
}

// Elements [start, start + n) of operand k in row-major order.
FASTNN_OUTLINE void gather(char* to, const Walk& w, int k, int64_t start, int64_t n,
                           int size) {
  if (n <= 0) return;  // a dimension may be 0 then
  int64_t at[kMaxRank];
  const char* from = w.base[k];
  for (int d = w.ndim - 1; d >= 0; --d) {
    at[d] = start % w.shape[d];
    start /= w.shape[d];
    from += at[d] * w.stride[k][d];
  }
  const int inner = w.ndim - 1;
  while (n > 0) {
    const int64_t left = w.shape[inner] - at[inner];
    const int64_t run = n < left ? n : left;
    copy_run(to, from, w.stride[k][inner], run, size);
    to += run * size;
    n -= run;
    if (n == 0) break;
    from -= at[inner] * w.stride[k][inner];
    at[inner] = 0;
    for (int d = inner - 1; d >= 0; --d) {
      from += w.stride[k][d];
      if (++at[d] < w.shape[d]) break;
      from -= at[d] * w.stride[k][d];
      at[d] = 0;
    }
  }
}

template <class T>
FASTNN_INLINE void fill_64_of(char* to, T x) {
  for (int at = 0; at < 64; at += FASTNN_VECTOR_BYTES)
    store(reinterpret_cast<T*>(to + at), Vec<T>{} + x);
}
// 64 bytes filled with one element of `size` bytes.
FASTNN_INLINE void fill_64(char* to, const char* element, int size) {
  uint64_t bits = 0;
  copy_run(reinterpret_cast<char*>(&bits), element, 0, 1, size);
  if (size == 8) return fill_64_of<uint64_t>(to, bits);
  if (size == 4) return fill_64_of<uint32_t>(to, static_cast<uint32_t>(bits));
  if (size == 1) return fill_64_of<uint8_t>(to, static_cast<uint8_t>(bits));
  fill_64_of<uint32_t>(to, static_cast<uint32_t>(bits << 16 | bits));
}

FASTNN_END_NAMESPACE
