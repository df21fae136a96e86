// SPDX-License-Identifier: Apache-2.0
// Copies, casts and what puts elements in other places: an element of the output each.
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

// Elements as they are, for any type of their size.
template <class S>
FASTNN_DEVICE void copy(const Args<1, 1, 0>& a) {
  for_elements(a.out[0].numel(), [&](int64_t i) {
    a.out[0].template ptr<S>()[offset_of(a.out[0], i)] =
        a.in[0].template ptr<S>()[offset_of(a.in[0], i)];
  });
}

// C's conversions; a bool is a byte that is not 0.
template <class From, class To>
struct Cast {
  static FASTNN_DEVICE To of(From x) {
    if constexpr (kSame<To, bool>) {
      return value_of(x) != 0;
    } else {
      return Rounded<To>::of(static_cast<Computed<To>>(value_of(x)));
    }
  }
};
template <class To>
struct Cast<bool, To> {
  static FASTNN_DEVICE To of(uint8_t x) {
    return Rounded<To>::of(static_cast<Computed<To>>(x != 0));
  }
};

template <class From, class To>
struct Source {
  using type = From;
};
template <class To>
struct Source<bool, To> {
  using type = uint8_t;  // memory may hold other values than 0 and 1
};

template <class From, class To>
FASTNN_DEVICE void cast(const Args<1, 1, 0>& a) {
  using Stored = typename Source<From, To>::type;
  for_elements(a.out[0].numel(), [&](int64_t i) {
    const Stored x = a.in[0].template ptr<Stored>()[offset_of(a.in[0], i)];
    a.out[0].template ptr<To>()[i] = Cast<From, To>::of(x);
  });
}

// The number everywhere.
template <class S>
FASTNN_DEVICE void fill(const Args<0, 1, 1>& a) {
  const Computed<S> x = static_cast<Computed<S>>(a.number[0].i);
  for_elements(a.out[0].numel(),
               [&](int64_t i) { store(a.out[0].template ptr<S>(), i, x); });
}

// x between the value on all sides: numbers say where x begins along each axis.
template <class S>
FASTNN_DEVICE void pad(const Args<2, 1, kMaxRank>& a) {
  const View &x = a.in[0], &y = a.out[0];
  const S fill = a.in[1].template ptr<S>()[0];
  for_elements(y.numel(), [&](int64_t at) {
    int64_t rest = at, offset = 0;
    bool inside = true;
    for (int d = y.ndim - 1; d >= 0; --d) {
      const int64_t next = rest / y.shape[d], i = rest - next * y.shape[d];
      const int64_t from = i - a.number[d].i;
      inside = inside && from >= 0 && from < x.shape[d];
      offset += from * x.stride[d];
      rest = next;
    }
    y.template ptr<S>()[at] = inside ? x.template ptr<S>()[offset] : fill;
  });
}

}  // namespace fastnn::device
