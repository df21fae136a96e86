// SPDX-License-Identifier: Apache-2.0
// Every pointwise op and chains of them: the functors and lists of shared/pointwise/.
//
// Operands are views of the output's shape, their axes merged, so that contiguous
// operands have one (backends/cuda/chains.py).
#pragma once

#include "cuda/copy.cuh"
#include "cuda/prelude.cuh"
#include "shared/pointwise.h"

namespace fastnn::device {

// Row_<kernel name>: what the list says of it.
#define X(name, Functor, inputs, form, types, attributes) \
  struct Row_##name {                                     \
    using F = Functor;                                    \
    static constexpr int kInputs = inputs;                \
    static constexpr Form kForm = Form::form;             \
  };
FASTNN_POINTWISE(X)
#undef X

template <class F, int n>
FASTNN_DEVICE F load_functor(const Number (&numbers)[n]) {
  F f{};
  if constexpr (!__is_empty(F)) memcpy(&f, numbers, sizeof f);
  return f;
}

// W elements beside each other, as they are stored; one access of 16 bytes or less.
template <class S, int W>
struct alignas(sizeof(S) * W) Pack {
  S at[W];
};

// Where element `at` lies; Index is 32 bits wide where that is enough: a division of
// 64 bits takes a hundred instructions.
template <class Index>
FASTNN_DEVICE int64_t place(const View& x, Index at) {
  int64_t offset = 0;
  for (int d = x.ndim - 1; d > 0; --d) {
    const Index n = static_cast<Index>(x.shape[d]), next = at / n;
    offset += static_cast<int64_t>(at - next * n) * x.stride[d];
    at = next;
  }
  return x.ndim > 0 ? offset + static_cast<int64_t>(at) * x.stride[0] : offset;
}

// Elements i to i + W of an operand: one behind the other,
template <class S, int W, class Index>
FASTNN_DEVICE Pack<S, W> dense(const View& x, Index i) {
  return *reinterpret_cast<const Pack<S, W>*>(x.template ptr<S>() + i);
}
// the same one again and again,
template <class S, int W, class Index>
FASTNN_DEVICE Pack<S, W> single(const View& x, Index) {
  const S value = x.template ptr<S>()[0];
  Pack<S, W> y;
  for (int k = 0; k < W; ++k)
    y.at[k] = value;
  return y;
}
// in rows of whole packs that lie apart,
template <class S, int W, class Index>
FASTNN_DEVICE Pack<S, W> rowwise(const View& x, Index i) {
  return *reinterpret_cast<const Pack<S, W>*>(x.template ptr<S>() + place(x, i));
}
// or anywhere.
template <class S, int W, class Index>
FASTNN_DEVICE Pack<S, W> strided(const View& x, Index i) {
  Pack<S, W> y;
  for (int k = 0; k < W; ++k)
    y.at[k] = x.template ptr<S>()[place(x, i + static_cast<Index>(k))];
  return y;
}
template <class S, int W, class Index>
FASTNN_DEVICE void put(const View& x, Index i, const Pack<S, W>& y) {
  *reinterpret_cast<Pack<S, W>*>(x.template ptr<S>() + i) = y;
}

// One op on packs. S: the type of its values; 16-bit floats are rounded after each op,
// so that a chain gives the bits of its ops one by one.
template <class Row, class S, int W, class... X>
FASTNN_DEVICE auto apply(const Number* numbers, const X&... x) {
  using F = typename Row::F;
  F f{};
  if constexpr (!__is_empty(F)) memcpy(&f, numbers, sizeof f);
  if constexpr (Row::kForm == Form::kTest) {
    Pack<uint8_t, W> y;
    for (int k = 0; k < W; ++k)
      y.at[k] = f(value_of(x.at[k])...) ? 1 : 0;
    return y;
  } else {
    Pack<S, W> y;
    for (int k = 0; k < W; ++k)
      y.at[k] = Rounded<S>::of(static_cast<Computed<S>>(f(value_of(x.at[k])...)));
    return y;
  }
}
template <class S, int W>
FASTNN_DEVICE Pack<S, W> chosen(const Pack<uint8_t, W>& m, const Pack<S, W>& p,
                                const Pack<S, W>& q) {
  Pack<S, W> y;
  for (int k = 0; k < W; ++k)
    y.at[k] = m.at[k] != 0 ? p.at[k] : q.at[k];
  return y;
}
template <class From, class To, class Stored, int W, class S>
FASTNN_DEVICE Pack<Stored, W> converted(const Pack<S, W>& x) {
  Pack<Stored, W> y;
  for (int k = 0; k < W; ++k)
    y.at[k] = Cast<From, To>::of(x.at[k]);
  return y;
}

// Chain::at<W>(a, i) computes elements i to i + W: written by backends/cuda/chains.py.
template <class Chain, int W, class Index, class A>
FASTNN_DEVICE void elements(const A& a) {
  const Index n = static_cast<Index>(a.out[0].numel()), whole = n / W * W;
  const Index first = static_cast<Index>(global_thread());
  const Index step = static_cast<Index>(global_threads());
  for (Index i = first * W; i < whole; i += step * W)
    Chain::template at<W>(a, i);
  if constexpr (W > 1) {
    for (Index i = whole + first; i < n; i += step)
      Chain::template at<1>(a, i);
  }
}

}  // namespace fastnn::device
