// SPDX-License-Identifier: Apache-2.0
// Optimizer steps: shared/optim.h on each element of (w, g, slots...), outputs (w,
// slots...) which may be the same memory. Learning rate and step are read from device
// memory, so that a captured graph takes whatever they are by then.
#pragma once

#include "cuda/prelude.cuh"
#include "shared/optim.h"

namespace fastnn::device {

template <class S>
FASTNN_DEVICE double scalar(const View& x) {
  return static_cast<double>(value_of(x.ptr<S>()[0]));
}

// `direction`: there are no weights among the inputs and the update replaces g.
template <class F, class S, bool direction, int n_in, int n_numbers>
FASTNN_DEVICE void update(const Args<n_in, 1 + F::kSlots, n_numbers>& a, const F& f,
                          double decay) {
  constexpr int first = direction ? 1 : 2;
  for_elements(a.out[0].numel(), [&](int64_t i) {
    const auto read = [&](int k) {
      return load(a.in[k].template ptr<S>(), offset_of(a.in[k], i));
    };
    Computed<S> w = read(0), slots[F::kSlots + 1];
    const Computed<S> g = direction ? w : read(1);
    for (int k = 0; k < F::kSlots; ++k)
      slots[k] = read(first + k);
    if (decay != 0) w = w - w * static_cast<Computed<S>>(decay);
    f(w, g, slots);
    for (int k = 0; k < F::kSlots; ++k)
      store(a.out[1 + k].template ptr<S>(), i, slots[k]);
    store(a.out[0].template ptr<S>(), i, w);
  });
}

// Each op: inputs and attributes as in its record (opset/optim.py).
#define FASTNN_UPDATE(name, n_in, n_out, n_numbers) \
  template <class S>                                \
  FASTNN_DEVICE void name(const Args<n_in, n_out, n_numbers>& a)

FASTNN_UPDATE(sgd, 3, 1, 1) {
  const double lr = scalar<S>(a.in[2]);
  update<Sgd, S, false>(a, Sgd{lr}, lr * a.number[0].f);
}
FASTNN_UPDATE(sgd_momentum, 4, 2, 3) {
  const double lr = scalar<S>(a.in[3]), decay = lr * a.number[2].f;
  if (a.number[1].i) {
    update<SgdMomentum<true>, S, false>(a, {lr, a.number[0].f}, decay);
  } else {
    update<SgdMomentum<false>, S, false>(a, {lr, a.number[0].f}, decay);
  }
}
FASTNN_UPDATE(rmsprop, 4, 2, 3) {
  const double lr = scalar<S>(a.in[3]);
  update<RmsProp<false, false>, S, false>(a, {lr, a.number[0].f, a.number[1].f, 0},
                                          lr * a.number[2].f);
}
FASTNN_UPDATE(rmsprop_centered, 5, 3, 3) {
  const double lr = scalar<S>(a.in[4]);
  update<RmsProp<true, false>, S, false>(a, {lr, a.number[0].f, a.number[1].f, 0},
                                         lr * a.number[2].f);
}
FASTNN_UPDATE(rmsprop_momentum, 5, 3, 4) {
  const double lr = scalar<S>(a.in[4]);
  update<RmsProp<false, true>, S, false>(
      a, {lr, a.number[0].f, a.number[1].f, a.number[2].f}, lr * a.number[3].f);
}
FASTNN_UPDATE(rmsprop_centered_momentum, 6, 4, 4) {
  const double lr = scalar<S>(a.in[5]);
  update<RmsProp<true, true>, S, false>(
      a, {lr, a.number[0].f, a.number[1].f, a.number[2].f}, lr * a.number[3].f);
}

FASTNN_DEVICE int64_t step_of(const View& x) { return x.ptr<int64_t>()[0]; }

FASTNN_UPDATE(adam, 6, 3, 4) {
  const double lr = scalar<S>(a.in[4]);
  update<Adam<false>, S, false>(
      a,
      Adam<false>::at_step(lr, step_of(a.in[5]), a.number[0].f, a.number[1].f,
                           a.number[2].f),
      lr * a.number[3].f);
}
FASTNN_UPDATE(adam_amsgrad, 7, 4, 4) {
  const double lr = scalar<S>(a.in[5]);
  update<Adam<true>, S, false>(a,
                               Adam<true>::at_step(lr, step_of(a.in[6]), a.number[0].f,
                                                   a.number[1].f, a.number[2].f),
                               lr * a.number[3].f);
}
FASTNN_UPDATE(adamax, 6, 3, 4) {
  const double lr = scalar<S>(a.in[4]), beta_1 = a.number[0].f;
  const double alpha = lr / bias_correction(beta_1, step_of(a.in[5]));
  update<Adamax, S, false>(a, {alpha, beta_1, a.number[1].f, a.number[2].f},
                           lr * a.number[3].f);
}
FASTNN_UPDATE(nadam, 7, 3, 4) {
  const double lr = scalar<S>(a.in[4]);
  update<Nadam, S, false>(a,
                          Nadam::at_step(lr, step_of(a.in[5]), scalar<double>(a.in[6]),
                                         a.number[0].f, a.number[1].f, a.number[2].f),
                          lr * a.number[3].f);
}
FASTNN_UPDATE(adagrad, 4, 2, 2) {
  const double lr = scalar<S>(a.in[3]);
  update<Adagrad, S, false>(a, {lr, a.number[0].f}, lr * a.number[1].f);
}
FASTNN_UPDATE(adadelta, 5, 3, 3) {
  const double lr = scalar<S>(a.in[4]);
  update<Adadelta, S, false>(a, {lr, a.number[0].f, a.number[1].f}, lr * a.number[2].f);
}
FASTNN_UPDATE(ftrl, 5, 3, 6) {
  const double lr = scalar<S>(a.in[4]), power = -a.number[0].f;
  const double l1 = a.number[1].f, shrinkage = a.number[3].f;
  const double l2 = a.number[2].f + a.number[4].f / (2 * lr);
  const double decay = lr * a.number[5].f;
  if (power == 0.5) {
    update<Ftrl<true>, S, false>(a, {lr, power, l1, l2, shrinkage}, decay);
  } else {
    update<Ftrl<false>, S, false>(a, {lr, power, l1, l2, shrinkage}, decay);
  }
}
FASTNN_UPDATE(lion, 4, 2, 3) {
  const double lr = scalar<S>(a.in[3]);
  update<Lion, S, false>(a, {lr, a.number[0].f, a.number[1].f}, lr * a.number[2].f);
}
FASTNN_UPDATE(lamb_direction, 4, 3, 3) {
  update<LambDirection, S, true>(a,
                                 LambDirection::at_step(step_of(a.in[3]), a.number[0].f,
                                                        a.number[1].f, a.number[2].f),
                                 0);
}
FASTNN_UPDATE(moving_average, 2, 1, 1) {
  update<MovingAverage, S, false>(a, {a.number[0].f}, 0);
}

// The sum of a short vector of `square_sums`, in its order.
template <class S>
FASTNN_DEVICE double total(const View& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.shape[0]; ++i)
    sum += static_cast<double>(value_of(x.ptr<S>()[i * x.stride[0]]));
  return sum;
}

