// SPDX-License-Identifier: Apache-2.0
// Means and squared deviations in one pass over memory. Short blocks are taken twice
// while they are in registers or L1, then merged in the order of memory (Chan, Golub
// and LeVeque 1979). All is done relative to a shift, the first value: means keep their
// digits beside a large offset (merging means of 1e6 + noise costs three digits of the
// variance), and a constant is exact whatever its size. With an infinity among the
// values the variance is NaN and the mean infinite or NaN.
#pragma once

#include "kernels/simd/prefetch.hpp"
#include "kernels/simd/row.hpp"
#include "shared/math/basic.h"

FASTNN_BEGIN_NAMESPACE

// The shift that a first value makes: none where differences from it could overflow.
template <class V>
FASTNN_INLINE V shift_of(V x) {
  return select(absolute(x) < pick<V>(8e37, 4e307), x, constant<V>(0));
}

// Of some values: the mean and the sum of squared deviations from it.
template <class V>
struct Moments {
  V mean, m2;
};

// `into`, of `n` values, takes up `from`, of `m`.
template <class V>
FASTNN_INLINE void merge(Moments<V>& into, int64_t n, const Moments<V>& from,
                         int64_t m) {
  using T = ElemOf<V>;
  if (n == 0) {
    into = from;
    return;
  }
  const T weight = static_cast<T>(m) / static_cast<T>(n + m);
  const V delta = from.mean - into.mean;
  into.mean = into.mean + delta * splat<V>(weight);
  into.m2 = into.m2 + from.m2 + delta * delta * splat<V>(static_cast<T>(n) * weight);
}

// n <= kMomentBlock contiguous values, which stay in L1 between the two passes; the
// mean is relative to `shift`.
inline constexpr int64_t kMomentBlock = 2048;
template <class T>
FASTNN_INLINE Moments<T> block_moments(const T* p, int64_t n, T shift) {
  using V = Vec<T>;
  const V k = splat<V>(shift);
  const T mean =
      sum_row<T>(n, [&](int64_t i, int count)
                        FASTNN_LAMBDA_INLINE { return load_part(p + i, count) - k; }) /
      static_cast<T>(n);
  const V middle = splat<V>(mean);
  const T m2 = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    const V d = (load_part(p + i, count) - k) - middle;
    return d * d;
  });
  return {mean, m2};
}

// A contiguous row of any length is merged into `all`, which has `before` values.
template <class T>
FASTNN_INLINE void add_row_moments(Moments<T>& all, int64_t before, const T* p,
                                   int64_t n, T shift) {
  for (int64_t at = 0; at < n; at += kMomentBlock) {
    const int64_t m = n - at < kMomentBlock ? n - at : kMomentBlock;
    merge(all, before + at, block_moments(p + at, m, shift), m);
  }
}

// Rows taken together: their values of one vector of columns stay in registers.
inline constexpr int kTogether = 8;

template <class T, int rows>
FASTNN_INLINE Moments<Vec<T>> few_moments(const T* p, int64_t stride, int count,
                                          Vec<T> shift) {
  using V = Vec<T>;
  V d[rows], sum = V{}, m2 = V{};
  for (int i = 0; i < rows; ++i) {
    d[i] = load_part(p + i * stride, count) - shift;
    if constexpr (rows > 1) prefetch(p + (i + rows) * stride);
    sum = sum + d[i];
  }
  const V mean = sum * splat<V>(T(1) / T(rows));
  for (int i = 0; i < rows; ++i)
    m2 = m2 + (d[i] - mean) * (d[i] - mean);
  return {mean, m2};
}

// Moments of columns, of rows that come in runs; means relative to `shift`. Blocks of
// rows are merged into a chunk and chunks into the total, so that the error does not
// grow with the number of rows.
template <class T>
class ColumnMoments {
 public:
  // `space` has room for two rows.
  FASTNN_INLINE ColumnMoments(T* mean, T* m2, int64_t columns, const T* shift, T* space)
      : mean_(mean),
        m2_(m2),
        chunk_mean_(space),
        chunk_m2_(space + columns),
        shift_(shift),
        columns_(columns) {}

  FASTNN_INLINE void add(const T* p, int64_t rows, int64_t stride) {
    for (int64_t at = 0; at < rows;) {
      if (rows - at >= kTogether) {
        add_block<kTogether>(p + at * stride, stride);
        at += kTogether;
      } else {
        add_block<1>(p + at * stride, stride);
        at += 1;
      }
      if (in_chunk_ >= kChunk) close();
    }
  }

  // Afterwards m2 holds the variance: squared deviations over the number of rows.
  FASTNN_INLINE void finish() {
    using V = Vec<T>;
    close();
    const V scale = splat<V>(T(1) / static_cast<T>(total_));
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      store_part(m2_ + j, load_part(m2_ + j, count) * scale, count);
    });
  }

  // The same, and the shift added to the means.
  FASTNN_INLINE void finish_absolute() {
    finish();
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      const Vec<T> mean =
          load_part(mean_ + j, count) + shift_of<Vec<T>>(load_part(shift_ + j, count));
      store_part(mean_ + j, mean, count);
    });
  }

 private:
  static constexpr int64_t kChunk = 256;

  FASTNN_INLINE static void merge_at(T* mean, T* m2, int64_t j, int count, int64_t n,
                                     const Moments<Vec<T>>& from, int64_t m) {
    Moments<Vec<T>> into = {};
    if (n) into = {load_part(mean + j, count), load_part(m2 + j, count)};
    merge(into, n, from, m);
    store_part(mean + j, into.mean, count);
    store_part(m2 + j, into.m2, count);
  }

  template <int rows>
  FASTNN_INLINE void add_block(const T* p, int64_t stride) {
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      const Vec<T> shift = shift_of<Vec<T>>(load_part(shift_ + j, count));
      merge_at(chunk_mean_, chunk_m2_, j, count, in_chunk_,
               few_moments<T, rows>(p + j, stride, count, shift), rows);
    });
    in_chunk_ += rows;
  }

  FASTNN_INLINE void close() {
    if (in_chunk_ == 0) return;
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      merge_at(mean_, m2_, j, count, total_,
               {load_part(chunk_mean_ + j, count), load_part(chunk_m2_ + j, count)},
               in_chunk_);
    });
    total_ += in_chunk_;
    in_chunk_ = 0;
  }

  T *mean_, *m2_, *chunk_mean_, *chunk_m2_;
  const T* shift_;
  int64_t columns_, in_chunk_ = 0, total_ = 0;
};

FASTNN_END_NAMESPACE
