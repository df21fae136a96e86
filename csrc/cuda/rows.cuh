// SPDX-License-Identifier: Apache-2.0
// Softmax, log-softmax and losses with their gradients: a block per row. Numbers of
// softmax: {rows, n, inner, attributes}; a row is n elements, `inner` apart, and rows
// differ in the axes before and behind the softmax one.
#pragma once

#include "cuda/prelude.cuh"
#include "shared/math.h"

namespace fastnn::device {

// Elements of one row of an operand.
template <class S>
struct Row {
  S* data;
  int64_t step;

  FASTNN_DEVICE Computed<S> operator[](int64_t i) const { return load(data, i * step); }
  FASTNN_DEVICE void set(int64_t i, Computed<S> x) const { store(data, i * step, x); }
};

// The views have axes (outer, n, inner).
template <class S>
FASTNN_DEVICE Row<S> row_at(const View& x, int64_t outer, int64_t inner) {
  S* const data = x.ptr<S>() + outer * x.stride[0] + inner * x.stride[2];
  return {data, x.stride[1]};
}

// f(outer, inner) for the rows of this block.
template <class F>
FASTNN_DEVICE void for_rows(const View& y, F f) {
  const int64_t inner = y.shape[2];
  for (int64_t r = blockIdx.x; r < y.shape[0] * inner; r += gridDim.x)
    f(r / inner, r % inner);
}

template <class Op, class T, class F>
FASTNN_DEVICE T reduce_row(int64_t n, F f) {
  T sum = Op::template start<T>();
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    sum = Op{}(sum, f(i));
  return block_reduce<Op>(sum);
}
template <class F>
FASTNN_DEVICE void map_row(int64_t n, F f) {
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
    f(i);
}

// What log-sum-exp is made of.
template <class T>
struct Exponentials {
  T top, sum;
};
template <class S>
FASTNN_DEVICE Exponentials<Computed<S>> exponentials(const Row<S>& z, int64_t n) {
  using T = Computed<S>;
  const T top = reduce_row<MaxOp, T>(n, [&](int64_t i) { return z[i]; });
  const T sum = reduce_row<SumOp, T>(n, [&](int64_t i) { return exp(z[i] - top); });
  return {top, sum};
}

template <class S>
FASTNN_DEVICE void softmax(const Args<1, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t n = a.out[0].shape[1];
  for_rows(a.out[0], [&](int64_t o, int64_t k) {
    const Row<S> x = row_at<S>(a.in[0], o, k), y = row_at<S>(a.out[0], o, k);
    const Exponentials<T> e = exponentials(x, n);
    const T scale = T(1) / e.sum;
    map_row(n, [&](int64_t i) { y.set(i, exp(x[i] - e.top) * scale); });
  });
}

template <class S>
FASTNN_DEVICE void softmax_grad(const Args<2, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t n = a.out[0].shape[1];
  for_rows(a.out[0], [&](int64_t o, int64_t k) {
    const Row<S> dy = row_at<S>(a.in[0], o, k), y = row_at<S>(a.in[1], o, k);
    const Row<S> dx = row_at<S>(a.out[0], o, k);
    const T dot = reduce_row<SumOp, T>(n, [&](int64_t i) { return dy[i] * y[i]; });
    map_row(n, [&](int64_t i) { dx.set(i, y[i] * (dy[i] - dot)); });
  });
}

template <class S>
FASTNN_DEVICE void log_softmax(const Args<1, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t n = a.out[0].shape[1];
  for_rows(a.out[0], [&](int64_t o, int64_t k) {
    const Row<S> x = row_at<S>(a.in[0], o, k), y = row_at<S>(a.out[0], o, k);
    const Exponentials<T> e = exponentials(x, n);
    const T shift = log(e.sum);
    map_row(n, [&](int64_t i) { y.set(i, (x[i] - e.top) - shift); });
  });
}

template <class S>
FASTNN_DEVICE void log_softmax_grad(const Args<2, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t n = a.out[0].shape[1];
  for_rows(a.out[0], [&](int64_t o, int64_t k) {
    const Row<S> dy = row_at<S>(a.in[0], o, k), y = row_at<S>(a.in[1], o, k);
    const Row<S> dx = row_at<S>(a.out[0], o, k);
    const T sum = reduce_row<SumOp, T>(n, [&](int64_t i) { return dy[i]; });
    map_row(n, [&](int64_t i) { dx.set(i, dy[i] - exp(y[i]) * sum); });
  });
}

// -- losses: operands (rows, n) or (rows,)
// ----------------------------------------------

template <class S>
FASTNN_DEVICE Row<S> matrix_row(const View& x, int64_t r) {
  return {x.ptr<S>() + r * x.stride[0], x.stride[1]};
}
template <class S>
FASTNN_DEVICE Computed<S> element(const View& x, int64_t r) {
  return load(x.ptr<S>(), r * x.stride[0]);
}

// A class index, -1 where it is not one.
template <class L>
FASTNN_DEVICE int64_t label_at(const View& labels, int64_t r, int64_t classes) {
  const int64_t k = static_cast<int64_t>(labels.ptr<L>()[r * labels.stride[0]]);
  return k >= 0 && k < classes ? k : -1;
}

template <class F>
FASTNN_DEVICE void for_matrix_rows(int64_t rows, F f) {
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x)
    f(r);
}

