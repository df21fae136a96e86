// SPDX-License-Identifier: Apache-2.0
// What goes along a line of elements: running sums, sums of neighbours. A thread per
// line, neighbouring threads on neighbouring lines where the axis is not the last.
#pragma once

#include "cuda/prelude.cuh"
#include "shared/math.h"

namespace fastnn::device {

// A line of an operand with axes (before, n, behind).
template <class S>
struct Line {
  S* data;
  int64_t step;
  FASTNN_DEVICE Line(const View& x, int64_t line)
      : data(x.ptr<S>() + line / x.shape[2] * x.stride[0] +
             line % x.shape[2] * x.stride[2]),
        step(x.stride[1]) {}
  FASTNN_DEVICE Computed<S> operator[](int64_t i) const { return load(data, i * step); }
  FASTNN_DEVICE void set(int64_t i, Computed<S> x) const { store(data, i * step, x); }
};

// Numbers {reverse, exclusive}.
template <class Op, class S>
FASTNN_DEVICE void cumulate(const Args<1, 1, 2>& a) {
  using T = Computed<S>;
  const View& y = a.out[0];
  const int64_t n = y.shape[1];
  const bool reverse = a.number[0].i != 0, exclusive = a.number[1].i != 0;
  for_elements(y.shape[0] * y.shape[2], [&](int64_t line) {
    const Line<S> x(a.in[0], line), to(y, line);
    T sum = Op::template start<T>();
    for (int64_t k = 0; k < n; ++k) {
      const int64_t i = reverse ? n - 1 - k : k;
      const T v = x[i];
      if (exclusive) to.set(i, sum);
      sum = Op{}(sum, v);
      if (!exclusive) to.set(i, sum);
    }
  });
}

// y[i] = b[i] + a[i] y[i - 1], or reversed b[i] + a[i + 1] y[i + 1]. Numbers {reverse}.
template <class S>
FASTNN_DEVICE void linear_recurrence(const Args<2, 1, 1>& args) {
  using T = Computed<S>;
  const View& y = args.out[0];
  const int64_t n = y.shape[1];
  const bool reverse = args.number[0].i != 0;
  for_elements(y.shape[0] * y.shape[2], [&](int64_t line) {
    const Line<S> a(args.in[0], line), b(args.in[1], line), to(y, line);
    T last = T(0);
    for (int64_t k = 0; k < n; ++k) {
      const int64_t i = reverse ? n - 1 - k : k;
      const T factor = k == 0 ? T(0) : a[reverse ? i + 1 : i];
      last = k == 0 ? b[i] : b[i] + factor * last;
      to.set(i, last);
    }
  });
}

// -- neighbours along the last axis of dense operands; number 0 is the radius
// ------------

struct Neighbours {
  int64_t n, first, last, base;
  FASTNN_DEVICE Neighbours(int64_t at, int64_t length, int64_t radius) : n(length) {
    const int64_t i = at % n;
    base = at - i;
    first = i > radius ? i - radius : 0;
    last = i + radius < n ? i + radius + 1 : n;
  }
  template <class T, class F>
  FASTNN_DEVICE T sum(F f) const {
    T total = T(0);
    for (int64_t j = first; j < last; ++j)
      total = total + f(base + j);
    return total;
  }
};

template <class S>
FASTNN_DEVICE void window_sum(const Args<1, 1, 2>& a) {
  using T = Computed<S>;
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Neighbours near(at, a.number[1].i, a.number[0].i);
    const T sum =
        near.sum<T>([&](int64_t i) { return load(a.in[0].template ptr<S>(), i); });
    store(a.out[0].template ptr<S>(), at, sum);
  });
}

// u = bias + alpha S(x^2); numbers {radius, n, bias, alpha, beta}.
template <class S, class Numbers>
FASTNN_DEVICE Computed<S> lrn_base(const S* x, int64_t at, const Numbers& number) {
  using T = Computed<S>;
  const Neighbours near(at, number[1].i, number[0].i);
  const T sum = near.sum<T>([&](int64_t i) {
    const T v = load(x, i);
    return v * v;
  });
  return static_cast<T>(number[2].f) + static_cast<T>(number[3].f) * sum;
}

template <class S>
FASTNN_DEVICE void lrn(const Args<1, 1, 5>& a) {
  using T = Computed<S>;
  const S* const x = a.in[0].template ptr<S>();
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const T u = lrn_base(x, at, a.number);
    store(a.out[0].template ptr<S>(), at,
          load(x, at) * pow(u, static_cast<T>(-a.number[4].f)));
  });
}

// dy u^-beta - 2 alpha beta x S(dy x u^(-beta - 1)); inputs dy, x.
template <class S>
FASTNN_DEVICE void lrn_grad(const Args<2, 1, 5>& a) {
  using T = Computed<S>;
  const S *const dy = a.in[0].template ptr<S>(), *const x = a.in[1].template ptr<S>();
  const double alpha = a.number[3].f, beta = a.number[4].f;
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Neighbours near(at, a.number[1].i, a.number[0].i);
    const T around = near.sum<T>([&](int64_t i) {
      return load(dy, i) * load(x, i) *
             pow(lrn_base(x, i, a.number), static_cast<T>(-beta - 1));
    });
    const T u = lrn_base(x, at, a.number);
    store(a.out[0].template ptr<S>(), at,
          load(dy, at) * pow(u, static_cast<T>(-beta)) -
              static_cast<T>(2 * alpha * beta) * load(x, at) * around);
  });
}

}  // namespace fastnn::device
