// SPDX-License-Identifier: Apache-2.0
// Powers and roots. float32 goes through float64 with short polynomials (34 bits),
// which rounds almost always correctly and is faster than pairs of floats.
#pragma once

#include "shared/math/log.h"

FASTNN_BEGIN_NAMESPACE

// log2 of a normal double to 43 bits, 2^x to 34 bits.
template <class V>
FASTNN_HD V log2_short(V x) {
  using I = IntOf<V>;
  const I sqrt_half = bits_as<I>(constant<V>(0.70710678118654752));
  const I bits = bits_as<I>(x) - sqrt_half;
  const I k = bits >> kMantissaBits<V>;
  const V m = bits_as<V>(bits_as<I>(x) - (k << kMantissaBits<V>));
  const V one = constant<V>(1), s = (m - one) / (m + one), z = s * s;
  const V p =
      polynomial(z, 2.8853900817778499, 0.96179669411329571, 0.57707794238288046,
                 0.41220925058165059, 0.31990576407075411, 0.2828993189966228);
  return fma(s, p, from_integer<V>(k));
}
template <class V>
FASTNN_HD V exp2_short(V x) {
  const V c = clamp(x, -1100, 1100), n = rint(c), r = c - n;
  const V p =
      polynomial(r, 0.6931471805459305, 0.24022651084149668, 0.055504109412154126,
                 0.009618035958600904, 0.0013333450560412074, 0.0001546736497289471,
                 1.5310081137407198e-5);
  return scale_by_power(fma(r, p, constant<V>(1)), n);
}

// |x|^y for finite |x| > 0, float64: the logarithm as a pair of numbers.
template <class V>
FASTNN_HD Pair<V> log_pair(V x) {
  const auto tiny = x < constant<V>(2.2250738585072014e-308);
  const V u = select(tiny, x * constant<V>(18014398509481984.0), x);
  using I = IntOf<V>;
  const I k = (bits_as<I>(u) - bits_as<I>(constant<V>(0.70710678118654752))) >>
              kMantissaBits<V>;
  const V m = bits_as<V>(bits_as<I>(u) - (k << kMantissaBits<V>));
  const V n = from_integer<V>(k) - select(tiny, constant<V>(54), constant<V>(0));
  // s = (m - 1) / (m + 1); log(m) = 2 s + s (2/3 z + z^2 Q(z)), z = s^2.
  const V one = constant<V>(1), f = m - one;
  const Pair<V> d = exact_sum(constant<V>(2), f);
  const V s = f / d.high;
  const Pair<V> back = exact_product(s, d.high);
  const V s_low = ((f - back.high) - back.low - s * d.low) / d.high;
  const Pair<V> z = exact_product(s, s);
  const V z_low = fma(constant<V>(2) * s, s_low, z.low);
  const V third = constant<V>(0.66666666666666663);
  const Pair<V> t = exact_product(z.high, third);
  const V q = polynomial(z.high, 0.39999999999999974, 0.28571428571446678,
                         0.2222222221721801, 0.18181818903899385, 0.15384554861591845,
                         0.13336386274979789, 0.11673558209672513, 0.11998571964593452);
  // 2/3 z + z^2 Q, with the 2^-54 that `third` lacks.
  const V rest =
      t.low + fma(z_low, third, z.high * constant<V>(3.7007434154171886e-17));
  const Pair<V> w = exact_sum(t.high, fma(z.high * z.high, q, rest));
  const Pair<V> sw = exact_product(s, w.high);
  const V sw_low = fma(s, w.low, fma(s_low, w.high, sw.low));
  const Pair<V> a = exact_sum(s + s, sw.high);
  const V a_low = a.low + (s_low + s_low) + sw_low;
  const Pair<V> sum = exact_sum(n * ln2_high<V>(), a.high);
  const auto none = n == constant<V>(0);  // then a is the larger operand
  const V high = select(none, a.high, sum.high);
  const V low =
      select(none, constant<V>(0), sum.low) +
      fma(n, ln2_low<V>(), fma(n, constant<V>(1.1612227229362533e-26), a_low));
  return exact_sum(high, low);
}
template <class V>
FASTNN_HD V power_of_magnitude(V x, V y) {
  const Pair<V> l = log_pair(x);
  // Beyond 2^970 nothing but the sign matters, and the splitting would overflow.
  const V far = clamp(y, -1e290, 1e290);
  const Pair<V> p = exact_product(far, l.high);
  const V low = fma(far, l.low, p.low);
  const auto [r, n] = reduce_exp(clamp_exp(p.high));
  const auto inside = absolute(p.high) < constant<V>(746);
  return scale_by_power(exp_reduced(r + select(inside, low, constant<V>(0))), n);
}

