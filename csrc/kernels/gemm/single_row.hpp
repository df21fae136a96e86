// SPDX-License-Identifier: Apache-2.0
// One row times a B whose columns lie together in memory: a matrix times a vector, and
// a vector times a transposed matrix. Squares of B are transposed in registers and
// multiplied at once, lanes over the columns, so that every element is the chain over k
// that the microkernel computes. 512x784x1: 0.5 times torch's speed with
// B packed, 0.9 so (Cascade Lake; fetching ahead made it slower).
#pragma once

#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

template <class T>
bool is_single_row(const Product<T>& p, bool transposed) {
  return p.m == 1 && p.rsb == 1 && p.csb != 1 && (!transposed || p.ldc == 1);
}

// Columns j .. j + groups * lanes, `cols` of them valid. The chains of one group wait
// for each other, so that two are computed side by side.
template <class T, int groups>
FASTNN_INLINE void multiply_columns(const Product<T>& p, int64_t j, int64_t cols,
                                    Vec<T> (&sum)[groups]) {
  constexpr int n = lanes<T>;
  for (int64_t k = 0; k < p.k; k += n) {
    const int depth = clip<T>(p.k - k);
    const T* a = p.a + k * p.csa;
#pragma GCC unroll 2
    for (int g = 0; g < groups; ++g) {
      Vec<T> v[n];
      load_transposed(p.b + (j + g * n) * p.csb + k, p.csb, clip<T>(cols - g * n),
                      depth, v);
#pragma GCC unroll 16
      for (int q = 0; q < n; ++q)
        if (q < depth) sum[g] += v[q] * a[q * p.csa];
    }
  }
}

template <class T>
void run_single_row(const Product<T>& p, bool transposed) {
  constexpr int n = lanes<T>, groups = 2;
  Epilogue<T> e = p.epilogue;
  const T* const bias = e.y ? nullptr : e.bias;
  if (transposed) {
    const int64_t rows = e.rsy;
    e.rsy = e.csy, e.csy = rows;
  }
  for (int64_t j = 0; j < p.n; j += groups * n) {
    const int64_t cols = min_of(groups * n, p.n - j);
    Vec<T> sum[groups] = {};
    if (cols > n) {
      multiply_columns(p, j, cols, sum);
    } else {
      Vec<T> one[1] = {};
      multiply_columns(p, j, cols, one);
      sum[0] = one[0];
    }
    for (int g = 0; g * n < cols; ++g) {
      const int valid = clip<T>(cols - g * n);
      if (bias && transposed) {
        sum[g] += bias[p.row];
      } else if (bias) {
        sum[g] += load_up_to(bias + p.col + j + g * n, valid);
      }
      store_n(p.c + j + g * n, sum[g], valid);
    }
  }
  if (e.activation != kLinear) finish<T>({p.c, 0, p.row, p.col, 1, p.n}, e, false);
}

FASTNN_END_NAMESPACE
