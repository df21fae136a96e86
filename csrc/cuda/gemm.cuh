// SPDX-License-Identifier: Apache-2.0
// Matrix products of any strides, and what follows a product: bias, activation, the
// gradient of an activation. Products of floats are a library's (rules/gemm.py); the
// one here serves integers.
#pragma once

#include "cuda/pointwise.cuh"

namespace fastnn::device {

struct Identity {
  template <class V>
  FASTNN_DEVICE V operator()(V x) const {
    return x;
  }
};
struct First {
  template <class V>
  FASTNN_DEVICE V operator()(V dy, V) const {
    return dy;
  }
};
struct Row_linear {
  using F = Identity;
};
struct Row_linear_grad {
  using F = First;
};

// y = f(z + bias) on rows of n = y.shape[1]. W: the type of z, float for 16-bit y.
template <class Row, class S, class W, int n_numbers>
FASTNN_DEVICE void bias_then(const Args<2, 1, n_numbers>& a) {
  using F = typename Row::F;
  const F f = load_functor<F>(a.number);
  const View &z = a.in[0], &bias = a.in[1], &y = a.out[0];
  const int64_t n = y.shape[1];
  for_elements(y.numel(), [&](int64_t at) {
    const Computed<S> b = load(bias.template ptr<S>(), at % n * bias.stride[0]);
    store(y.template ptr<S>(), at, f(load(z.template ptr<W>(), at) + b));
  });
}

// dx = f(u, y), f the gradient of an activation from its output.
template <class Row, class S, class W, int n_numbers>
FASTNN_DEVICE void gradient_then(const Args<2, 1, n_numbers>& a) {
  using F = typename Row::F;
  const F f = load_functor<F>(a.number);
  const View &u = a.in[0], &y = a.in[1], &dx = a.out[0];
  for_elements(dx.numel(), [&](int64_t at) {
    const Computed<S> v = load(y.template ptr<S>(), offset_of(y, at));
    store(dx.template ptr<S>(), at, f(load(u.template ptr<W>(), at), v));
  });
}

// c = a b over matrices (batch..., m, k) (batch..., k, n): tiles in shared memory, a
// thread per element of c. numbers {batches}.
template <class S>
FASTNN_DEVICE void tiled_product(const Args<2, 1, 1>& args) {
  constexpr int kTile = 16;
  using T = Computed<S>;
  const View &a = args.in[0], &b = args.in[1], &c = args.out[0];
  const int last = c.ndim - 1;
  const int64_t m = c.shape[last - 1], n = c.shape[last], k = a.shape[last];
  const int64_t across = (n + kTile - 1) / kTile, down = (m + kTile - 1) / kTile;
  __shared__ T left[kTile][kTile + 1], right[kTile][kTile + 1];
  const int row = threadIdx.x / kTile, column = threadIdx.x % kTile;
  for (int64_t job = blockIdx.x; job < args.number[0].i * across * down;
       job += gridDim.x) {
    const int64_t batch = job / (across * down), tile = job % (across * down);
    const int64_t i = tile / across * kTile + row, j = tile % across * kTile + column;
    const S* from_a = a.template ptr<S>() + offset_of(a, batch, last - 1);
    const S* from_b = b.template ptr<S>() + offset_of(b, batch, last - 1);
    T sum = T(0);
    for (int64_t p = 0; p < k; p += kTile) {
      left[row][column] =
          i < m && p + column < k
              ? load(from_a, i * a.stride[last - 1] + (p + column) * a.stride[last])
              : T(0);
      right[row][column] =
          j < n && p + row < k
              ? load(from_b, (p + row) * b.stride[last - 1] + j * b.stride[last])
              : T(0);
      __syncthreads();
      for (int q = 0; q < kTile; ++q)
        sum = sum + left[row][q] * right[q][column];
      __syncthreads();
    }
    if (i < m && j < n)
      store(c.template ptr<S>(),
            offset_of(c, batch, last - 1) + i * c.stride[last - 1] + j, sum);
  }
}

}  // namespace fastnn::device
