// SPDX-License-Identifier: Apache-2.0
// One step of each cell, forwards and back, for a vector of units of one row.
//
// `sums` is the recurrent product of these units, a vector per gate. What a cell keeps
// for the way back is what follows from the product: values of gates.
#pragma once

#include "kernels/recurrent/views.hpp"
#include "shared/pointwise.h"

FASTNN_BEGIN_NAMESPACE

// What the way forward reads and writes. Outputs are dense.
template <class T>
struct Forward {
  Steps<T> z, h0, c0, bias;
  T *h, *c, *gates;
  int64_t units, time;

  FASTNN_INLINE T* put(T* out, const UnitsAt& at, int64_t gate = 0, int of = 1) const {
    return out + ((at.row * time + at.time) * of + gate) * units + at.j;
  }
  // Values of gates for the way back, which not everybody goes.
  FASTNN_INLINE void keep(const UnitsAt& at, const Vec<T> (&values)[4]) const {
    if (!gates) return;
    for (int k = 0; k < 4; ++k)
      store_part(put(gates, at, k, 4), values[k], at.count);
  }
  // The lines of the step after this one, which come from beyond L2: rows lie too far
  // apart for the hardware to guess them.
  FASTNN_INLINE void fetch(const UnitsAt& at, int count) const {
    for (int k = 0; k < count; ++k)
      fetch_line(z.at(at, k * units));
    fetch_line(put(h, at));
    if (c) fetch_line(put(c, at));
    if (!gates || gates == z.data) return;
    for (int k = 0; k < 4; ++k)
      fetch_line(put(gates, at, k, 4));
  }
};

// What the way back reads and writes. `carried` are gradients of the state that come
// from later steps, rows of a scratch.
template <class T>
struct Backward {
  Steps<T> dh, dc, gates, h, h0, c, c0;
  T* dz;
  int64_t units, time;

  FASTNN_INLINE void fetch(const UnitsAt& at, int saved) const {
    for (int k = 0; k < saved; ++k)
      fetch_line(gates.at(at, k * units));
    fetch_line(dh.at(at, 0));
    if (c.data) fetch_line(c.at(at, 0));
    if (h.data) fetch_line(h.at(at, 0));
  }
  FASTNN_INLINE void put(const UnitsAt& at, int64_t gate, int of, Vec<T> v) const {
    store_part(dz + ((at.row * time + at.time) * of + gate) * units + at.j, v,
               at.count);
  }
};

// Hochreiter and Schmidhuber 1997 with forget gates; gates in Keras's order i f g o.
struct LstmCell {
  static constexpr int kGates = 4;  // of the recurrent product
  static constexpr int kSaved = 4, kSlopes = 4;
  static constexpr bool kCarry = true;  // a second state, c

  template <class T>
  static FASTNN_INLINE Vec<T> step(const Forward<T>& f, const UnitsAt& at,
                                   const Vec<T>* sums, Vec<T> /*h*/, Vec<T>& c) {
    const Vec<T> i = Sigmoid{}(sums[0] + f.z.load(at, 0));
    const Vec<T> forget = Sigmoid{}(sums[1] + f.z.load(at, f.units));
    const Vec<T> g = Tanh{}(sums[2] + f.z.load(at, 2 * f.units));
    const Vec<T> o = Sigmoid{}(sums[3] + f.z.load(at, 3 * f.units));
    c = forget * c + i * g;
    f.keep(at, {i, forget, g, o});
    return o * Tanh{}(c);
  }

