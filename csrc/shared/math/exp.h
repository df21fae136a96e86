// SPDX-License-Identifier: Apache-2.0
// Exponentials and what is made of them.
#pragma once

#include "shared/math/basic.h"

FASTNN_BEGIN_NAMESPACE

// x = n ln2 + r with |r| <= ln2 / 2 and integral n. ln2 is split so that n * high is
// exact without fused multiply-add.
template <class V>
struct ExpReduction {
  V r, n;
};
template <class V>
FASTNN_HD V ln2_high() {
  return pick<V>(6.93145751953125e-1, 6.93147180369123816490e-01);
}
template <class V>
FASTNN_HD V ln2_low() {
  return pick<V>(1.42860682030941723e-6, 1.90821492927058770002e-10);
}
template <class V>
FASTNN_HD ExpReduction<V> reduce_exp(V x) {
  const V z = fma(x, constant<V>(1.44269504088896341), round_magic<V>());
  const V n = z - round_magic<V>();
  const V r = x - n * ln2_high<V>();
  return {r - n * ln2_low<V>(), n};
}

// e^r - 1 for the reduced argument.
template <class V>
FASTNN_HD V expm1_reduced(V r) {
  if constexpr (kIsFloat64<V>) {
    const V p =
        polynomial(r, 0.5, 0.16666666666666677, 0.041666666666666678,
                   0.0083333333333214538, 0.0013888888888877455, 0.00019841269886514685,
                   2.4801587340571969e-5, 2.7557243862350308e-6, 2.7557259264717172e-7,
                   2.5109145832168022e-8, 2.091947673019757e-9);
    return fma(r * r, p, r);
  } else {
    const V p = polynomial(r, 0.5, 0.166666657, 0.0416664928, 0.00833354425,
                           0.00139323424, 0.00019763397);
    return fma(r * r, p, r);
  }
}
// e^r, with one term less: 1 swallows it.
template <class V>
FASTNN_HD V exp_reduced(V r) {
  if constexpr (kIsFloat64<V>) {
    return constant<V>(1) + expm1_reduced(r);
  } else {
    const V p = polynomial(r, 0.49999994, 0.166665211, 0.0416682735, 0.00836868584,
                           0.00138201367);
    return constant<V>(1) + fma(r * r, p, r);
  }
}

// Beyond these bounds e^x is 0 or infinity, and n stays small.
template <class V>
FASTNN_HD V clamp_exp(V x) {
  return clamp(x, kIsFloat32<V> ? -105 : -746, kIsFloat32<V> ? 90 : 711);
}

// 2 ULP.
template <class V>
FASTNN_HD V exp(V x) {
  const auto [r, n] = reduce_exp(clamp_exp(x));
  return scale_by_power(exp_reduced(r), n);
}

// e^-|x|.
template <class V>
FASTNN_HD V exp_minus_absolute(V x) {
  const V low = constant<V>(kIsFloat32<V> ? -105 : -746);
  const auto [r, n] = reduce_exp(at_least(minus_absolute(x), low));
  return scale_by_power(exp_reduced(r), n);
}

// 2^x. 2 ULP.
template <class V>
FASTNN_HD V exp2(V x) {
  const V c = clamp(x, kIsFloat32<V> ? -151 : -1076, kIsFloat32<V> ? 129 : 1025);
  const V n = rint(c);
  return scale_by_power(exp_reduced((c - n) * constant<V>(0.693147180559945309)), n);
}

// 2 ULP.
template <class V>
FASTNN_HD V expm1(V x) {
  const auto [r, n] =
      reduce_exp(clamp(x, kIsFloat32<V> ? -20 : -40, kIsFloat32<V> ? 89 : 710));
  const V p = expm1_reduced(r);
  // 2^n p + 2^n - 1, halved inside because the largest 2^n is not a number; n = 0 must
  // not halve a denormal.
  const V half = power_of_two<V>(to_integer(n) - 1);
  const V y = constant<V>(2) * fma(half, p, half - constant<V>(0.5));
  return copysign(select(n == constant<V>(0), p, y), x);
}

// x sigmoid(x). The factor x comes before the power of 2, which leaves the normal range
// in the far tail; x - x makes -infinity NaN. 4 ULP.
template <class V>
FASTNN_HD V silu(V x) {
  const V one = constant<V>(1);
  const V low = at_least(minus_absolute(x), constant<V>(kIsFloat32<V> ? -110 : -760));
  const auto [r, n] = reduce_exp(low);
  const V p = exp_reduced(r), tail = scale_by_power(fma(p, low, x - x), n);
  return select(x < constant<V>(0), tail, x) / (one + scale_by_power(p, n));
}

// e^|x| / 2, which overflows no earlier than sinh and cosh.
template <class V>
FASTNN_HD V half_exp_absolute(V x) {
  const auto [r, n] = reduce_exp(clamp_exp(absolute(x)));
  return scale_by_power(exp_reduced(r), n - constant<V>(1));
}
// 3 ULP.
template <class V>
FASTNN_HD V cosh(V x) {
  const V e = half_exp_absolute(x);
  return e + constant<V>(0.25) / e;
}
// 3 ULP.
template <class V>
FASTNN_HD V sinh(V x) {
  const V e = half_exp_absolute(x), t = x * x;
  V p;
  if constexpr (kIsFloat64<V>) {
    p = polynomial(t, 0.16666666666666669, 0.0083333333333329707,
                   0.00019841269841531202, 2.7557319130379269e-6, 2.5052126856094766e-8,
                   1.605700052085293e-10, 7.7658975960024757e-13);
  } else {
    p = polynomial(t, 0.166666672, 0.00833331607, 0.0001984142, 2.79153824e-6);
  }
  const V large = copysign(e - constant<V>(0.25) / e, x);
  return select(absolute(x) < constant<V>(1), fma(x * t, p, x), large);
}

FASTNN_END_NAMESPACE
