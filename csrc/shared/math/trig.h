// SPDX-License-Identifier: Apache-2.0
// Circular functions and their inverses.
#pragma once

#include "shared/math/basic.h"

FASTNN_BEGIN_NAMESPACE

// Up to this magnitude the multiples of the 33-bit parts of pi/2 are exact; beyond,
// where nobody computes in a loop, libm reduces with all bits of pi.
inline constexpr double kTrigLimit = 1048576;

// x = n pi/2 + (r + low), |r| <= pi/4. In float64 also for float32, whose kernels run
// in float64 with the short polynomials: 24 bits of the result need no more, and that
// is both faster and more accurate than four steps in float32.
template <class V>
struct Quadrant {
  V r, low;
  IntOf<V> n;
};
template <class V>
FASTNN_HD Quadrant<V> reduce_quadrant(V x) {
  const V n = rint(x * constant<V>(0.636619772367581343));
  const V a = x - n * constant<V>(1.57079632673412561417e+00);
  const V b = n * constant<V>(6.07710050630396597660e-11);
  const V c = n * constant<V>(2.02226624871116645580e-21);
  const V r1 = a - b, r = r1 - c;
  const V low =
      (((a - r1) - b) + ((r1 - r) - c)) - n * constant<V>(8.47842766036889956997e-32);
  // As it is below pi/4: keeps -0.
  const auto still = n == constant<V>(0);
  return {select(still, x, r), select(still, constant<V>(0), low), to_integer(n)};
}

// sin and cos of the reduced argument. (sin of -0 is -0.)
template <bool kShort, class V>
FASTNN_HD V sin_reduced(V r, V low) {
  const V t = r * r;
  if constexpr (kShort) {
    const V p = polynomial(t, -0.16666666640946573, 0.0083333293283545107,
                           -0.0001983932015687868, 2.7181949701330437e-6);
    return select(r == constant<V>(0), r, fma(r * t, p, r));
  } else {
    const V p = polynomial(t, -0.1666666666666663, 0.0083333333333219742,
                           -0.00019841269829522901, 2.7557313608031443e-6,
                           -2.5050746628005549e-8, 1.5896201015007677e-10);
    const V rest = fma(r * t, p, low * fma(t, constant<V>(-0.5), constant<V>(1)));
    return select(r == constant<V>(0), r, r + rest);
  }
}
template <bool kShort, class V>
FASTNN_HD V cos_reduced(V r, V low) {
  const V t = r * r, one = constant<V>(1), half = constant<V>(0.5) * t;
  if constexpr (kShort) {
    const V p = polynomial(t, 0.041666666621041015, -0.0013888883626481138,
                           2.4799491415815722e-5, -2.720817092281228e-7);
    return one - half + t * t * p;
  } else {
    const V p = polynomial(t, 0.041666666666666595, -0.0013888888888873459,
                           2.4801587289117557e-5, -2.755731425783967e-7,
                           2.0875711572673512e-9, -1.13590895051783e-11);
    const V w = one - half;  // and what its rounding lost
    return w + (((one - w) - half) + fma(t * t, p, -(r * low)));
  }
}

// sin(x + quarter pi/2).
template <bool kShort, int quarter>
struct SinCore {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const auto [r, low, n] = reduce_quadrant(x);
    const IntOf<V> q = n + splat<IntOf<V>>(quarter);
    const V s = sin_reduced<kShort>(r, low), c = cos_reduced<kShort>(r, low);
    const V y = select((q & splat<IntOf<V>>(1)) == splat<IntOf<V>>(0), s, c);
    return select((q & splat<IntOf<V>>(2)) == splat<IntOf<V>>(0), y, -y);
  }
};
template <bool kShort>
struct TanCore {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const auto [r, low, n] = reduce_quadrant(x);
    const V s = sin_reduced<kShort>(r, low), c = cos_reduced<kShort>(r, low);
    const auto even = (n & splat<IntOf<V>>(1)) == splat<IntOf<V>>(0);
    return select(even, s, c) / select(even, c, -s);
  }
};

// One precision or the other, and libm for the lanes that are huge. (Infinity gives NaN
// by itself.)
template <class Short, class Long, class Libm, class V>
FASTNN_HD V circular(V x) {
  const V a = absolute(x);
  const auto huge = (a > constant<V>(kTrigLimit)) & (a < infinity<V>());
  V y;
  if constexpr (kIsFloat32<V>) {
    y = map_wide(Short{}, x);
  } else {
    y = Long{}(x);
  }
  if (__builtin_expect(any_lane<V>(huge), 0)) {
    y = select(huge, map_lanes(Libm{}, x), y);
  }
  return y;
}
// 1 ULP (float64 2).
template <class V>
FASTNN_HD V sin(V x) {
  return circular<SinCore<true, 0>, SinCore<false, 0>, LibmSin>(x);
}
template <class V>
FASTNN_HD V cos(V x) {
  return circular<SinCore<true, 1>, SinCore<false, 1>, LibmCos>(x);
}
// 1 ULP (float64 3).
template <class V>
FASTNN_HD V tan(V x) {
  return circular<TanCore<true>, TanCore<false>, LibmTan>(x);
}

