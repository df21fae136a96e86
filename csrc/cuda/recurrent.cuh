// SPDX-License-Identifier: Apache-2.0
// One step of a recurrent cell, forward or back: a thread per row and unit, after the
// step's matrix product. Operands are views of one step: (batch, columns). Numbers
// begin with {units, masked}; a masked step keeps the state.
//
// On the way back a step reads what the later one carried: add + (keep of it ? product
// : 0). With `last` there is no later one.
#pragma once

#include "cuda/prelude.cuh"
#include "shared/math.h"

namespace fastnn::device {

// Elements of one step, by row and column.
template <class S>
struct Step {
  S* data;
  int64_t row_step, column_step;
  explicit FASTNN_DEVICE Step(const View& x)
      : data(x.ptr<S>()), row_step(x.stride[0]), column_step(x.stride[1]) {}
  FASTNN_DEVICE Computed<S> operator()(int64_t row, int64_t column) const {
    return load(data, row * row_step + column * column_step);
  }
  FASTNN_DEVICE void set(int64_t row, int64_t column, Computed<S> x) const {
    store(data, row * row_step + column * column_step, x);
  }
};

FASTNN_DEVICE bool keeps(const View& mask, int64_t row) {
  return mask.ptr<uint8_t>()[row * mask.stride[0]] != 0;
}

// f(row, unit, keep)
template <class F>
FASTNN_DEVICE void for_units(const View& out, const View& mask, int64_t units,
                             bool masked, F f) {
  for_elements(out.shape[0] * units, [&](int64_t at) {
    const int64_t row = at / units;
    f(row, at % units, !masked || keeps(mask, row));
  });
}

// in: z, product, h before, c before, mask; out: h, c, gates; numbers {units, masked,
// whether gates are kept}.
template <class S, class W>
FASTNN_DEVICE void lstm_step(const Args<5, 3, 3>& a) {
  using T = Computed<S>;
  const int64_t units = a.number[0].i;
  const Step<S> z(a.in[0]), h0(a.in[2]), c0(a.in[3]);
  const Step<W> p(a.in[1]);
  const Step<S> h(a.out[0]), c(a.out[1]), gates(a.out[2]);
  for_units(a.out[0], a.in[4], units, a.number[1].i != 0,
            [&](int64_t r, int64_t u, bool keep) {
              T g[4];
              for (int k = 0; k < 4; ++k) {
                const T s = z(r, k * units + u) + p(r, k * units + u);
                g[k] = k == 2 ? tanh(s) : sigmoid(s);
              }
              const T old_h = h0(r, u), old_c = c0(r, u);
              const T new_c = g[1] * old_c + g[0] * g[2];
              c.set(r, u, keep ? new_c : old_c);
              h.set(r, u, keep ? g[3] * tanh(new_c) : old_h);
              if (a.number[2].i == 0) return;
              for (int k = 0; k < 4; ++k)
                gates.set(r, k * units + u, keep ? g[k] : T(0));
            });
}

// in: z, product, h before, bias, mask; out: h, gates.
template <class S, class W>
FASTNN_DEVICE void gru_step(const Args<5, 2, 3>& a) {
  using T = Computed<S>;
  const int64_t units = a.number[0].i;
  const Step<S> x(a.in[0]), h0(a.in[2]), h(a.out[0]), gates(a.out[1]);
  const Step<W> p(a.in[1]);
  const View& bias = a.in[3];
  for_units(a.out[0], a.in[4], units, a.number[1].i != 0,
            [&](int64_t r, int64_t u, bool keep) {
              const T z = sigmoid(x(r, u) + p(r, u));
              const T reset = sigmoid(x(r, units + u) + p(r, units + u));
              const T s = p(r, 2 * units + u) +
                          load(bias.template ptr<S>(), u * bias.stride[0]);
              const T y = tanh(x(r, 2 * units + u) + reset * s), old = h0(r, u);
              h.set(r, u, keep ? z * old + (T(1) - z) * y : old);
              if (a.number[2].i == 0) return;
              const T g[4] = {z, reset, y, s};
              for (int k = 0; k < 4; ++k)
                gates.set(r, k * units + u, keep ? g[k] : T(0));
            });
}

// in: z, product, h before, mask; out: h; numbers {units, masked, relu}.
template <class S, class W>
FASTNN_DEVICE void simple_step(const Args<4, 1, 3>& a) {
  using T = Computed<S>;
  const Step<S> z(a.in[0]), h0(a.in[2]), h(a.out[0]);
  const Step<W> p(a.in[1]);
  const bool relu = a.number[2].i != 0;
  for_units(a.out[0], a.in[3], a.number[0].i, a.number[1].i != 0,
            [&](int64_t r, int64_t u, bool keep) {
              const T s = z(r, u) + p(r, u), old = h0(r, u);
              const T y = relu ? maximum(s, T(0)) : tanh(s);
              h.set(r, u, keep ? y : old);
            });
}

// -- back
// --------------------------------------------------------------------------------

// What the later step gives to the state: product, add and mask of it.
template <class W>
struct Carried {
  Step<W> product, add;
  const View& mask;
  bool masked, none;