  // slopes: gradients of the pre-activations in the order of the recurrent product.
  // Returns what of dh the state before gets directly.
  template <class T>
  static FASTNN_INLINE Vec<T> back(const Backward<T>& b, const UnitsAt& at,
                                   const UnitsAt& before, bool first, Vec<T> dh,
                                   Vec<T>& dc, Vec<T>* slopes) {
    const Vec<T> i = b.gates.load(at, 0), f = b.gates.load(at, b.units);
    const Vec<T> g = b.gates.load(at, 2 * b.units), o = b.gates.load(at, 3 * b.units);
    const Vec<T> y = Tanh{}(b.c.load(at));
    const Vec<T> old = first ? b.c0.load(at) : b.c.load(before);
    dc = dc + TanhGrad{}(dh * o, y);
    slopes[0] = SigmoidGrad{}(dc * g, i);
    slopes[1] = SigmoidGrad{}(dc * old, f);
    slopes[2] = TanhGrad{}(dc * i, g);
    slopes[3] = SigmoidGrad{}(dh * y, o);
    dc = dc * f;
    for (int k = 0; k < 4; ++k)
      b.put(at, k, 4, slopes[k]);
    return Vec<T>{};
  }
};

// Cho et al. 2014 with the reset gate after the product, gates z r h. Kept: z, r, the
// candidate, and its part of the recurrent product. Slopes in memory: of the latter, z,
// r, of the candidate, so that the first three belong to the recurrent product and the
// last three to the input's.
struct GruCell {
  static constexpr int kGates = 3;
  static constexpr int kSaved = 4, kSlopes = 4;
  static constexpr bool kCarry = false;

  template <class T>
  static FASTNN_INLINE Vec<T> step(const Forward<T>& f, const UnitsAt& at,
                                   const Vec<T>* sums, Vec<T> h, Vec<T>&) {
    const Vec<T> z = Sigmoid{}(sums[0] + f.z.load(at, 0));
    const Vec<T> r = Sigmoid{}(sums[1] + f.z.load(at, f.units));
    const Vec<T> u = sums[2] + f.bias.load({0, 0, at.j, at.count});
    const Vec<T> y = Tanh{}(f.z.load(at, 2 * f.units) + r * u);
    f.keep(at, {z, r, y, u});
    return z * h + (splat<Vec<T>>(T(1)) - z) * y;
  }
  template <class T>
  static FASTNN_INLINE Vec<T> back(const Backward<T>& b, const UnitsAt& at,
                                   const UnitsAt& before, bool first, Vec<T> dh,
                                   Vec<T>&, Vec<T>* slopes) {
    const Vec<T> z = b.gates.load(at, 0), r = b.gates.load(at, b.units);
    const Vec<T> y = b.gates.load(at, 2 * b.units), u = b.gates.load(at, 3 * b.units);
    const Vec<T> old = first ? b.h0.load(at) : b.h.load(before);
    const Vec<T> dy = TanhGrad{}(dh * (splat<Vec<T>>(T(1)) - z), y);
    slopes[0] = SigmoidGrad{}(dh * (old - y), z);
    slopes[1] = SigmoidGrad{}(dy * u, r);
    slopes[2] = dy * r;
    b.put(at, 0, 4, slopes[2]);
    b.put(at, 1, 4, slopes[0]);
    b.put(at, 2, 4, slopes[1]);
    b.put(at, 3, 4, dy);
    return dh * z;
  }
};

// Elman 1990. The output is all that the way back needs.
template <class Activation, class Gradient>
struct SimpleCell {
  static constexpr int kGates = 1;
  static constexpr int kSaved = 0, kSlopes = 1;
  static constexpr bool kCarry = false;

  template <class T>
  static FASTNN_INLINE Vec<T> step(const Forward<T>& f, const UnitsAt& at,
                                   const Vec<T>* sums, Vec<T>, Vec<T>&) {
    return Activation{}(sums[0] + f.z.load(at));
  }
  template <class T>
  static FASTNN_INLINE Vec<T> back(const Backward<T>& b, const UnitsAt& at,
                                   const UnitsAt&, bool, Vec<T> dh, Vec<T>&,
                                   Vec<T>* slopes) {
    slopes[0] = Gradient{}(dh, b.h.load(at));
    b.put(at, 0, 1, slopes[0]);
    return Vec<T>{};
  }
};

FASTNN_END_NAMESPACE