// loss = sum_k t_k (logsumexp(z) - z_k), probs = softmax(z)
template <class S>
FASTNN_DEVICE void softmax_cross_entropy(const Args<2, 2, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.in[0].shape[0], n = a.in[0].shape[1];
  for_matrix_rows(rows, [&](int64_t r) {
    const Row<S> z = matrix_row<S>(a.in[0], r), t = matrix_row<S>(a.in[1], r);
    const Row<S> probs = matrix_row<S>(a.out[1], r);
    const Exponentials<T> e = exponentials(z, n);
    const T scale = T(1) / e.sum, shift = log(e.sum);
    const T loss = reduce_row<SumOp, T>(n, [&](int64_t i) {
      const T x = z[i] - e.top, weight = t[i];
      probs.set(i, exp(x) * scale);
      // A class of weight 0 adds nothing, even where its logit is -infinity.
      return weight == T(0) ? T(0) : weight * (shift - x);
    });
    if (threadIdx.x == 0) store(a.out[0].ptr<S>(), r, loss);
  });
}

// dloss (p sum(t) - t)
template <class S>
FASTNN_DEVICE void softmax_cross_entropy_grad(const Args<3, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.out[0].shape[0], n = a.out[0].shape[1];
  for_matrix_rows(rows, [&](int64_t r) {
    const Row<S> p = matrix_row<S>(a.in[1], r), t = matrix_row<S>(a.in[2], r);
    const Row<S> dx = matrix_row<S>(a.out[0], r);
    const T total = reduce_row<SumOp, T>(n, [&](int64_t i) { return t[i]; });
    const T d = element<S>(a.in[0], r);
    map_row(n, [&](int64_t i) { dx.set(i, d * (p[i] * total - t[i])); });
  });
}

// loss = logsumexp(z) - z[label], NaN where the label is no class.
template <class S, class L>
FASTNN_DEVICE void sparse_softmax_cross_entropy(const Args<2, 2, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.in[0].shape[0], n = a.in[0].shape[1];
  for_matrix_rows(rows, [&](int64_t r) {
    const Row<S> z = matrix_row<S>(a.in[0], r), probs = matrix_row<S>(a.out[1], r);
    const int64_t label = label_at<L>(a.in[1], r, n);
    const Exponentials<T> e = exponentials(z, n);
    const T scale = T(1) / e.sum;
    if (threadIdx.x == 0) {
      const T loss = label < 0 ? not_a_number<T>() : log(e.sum) - (z[label] - e.top);
      store(a.out[0].ptr<S>(), r, loss);
    }
    map_row(n, [&](int64_t i) { probs.set(i, exp(z[i] - e.top) * scale); });
  });
}

// dloss (p - onehot(label)), a row of NaN where the label is no class.
template <class S, class L>
FASTNN_DEVICE void sparse_softmax_cross_entropy_grad(const Args<3, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.out[0].shape[0], n = a.out[0].shape[1];
  for_elements(rows * n, [&](int64_t at) {
    const int64_t r = at / n, i = at % n, label = label_at<L>(a.in[2], r, n);
    const T p = matrix_row<S>(a.in[1], r)[i];
    const T d = label < 0 ? not_a_number<T>() : element<S>(a.in[0], r);
    store(a.out[0].ptr<S>(), at, d * (i == label ? p - T(1) : p));
  });
}

template <class S>
FASTNN_DEVICE void mean_squared_error(const Args<2, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.in[0].shape[0], n = a.in[0].shape[1];
  for_matrix_rows(rows, [&](int64_t r) {
    const Row<S> t = matrix_row<S>(a.in[0], r), p = matrix_row<S>(a.in[1], r);
    const T sum = reduce_row<SumOp, T>(n, [&](int64_t i) {
      const T d = p[i] - t[i];
      return d * d;
    });
    if (threadIdx.x == 0) store(a.out[0].ptr<S>(), r, sum / static_cast<T>(n));
  });
}

// dloss 2 (p - t) / n
template <class S>
FASTNN_DEVICE void mean_squared_error_grad(const Args<3, 1, 0>& a) {
  using T = Computed<S>;
  const int64_t rows = a.out[0].shape[0], n = a.out[0].shape[1];
  const T scale = static_cast<T>(2.0 / static_cast<double>(n));
  for_elements(rows * n, [&](int64_t at) {
    const int64_t r = at / n, i = at % n;
    const T d = matrix_row<S>(a.in[2], r)[i] - matrix_row<S>(a.in[1], r)[i];
    store(a.out[0].ptr<S>(), at, element<S>(a.in[0], r) * d * scale);
  });
}

}  // namespace fastnn::device
