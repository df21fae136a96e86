// SPDX-License-Identifier: Apache-2.0
// Distributions drawn by rejection or inversion, from uniform numbers in [0, 1).
#pragma once

#include "shared/philox.h"

FASTNN_BEGIN_NAMESPACE

// Marsaglia & Tsang 2000 for alpha >= 1: d v with v = (1 + c x)^3, x normal, accepted
// when log(u) < x^2 / 2 + d (1 - v + log v). With t = c x the right side is
// 3 d (log(1 + t) - t + t^2/2 - t^3/3): written so, nothing cancels for large alpha.
template <class V>
struct GammaProposal {
  V value;
  decltype(V{} < V{}) accepted;
};
template <class V>
FASTNN_HD GammaProposal<V> gamma_proposal(V alpha, V normal, V u) {
  const V one = constant<V>(1), third = constant<V>(1.0 / 3);
  const V d = alpha - third, c = third / sqrt(d);
  const V t = c * normal, v = one + t;
  const V direct = log(maximum(v, unit_step<V>())) - t + t * t * constant<V>(0.5) -
                   t * t * t * third;
  const V t4 = (t * t) * (t * t);
  const V series =
      t4 * polynomial(t, -1.0 / 4, 1.0 / 5, -1.0 / 6, 1.0 / 7, -1.0 / 8, 1.0 / 9,
                      -1.0 / 10, 1.0 / 11, -1.0 / 12, 1.0 / 13, -1.0 / 14, 1.0 / 15,
                      -1.0 / 16, 1.0 / 17, -1.0 / 18, 1.0 / 19, -1.0 / 20, 1.0 / 21,
                      -1.0 / 22, 1.0 / 23, -1.0 / 24);
  const V rest = select(absolute(t) < constant<V>(0.25), series, direct);
  const V bound = constant<V>(3) * d * rest;
  return {d * (v * v * v), (v > constant<V>(0)) & (log(u + unit_step<V>()) < bound)};
}

// Tail of Stirling's series: log(k!) - (k + 1/2) log(k + 1) + k + 1 - log(2 pi) / 2.
FASTNN_HD double stirling_tail(double k) {
  constexpr double table[] = {
      0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
      0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
      0.00925546218271273, 0.00833056343336287};
  if (k < 10) return table[static_cast<int>(k)];
  const double x = 1 / (k + 1), x2 = x * x;
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * x2) * x2) * x;
}

// Binomial numbers for 0 < p <= 1/2: what is the same for all of one (n, p).
struct Binomial {
  double n, p;
  double odds, zero;  // p / (1 - p), (1 - p)^n
  double spread, a, b, centre, v_r, scale, mode;
  FASTNN_HD static Binomial make(double n, double p) {
    Binomial s = {};
    s.n = n, s.p = p;
    s.odds = p / (1 - p);
    s.zero = ::exp(n * ::log1p(-p));
    s.spread = ::sqrt(n * p * (1 - p));
    s.b = 1.15 + 2.53 * s.spread;
    s.a = -0.0873 + 0.0248 * s.b + 0.01 * p;
    s.centre = n * p + 0.5;
    s.v_r = 0.92 - 4.2 / s.b;
    s.scale = (2.83 + 5.1 / s.b) * s.spread;
    s.mode = ::floor((n + 1) * p);
    return s;
  }
  FASTNN_HD bool by_inversion() const { return n * p < 10; }
  // Adds up the probabilities until they pass u.
  FASTNN_HD double invert(double u) const {
    double k = 0, mass = zero;
    while (u >= mass && k < n && k < 200) {
      u -= mass;
      k += 1;
      mass *= odds * (n - k + 1) / k;
    }
    return k;
  }
  // BTRS (Hormann 1993): transformed rejection with squeeze; -1 when rejected.
  FASTNN_HD double propose(double u1, double v) const {
    const double u = u1 - 0.5, us = 0.5 - ::fabs(u);
    const double k = ::floor((2 * a / us + b) * u + centre);
    if (us >= 0.07 && v <= v_r) return k;
    if (!(k >= 0 && k <= n)) return -1;
    const double height = ::log(v * scale / (a / (us * us) + b));
    const double bound = (mode + 0.5) * ::log((mode + 1) / (odds * (n - mode + 1))) +
                         (n + 1) * ::log((n - mode + 1) / (n - k + 1)) +
                         (k + 0.5) * ::log(odds * (n - k + 1) / (k + 1)) +
                         stirling_tail(mode) + stirling_tail(n - mode) -
                         stirling_tail(k) - stirling_tail(n - k);
    return height <= bound ? k : -1;
  }
};

FASTNN_END_NAMESPACE