// ---- inverses: pi in two parts
template <class V>
FASTNN_HD V pi_high() {
  return pick<V>(3.14159274101257324, 3.14159265358979312);
}
template <class V>
FASTNN_HD V pi_low() {
  return pick<V>(-8.74227765734758577e-8, 1.22464679914735321e-16);
}
// pi/2 - y and pi - y.
template <class V>
FASTNN_HD V half_pi_minus(V y) {
  const V half = constant<V>(0.5);
  return half * pi_high<V>() - (y - half * pi_low<V>());
}
template <class V>
FASTNN_HD V pi_minus(V y) {
  return pi_high<V>() - (y - pi_low<V>());
}

// atan on [0, 1].
template <class V>
FASTNN_HD V atan_reduced(V z) {
  const V t = z * z;
  V p;
  if constexpr (kIsFloat64<V>) {
    p = polynomial(t, -0.33333333333333048, 0.19999999999948692, -0.14285714282430603,
                   0.11111111003070195, -0.090909069367892531, 0.076922791001408031,
                   -0.066663982353364779, 0.058804942151215331, -0.052533727402049167,
                   0.047218377827638054, -0.042179326019381215, 0.036616927426597876,
                   -0.029864802868332926, 0.02193745271999353, -0.013856385748353765,
                   0.0071655145899757067, -0.0028690958167492484,
                   0.00082577409857579004, -0.00015096690885329689,
                   1.3106194468563715e-5);
  } else {
    p = polynomial(t, -0.333332956, 0.199984536, -0.14263308, 0.109475791,
                   -0.0839061067, 0.0577461869, -0.0309740175, 0.0108082248,
                   -0.00177041674);
  }
  return fma(z * t, p, z);
}
// 3 ULP.
template <class V>
FASTNN_HD V atan(V x) {
  const V a = absolute(x), one = constant<V>(1);
  const auto steep = a > one;
  const V y = atan_reduced(select(steep, one / a, a));
  return copysign(select(steep, half_pi_minus(y), y), x);
}
// The angle of the point (x, y); C99's values on the axes and at infinity. 4 ULP.
template <class V>
FASTNN_HD V atan2(V y, V x) {
  const V ax = absolute(x), ay = absolute(y), zero = constant<V>(0);
  const auto steep = ay > ax;
  const V low = select(steep, ax, ay), high = select(steep, ay, ax);
  // 0/0 is 0, infinity / infinity is 1.
  V z = select(high == zero, zero, low / high);
  z = select(low == infinity<V>(), constant<V>(1), z);
  V p = atan_reduced(z);
  p = select(steep, half_pi_minus(p), p);
  p = select(bits_as<IntOf<V>>(x) < splat<IntOf<V>>(0), pi_minus(p), p);
  return select((x != x) | (y != y), x + y, copysign(p, y));
}

// asin(z) for 0 <= z <= 1/2, given z^2.
template <class V>
FASTNN_HD V asin_reduced(V z, V t) {
  V p;
  if constexpr (kIsFloat64<V>) {
    p = polynomial(t, 0.16666666666665406, 0.075000000003351011, 0.044642856831058148,
                   0.03038195899692208, 0.022371761811312701, 0.01735964424884176,
                   0.013885856581683516, 0.01216504090053214, 0.0065462356438232743,
                   0.019478022070293002, -0.016145358394133603, 0.03185833708891584);
  } else {
    p = polynomial(t, 0.166667536, 0.0749527663, 0.0454714522, 0.0241787955,
                   0.0421625003);
  }
  return fma(z * t, p, z);
}
// Above 1/2 asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)).
template <class V>
FASTNN_HD V asin_of_half(V a) {
  const V half = constant<V>(0.5);
  const auto large = a > half;
  const V t = select(large, half * (constant<V>(1) - a), a * a);
  return asin_reduced(select(large, sqrt(t), a), t);
}
// 3 ULP. NaN beyond -1 and 1.
template <class V>
FASTNN_HD V asin(V x) {
  const V a = absolute(x), p = asin_of_half(a);
  const auto large = a > constant<V>(0.5);
  return copysign(select(large, half_pi_minus(p + p), p), x);
}
// 3 ULP. NaN beyond -1 and 1.
template <class V>
FASTNN_HD V acos(V x) {
  const V a = absolute(x), p = asin_of_half(a), twice = p + p;
  const V large = select(x < constant<V>(0), pi_minus(twice), twice);
  return select(a > constant<V>(0.5), large, half_pi_minus(copysign(p, x)));
}

FASTNN_END_NAMESPACE