// w - lr |w| / |u| u, or w - lr u where one of the norms is 0.
FASTNN_UPDATE(lamb, 5, 1, 0) {
  const double ww = total<S>(a.in[2]), uu = total<S>(a.in[3]);
  const double ratio = ww > 0 && uu > 0 ? ::sqrt(ww) / ::sqrt(uu) : 1.0;
  update<Sgd, S, false>(a, {ratio * scalar<S>(a.in[4])}, 0);
}

// Sums of squares of `number` elements each, a block per sum.
FASTNN_UPDATE(square_sums, 1, 1, 1) {
  using T = Computed<S>;
  const View& x = a.in[0];
  const int64_t chunk = a.number[0].i, n = x.numel();
  for (int64_t row = blockIdx.x; row < a.out[0].shape[0]; row += gridDim.x) {
    const int64_t start = row * chunk, end = start + chunk < n ? start + chunk : n;
    T sum = T(0);
    for (int64_t i = start + threadIdx.x; i < end; i += blockDim.x) {
      const T v = load(x.template ptr<S>(), offset_of(x, i));
      sum = sum + v * v;
    }
    sum = block_reduce<SumOp>(sum);
    if (threadIdx.x == 0) store(a.out[0].template ptr<S>(), row, sum);
  }
}
#undef FASTNN_UPDATE

}  // namespace fastnn::device