  FASTNN_DEVICE W operator()(int64_t row, int64_t unit) const {
    if (none) return W(0);
    const bool kept = !masked || keeps(mask, row);
    return add(row, unit) + (kept ? product(row, unit) : W(0));
  }
};

// in: dh, dc, gates, c, c before, product, add, mask, later mask; out: dz, add, carried
// c (read too); numbers {units, masked, last, whether there is dc}.
template <class S, class W>
FASTNN_DEVICE void lstm_back(const Args<9, 3, 4>& a) {
  const int64_t units = a.number[0].i;
  const bool masked = a.number[1].i != 0, last = a.number[2].i != 0;
  const Step<S> dh(a.in[0]), dc(a.in[1]), gates(a.in[2]), c(a.in[3]), c0(a.in[4]);
  const Carried<W> carried = {Step<W>(a.in[5]), Step<W>(a.in[6]), a.in[8], masked,
                              last};
  const Step<S> dz(a.out[0]);
  const Step<W> add(a.out[1]), carried_c(a.out[2]);
  for_units(a.out[1], a.in[7], units, masked, [&](int64_t r, int64_t u, bool keep) {
    const W of_h = dh(r, u) + carried(r, u);
    const W of_c =
        (a.number[3].i ? W(dc(r, u)) : W(0)) + (last ? W(0) : carried_c(r, u));
    W g[4];
    for (int k = 0; k < 4; ++k)
      g[k] = gates(r, k * units + u);
    const W y = tanh(W(c(r, u))), e = of_c + of_h * g[3] * (W(1) - y * y);
    const W slope[4] = {e * g[2], e * W(c0(r, u)), e * g[0], of_h * y};
    for (int k = 0; k < 4; ++k) {
      const W s = k == 2 ? W(1) - g[k] * g[k] : g[k] * (W(1) - g[k]);
      dz.set(r, k * units + u, keep ? slope[k] * s : W(0));
    }
    add.set(r, u, keep ? W(0) : of_h);
    carried_c.set(r, u, keep ? e * g[1] : of_c);
  });
}

// in: dh, gates, h before, product, add, mask, later mask; out: slopes, add, back (the
// slopes of z, r, s side by side, for the product); numbers {units, masked, last}.
template <class S, class W>
FASTNN_DEVICE void gru_back(const Args<7, 3, 3>& a) {
  const int64_t units = a.number[0].i;
  const bool masked = a.number[1].i != 0, last = a.number[2].i != 0;
  const Step<S> dh(a.in[0]), gates(a.in[1]), h0(a.in[2]), slopes(a.out[0]);
  const Carried<W> carried = {Step<W>(a.in[3]), Step<W>(a.in[4]), a.in[6], masked,
                              last};
  const Step<W> add(a.out[1]);
  const Step<S> back(a.out[2]);
  for_units(a.out[1], a.in[5], units, masked, [&](int64_t r, int64_t u, bool keep) {
    const W of_h = dh(r, u) + carried(r, u);
    const W z = gates(r, u), reset = gates(r, units + u);
    const W y = gates(r, 2 * units + u), s = gates(r, 3 * units + u);
    const W dy = of_h * (W(1) - z) * (W(1) - y * y);
    const W dz = of_h * (W(h0(r, u)) - y) * z * (W(1) - z);
    const W dr = dy * s * reset * (W(1) - reset), ds = dy * reset;
    const W all[4] = {ds, dz, dr, dy}, product[3] = {dz, dr, ds};
    for (int k = 0; k < 4; ++k)
      slopes.set(r, k * units + u, keep ? all[k] : W(0));
    for (int k = 0; k < 3; ++k)
      back.set(r, k * units + u, product[k]);
    add.set(r, u, keep ? of_h * z : of_h);
  });
}

// in: dh, h, product, add, mask, later mask; out: dz, add; numbers {units, masked,
// last, relu}.
template <class S, class W>
FASTNN_DEVICE void simple_back(const Args<6, 2, 4>& a) {
  const bool masked = a.number[1].i != 0;
  const Step<S> dh(a.in[0]), h(a.in[1]), dz(a.out[0]);
  const Carried<W> carried = {Step<W>(a.in[2]), Step<W>(a.in[3]), a.in[5], masked,
                              a.number[2].i != 0};
  const Step<W> add(a.out[1]);
  for_units(a.out[1], a.in[4], a.number[0].i, masked,
            [&](int64_t r, int64_t u, bool keep) {
              const W of_h = dh(r, u) + carried(r, u), y = h(r, u);
              const W slope = a.number[3].i ? (y > W(0) ? W(1) : W(0)) : W(1) - y * y;
              dz.set(r, u, keep ? of_h * slope : W(0));
              add.set(r, u, keep ? W(0) : of_h);
            });
}

// What reaches the first state; in: product, add, mask; numbers {units, masked}.
template <class S, class W>
FASTNN_DEVICE void carried_out(const Args<3, 1, 2>& a) {
  const bool masked = a.number[1].i != 0;
  const Carried<W> carried = {Step<W>(a.in[0]), Step<W>(a.in[1]), a.in[2], masked,
                              false};
  const Step<S> to(a.out[0]);
  const int64_t units = a.number[0].i;
  for_elements(a.out[0].shape[0] * units, [&](int64_t at) {
    to.set(at / units, at % units, carried(at / units, at % units));
  });
}

}  // namespace fastnn::device
