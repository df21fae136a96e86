// SPDX-License-Identifier: Apache-2.0
// Logarithms and the inverse hyperbolic functions.
#pragma once

#include "shared/math/exp.h"

FASTNN_BEGIN_NAMESPACE

// u = 2^n (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and log(1 + f) = f + tail.
template <class V>
struct LogParts {
  V n, f, tail;
};

template <class V>
FASTNN_HD V log1p_tail(V f) {
  const V half_square = constant<V>(0.5) * f * f;
  if constexpr (kIsFloat64<V>) {
    // log(1 + f) = 2 s + s R with s = f / (2 + f) and 2 s = f - s f.
    const V s = f / (constant<V>(2) + f), z = s * s;
    const V R =
        z * polynomial(z, 0.66666666666667362, 0.39999999999405383, 0.2857142874409988,
                       0.22222198420964051, 0.18183571383916899, 0.15313886090294743,
                       0.14797471593402337);
    return fma(s, half_square + R, -half_square);
  } else {
    const V p =
        polynomial(f, 0.333333135, -0.250000089, 0.200020745, -0.166679949, 0.14220269,
                   -0.124060251, 0.118841574, -0.116718531, 0.0674993321);
    return fma(f * f * f, p, -half_square);
  }
}

// A normal u > 0 as 2^k m.
template <class V>
struct Fraction {
  IntOf<V> k;
  V m;
};
template <class V>
FASTNN_HD Fraction<V> split_power(V u) {
  using I = IntOf<V>;
  const I sqrt_half = bits_as<I>(constant<V>(0.70710678118654752));
  const I bits = bits_as<I>(u) - sqrt_half;
  const I fraction = (splat<I>(1) << kMantissaBits<V>)-splat<I>(1);
  return {bits >> kMantissaBits<V>, bits_as<V>((bits & fraction) + sqrt_half)};
}
// For 0 < x < infinity, denormals included.
template <class V>
FASTNN_HD LogParts<V> split_log(V x) {
  const auto tiny = x < pick<V>(1.17549435e-38, 2.2250738585072014e-308);
  const V u = select(tiny, x * pick<V>(33554432.0, 18014398509481984.0), x);
  const auto [k, m] = split_power(u);
  const V f = m - constant<V>(1);
  const V n = from_integer<V>(k) - select(tiny, pick<V>(25, 54), constant<V>(0));
  return {n, f, log1p_tail(f)};
}
// For the sum of a normal u > 0 and of c, at most half an ULP of u.
template <class V>
FASTNN_HD LogParts<V> split_log(V u, V c) {
  using I = IntOf<V>;
  const auto [k, m] = split_power(u);
  // c no longer matters for large u, where 2^-k would leave the normal range.
  const V shift = select(k < splat<I>(kIsFloat32<V> ? 30 : 60),
                         c * power_of_two<V>(splat<I>(0) - k), constant<V>(0));
  const V f = (m - constant<V>(1)) + shift;
  return {from_integer<V>(k), f, log1p_tail(f)};
}
template <class V>
FASTNN_HD V join_log(LogParts<V> p) {
  return fma(p.n, ln2_high<V>(), p.f + fma(p.n, ln2_low<V>(), p.tail));
}

// `regular` where 0 < x < infinity; else the values of log at 0, infinity, elsewhere.
template <class V>
FASTNN_HD V log_limits(V x, V regular) {
  if constexpr (Traits<V>::kLimitsLog) return Traits<V>::put_log_limits(regular, x);
  const V inf = infinity<V>();
  V limit = select(x == constant<V>(0), -inf, not_a_number<V>());
  limit = select(x == inf, inf, limit);
  return select((x > constant<V>(0)) & (x < inf), regular, limit);
}

// 2 ULP. Negative numbers give NaN, zeros -infinity, for all logarithms.
template <class V>
FASTNN_HD V log(V x) {
  return log_limits(x, join_log(split_log(x)));
}
// 2 ULP; exact for powers of 2.
template <class V>
FASTNN_HD V log2(V x) {
  const LogParts<V> p = split_log(x);
  const V scale = constant<V>(1.44269504088896341);
  return log_limits(x, p.n + fma(p.f, scale, p.tail * scale));
}
// 2 ULP.
template <class V>
FASTNN_HD V log10(V x) {
  const LogParts<V> p = split_log(x);
  const V scale = constant<V>(0.434294481903251828);
  const V high = pick<V>(3.0102920532e-01, 3.01029995663611771306e-01);
  const V low = pick<V>(7.9034151668e-07, 3.69423907715893078616e-13);
  const V rest = fma(p.f, scale, fma(p.n, low, p.tail * scale));
  return log_limits(x, fma(p.n, high, rest));
}
// 2 ULP. Below -1 NaN, at -1 -infinity.
template <class V>
FASTNN_HD V log1p(V x) {
  const V one = constant<V>(1);
  const V u = one + x, x_seen = u - one;
  const V c = (one - (u - x_seen)) + (x - x_seen);  // exact: u + c = 1 + x
  const V y = log_limits(u, join_log(split_log(u, c)));
  return select(x == constant<V>(0), x, y);  // keeps -0
}

// log(1 + e^-|x|): the sum is at most 2, its power of two 0 or 1.
template <class V>
FASTNN_HD V log1p_exp_minus_absolute(V x) {
  const V t = exp_minus_absolute(x), one = constant<V>(1), zero = constant<V>(0);
  const auto upper = t > constant<V>(0.414213562373095049);
  const V f = select(upper, constant<V>(0.5) * (t - one), t);
  const V low = log1p_tail(f) + select(upper, ln2_low<V>(), zero);
  return select(upper, ln2_high<V>(), zero) + (f + low);
}
// log(1 + e^x). 2 ULP.
template <class V>
FASTNN_HD V softplus(V x) {
  return at_least(x, constant<V>(0)) + log1p_exp_minus_absolute(x);
}
// log(e^a + e^b), without overflow. 3 ULP where a and b have one sign.
template <class V>
FASTNN_HD V logaddexp(V a, V b) {
  const V top = maximum(a, b), gap = a - b;
  const V y = top + log1p_exp_minus_absolute(gap);
  return select(a == b, a + constant<V>(0.693147180559945309), y);  // infinities
}

// 4 ULP.
template <class V>
FASTNN_HD V asinh(V x) {
  const V a = absolute(x), one = constant<V>(1), large = pick<V>(1e9, 1e17);
  const auto far = a > large;
  const V b = select(far, one, a), square = b * b;
  const V near = log1p(b + square / (one + sqrt(one + square)));
  const V y = log(select(far, a, one)) + constant<V>(0.693147180559945309);
  return copysign(select(far, y, near), x);
}
// 4 ULP. NaN below 1.
template <class V>
FASTNN_HD V acosh(V x) {
  const V one = constant<V>(1), large = pick<V>(1e9, 1e17);
  const auto far = x > large;
  const V t = select(far, one, x) - one;
  const V near = log1p(t + sqrt(t * (t + constant<V>(2))));
  const V y = log(select(far, x, one)) + constant<V>(0.693147180559945309);
  return select(far, y, select(x < one, not_a_number<V>(), near));
}
// 4 ULP. Infinite at -1 and 1, NaN beyond.
template <class V>
FASTNN_HD V atanh(V x) {
  const V a = absolute(x), one = constant<V>(1), twice = a + a;
  const V rest = one - a;
  const V small = twice + twice * a / rest, large = twice / rest;
  const V y = log1p(select(a < constant<V>(0.5), small, large));
  return copysign(constant<V>(0.5) * y, x);
}

FASTNN_END_NAMESPACE
