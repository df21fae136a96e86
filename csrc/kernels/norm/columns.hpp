// SPDX-License-Identifier: Apache-2.0
// Matrices whose columns have a mean and a scale each: what batch and group norm do.
// Everything here is one pass over memory; parameters are vectors over the columns.
#pragma once

#include "kernels/norm/moments.hpp"

FASTNN_BEGIN_NAMESPACE

// Calls f(row, Count<rows taken together>) block by block, the last block first: the
// pass before has left the last rows in the cache. Inside a block rows go upwards,
// which is what the hardware prefetches.
template <int n>
struct Count {
  static constexpr int value = n;
};
template <class F>
FASTNN_INLINE void for_rows_last_first(int64_t rows, int64_t row_bytes, F f) {
  constexpr int kRows = 4;
  constexpr int64_t kBlockBytes = 64 << 10;
  const int64_t fit = kBlockBytes / (row_bytes ? row_bytes : 1) / kRows * kRows;
  const int64_t block = fit < kRows ? kRows : fit;
  for (int64_t start = (rows - 1) / block * block; start >= 0; start -= block) {
    const int64_t end = rows - start < block ? rows : start + block;
    int64_t r = start;
    for (; r + kRows <= end; r += kRows)
      f(r, Count<kRows>{});
    for (; r < end; ++r)
      f(r, Count<1>{});
  }
}

// The bytes by which such a pass fetches ahead of its stores: whole blocks of rows.
template <class T>
FASTNN_INLINE int64_t rows_ahead(int64_t rows, int64_t stride) {
  const int64_t block = 4 * stride * static_cast<int64_t>(sizeof(T));
  if (!streams(rows * stride * static_cast<int64_t>(sizeof(T)))) return 0;
  return (2048 + block - 1) / block * block;
}

// y = (x - mean) a + b
template <class T>
FASTNN_INLINE void affine_columns(const T* x, T* y, int64_t rows, int64_t stride,
                                  int64_t columns, const T* mean, const T* a,
                                  const T* b) {
  using V = Vec<T>;
  const int64_t ahead = rows_ahead<T>(rows, stride);
  for_rows_last_first(
      rows, stride * sizeof(T), [&](int64_t r, auto together) FASTNN_LAMBDA_INLINE {
        const T* from = x + r * stride;
        T* to = y + r * stride;
        for_columns<T>(columns, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
          const V m = load_part(mean + j, count), scale = load_part(a + j, count);
          const V shift = load_part(b + j, count);
          for (int i = 0; i < together.value; ++i) {
            const int64_t at = i * stride + j;
            prefetch(reinterpret_cast<const char*>(from + at) + ahead);
            store_ahead(to + at, (load_part(from + at, count) - m) * scale + shift,
                        count, ahead);
          }
        });
      });
}

// The two sums that a gradient needs: of dy, and of dy (x - mean).
template <class T>
class ColumnSums {
 public:
  // `space` has room for two rows.
  FASTNN_INLINE ColumnSums(T* dy, T* dyx, const T* mean, int64_t columns, T* space)
      : total_{dy, dyx},
        chunk_{space, space + columns},
        mean_(mean),
        columns_(columns) {
    clear(total_);
    clear(chunk_);
  }

  FASTNN_INLINE void add(const T* dy, const T* x, int64_t rows, int64_t stride) {
    for (int64_t at = 0; at < rows;) {
      const int64_t from = at * stride;
      if (rows - at >= kTogether) {
        add_block<kTogether>(dy + from, x + from, stride);
        at += kTogether;
      } else {
        add_block<1>(dy + from, x + from, stride);
        at += 1;
      }
      if (in_chunk_ >= kChunk) close();
    }
  }
  FASTNN_INLINE void finish() { close(); }

 private:
  static constexpr int64_t kChunk = 256;

