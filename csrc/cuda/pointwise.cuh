// SPDX-License-Identifier: Apache-2.0
// Every pointwise op: the functors and lists of shared/pointwise/, on scalars.
//
// Operands are views of the output's shape; the rule (backends/cuda/rules/pointwise.py)
// merges axes, so that contiguous operands have one.
#pragma once

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

// S: the type of the operands (of the values chosen from, for kSelect).
template <class Row, class S, int n_numbers>
FASTNN_DEVICE void pointwise(const Args<Row::kInputs, 1, n_numbers>& a) {
  using F = typename Row::F;
  const F f = load_functor<F>(a.number);
  const View& y = a.out[0];
  for_elements(y.numel(), [&](int64_t i) {
    if constexpr (Row::kForm == Form::kSelect) {
      const bool m = a.in[0].template ptr<uint8_t>()[offset_of(a.in[0], i)] != 0;
      const auto p = load(a.in[1].template ptr<S>(), offset_of(a.in[1], i));
      const auto q = load(a.in[2].template ptr<S>(), offset_of(a.in[2], i));
      store(y.ptr<S>(), i, m ? p : q);
    } else {
      const auto x = [&](int k) {
        return load(a.in[k].template ptr<S>(), offset_of(a.in[k], i));
      };
      const auto result = [&] {
        if constexpr (Row::kInputs == 1) return f(x(0));
        if constexpr (Row::kInputs == 2) return f(x(0), x(1));
        if constexpr (Row::kInputs == 3) return f(x(0), x(1), x(2));
      }();
      if constexpr (Row::kForm == Form::kTest) {
        y.ptr<uint8_t>()[i] = result ? 1 : 0;
      } else {
        store(y.ptr<S>(), i, static_cast<Computed<S>>(result));
      }
    }
  });
}

}  // namespace fastnn::device