// C99's special cases around `magnitude` = |x|^y, which may be anything where |x| is 0,
// 1 or infinite.
template <class V>
FASTNN_HD V power_limits(V x, V y, V magnitude) {
  const V zero = constant<V>(0), one = constant<V>(1), inf = infinity<V>();
  const V a = absolute(x), half = constant<V>(0.5) * y;
  const auto integral = floor(y) == y;
  const auto odd = integral & (floor(half) != half);
  const auto edge = (a == zero) | (a == inf);
  const auto grows = (a == inf) == (y > zero);
  V r = select(edge, select(grows, inf, zero), magnitude);
  r = select(a == one, one, r);
  const auto negative = bits_as<IntOf<V>>(x) < splat<IntOf<V>>(0);
  r = select(negative & odd, -r, r);
  const auto undefined = (x < zero) & (a < inf) & (floor(y) != y);
  r = select(undefined, not_a_number<V>(), r);
  r = select((x != x) | (y != y), x + y, r);
  return select((x == one) | (y == zero), one, r);
}
struct PowShort {
  template <class V>
  FASTNN_HD V operator()(V x, V y) const {
    return power_limits(x, y, exp2_short(y * log2_short(absolute(x))));
  }
};
// 1 ULP.
template <class V>
FASTNN_HD V pow(V x, V y) {
  if constexpr (kIsFloat32<V>) {
    return map_wide(PowShort{}, x, y);
  } else {
    return power_limits(x, y, power_of_magnitude(absolute(x), y));
  }
}

struct CbrtShort {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const V a = absolute(x);
    const auto edge = (a == constant<V>(0)) | (a != a) | (a == infinity<V>());
    const V y = exp2_short(log2_short(a) * constant<V>(0.333333333333333333));
    return select(edge, x, copysign(y, x));
  }
};
// 1 ULP.
template <class V>
FASTNN_HD V cbrt(V x) {
  if constexpr (kIsFloat32<V>) {
    return map_wide(CbrtShort{}, x);
  } else {
    const auto tiny = absolute(x) < constant<V>(2.2250738585072014e-308);
    const V u = select(tiny, x * constant<V>(18014398509481984.0), x);
    const V y = CbrtShort{}(u);
    const V step = (y - u / (y * y)) * constant<V>(0.333333333333333333);
    const V exact =
        (y - step) * select(tiny, constant<V>(3.814697265625e-06), constant<V>(1));
    const auto edge = (x == constant<V>(0)) | (x - x != constant<V>(0));
    return select(edge, x, exact);
  }
}

struct HypotShort {
  template <class V>
  FASTNN_HD V operator()(V x, V y) const {
    return sqrt(x * x + y * y);
  }
};
// sqrt(x^2 + y^2) without overflow; infinite if either is. 1 ULP (float64 2).
template <class V>
FASTNN_HD V hypot(V x, V y) {
  const V a = absolute(x), b = absolute(y), inf = infinity<V>();
  V r;
  if constexpr (kIsFloat32<V>) {
    r = map_wide(HypotShort{}, x, y);
  } else {
    const V high = select(a > b, a, b), low = select(a > b, b, a);
    const V q = low / high;
    r = select(high == constant<V>(0), high, high * sqrt(fma(q, q, constant<V>(1))));
    r = select((x != x) | (y != y), x + y, r);
  }
  return select((a == inf) | (b == inf), inf, r);
}

FASTNN_END_NAMESPACE