  FASTNN_INLINE void clear(T* const (&sums)[2]) {
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      for (int k = 0; k < 2; ++k)
        store_part(sums[k] + j, Vec<T>{}, count);
    });
  }

  template <int rows>
  FASTNN_INLINE void add_block(const T* dy, const T* x, int64_t stride) {
    using V = Vec<T>;
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      const V mean = load_part(mean_ + j, count);
      V s = V{}, t = V{};
      for (int i = 0; i < rows; ++i) {
        const V g = load_part(dy + i * stride + j, count);
        s = s + g;
        t = t + g * (load_part(x + i * stride + j, count) - mean);
        if constexpr (rows > 1) {
          prefetch(dy + (i + rows) * stride + j);
          prefetch(x + (i + rows) * stride + j);
        }
      }
      store_part(chunk_[0] + j, load_part(chunk_[0] + j, count) + s, count);
      store_part(chunk_[1] + j, load_part(chunk_[1] + j, count) + t, count);
    });
    in_chunk_ += rows;
  }

  FASTNN_INLINE void close() {
    if (in_chunk_ == 0) return;
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      for (int k = 0; k < 2; ++k) {
        const Vec<T> sum =
            load_part(total_[k] + j, count) + load_part(chunk_[k] + j, count);
        store_part(total_[k] + j, sum, count);
      }
    });
    clear(chunk_);
    in_chunk_ = 0;
  }

  T* const total_[2];
  T* const chunk_[2];
  const T* mean_;
  int64_t columns_, in_chunk_ = 0;
};

// What turns dy and x into dx, column by column: dx = dy a + (x - mean) b + c.
template <class T>
struct InputGradient {
  T *a, *b, *c;
};

template <class T>
FASTNN_INLINE void gradient_columns(const T* dy, const T* x, T* dx, int64_t rows,
                                    int64_t stride, int64_t columns, const T* mean,
                                    const InputGradient<T>& g) {
  using V = Vec<T>;
  const int64_t ahead = rows_ahead<T>(rows, stride);
  for_rows_last_first(
      rows, stride * sizeof(T), [&](int64_t r, auto together) FASTNN_LAMBDA_INLINE {
        const int64_t row = r * stride;
        for_columns<T>(columns, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
          const V m = load_part(mean + j, count), a = load_part(g.a + j, count);
          const V b = load_part(g.b + j, count), c = load_part(g.c + j, count);
          for (int i = 0; i < together.value; ++i) {
            const int64_t at = row + i * stride + j;
            prefetch(reinterpret_cast<const char*>(x + at) + ahead);
            prefetch(reinterpret_cast<const char*>(dy + at) + ahead);
            const V d = load_part(x + at, count) - m;
            store_ahead(dx + at, load_part(dy + at, count) * a + (d * b + c), count,
                        ahead);
          }
        });
      });
}

// ---- the same for one contiguous run that belongs to a single channel
// ----------------

template <class T>
FASTNN_INLINE void affine_run(const T* x, T* y, int64_t n, T mean, T a, T b) {
  using V = Vec<T>;
  const V m = splat<V>(mean), scale = splat<V>(a), shift = splat<V>(b);
  map_row(y, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    return (load_part(x + i, count) - m) * scale + shift;
  });
}

template <class T>
FASTNN_INLINE void gradient_run(const T* dy, const T* x, T* dx, int64_t n, T mean, T a,
                                T b, T c) {
  using V = Vec<T>;
  const V m = splat<V>(mean), va = splat<V>(a), vb = splat<V>(b), vc = splat<V>(c);
  map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    const V d = load_part(x + i, count) - m;
    return load_part(dy + i, count) * va + (d * vb + vc);
  });
}

// The input in row-major order: as it lies, or copied to `space`.
template <class T>
FASTNN_INLINE const T* dense(const TensorView& x, T* space) {
  if (x.contiguous()) return x.ptr<const T>();
  const TensorView* view = &x;
  const Walk w = make_walk(&view, 1, {0, x.rows()});
  gather((char*)space, w, 0, 0, x.numel(), sizeof(T));
  return space;
}

FASTNN_END_NAMESPACE
