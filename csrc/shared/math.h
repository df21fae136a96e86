// SPDX-License-Identifier: Apache-2.0
// Transcendental functions on a value type V (scalar or vector).
//
// float32: polynomials below, the same for every instruction set and for CUDA;
// float64: libm, lane by lane. "ULP" is the largest error against exact results that
// tests/cpp/test_math.cpp allows; unless said otherwise the range is all of float32:
// denormals are kept, NaN gives NaN, and infinities give the limit. Coefficients are
// minimax fits of our own (weighted least squares, rounded one by one to float32).
#pragma once

#include "shared/hd.h"

FASTNN_BEGIN_NAMESPACE

// libm as functors for map_lanes; float overloads only where float32 uses them.
#define FASTNN_LIBM_1(Name, fn, fnf)                                \
  struct Name {                                                     \
    FASTNN_HD double operator()(double x) const { return ::fn(x); } \
    FASTNN_HD float operator()(float x) const { return ::fnf(x); }  \
  };
FASTNN_LIBM_1(LibmExp, exp, expf)
FASTNN_LIBM_1(LibmExpm1, expm1, expm1f)
FASTNN_LIBM_1(LibmLog, log, logf)
FASTNN_LIBM_1(LibmLog1p, log1p, log1pf)
FASTNN_LIBM_1(LibmTanh, tanh, tanhf)
FASTNN_LIBM_1(LibmErf, erf, erff)
FASTNN_LIBM_1(LibmSin, sin, sinf)
FASTNN_LIBM_1(LibmCos, cos, cosf)
#undef FASTNN_LIBM_1
struct LibmPow {
  FASTNN_HD double operator()(double x, double y) const { return ::pow(x, y); }
  FASTNN_HD float operator()(float x, float y) const { return ::powf(x, y); }
};

struct LibmFmod {
  FASTNN_HD double operator()(double x, double y) const { return ::fmod(x, y); }
  FASTNN_HD float operator()(float x, float y) const { return ::fmodf(x, y); }
};

// c0 + c1 x + c2 x^2 + ... by Horner's rule.
template <class V>
FASTNN_HD V polynomial(V, double c) {
  return constant<V>(c);
}
template <class V, class... C>
FASTNN_HD V polynomial(V x, double c, C... rest) {
  return fma(polynomial(x, rest...), x, constant<V>(c));
}

// 2^k for float32, -126 <= k <= 127.
template <class V>
FASTNN_HD V power_of_two(IntOf<V> k) {
  using U = UIntOf<V>;
  return bits_as<V>((bits_as<U>(k) + splat<U>(127)) << 23);
}

// x = n ln2 + r with |r| <= ln2 / 2, for |x| < 2^15. ln2 is split so that n * high is
// exact without fused multiply-add.
template <class V>
struct ExpReduction {
  V r;
  IntOf<V> n;
};
template <class V>
FASTNN_HD ExpReduction<V> reduce_exp(V x) {
  using I = IntOf<V>;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the sum.
  const V magic = constant<V>(12582912.0);
  const V z = fma(x, constant<V>(1.44269504088896341), magic);
  const V n = z - magic;
  const V r = x - n * constant<V>(6.93145751953125e-1);
  return {r - n * constant<V>(1.42860682030941723e-6),
          bits_as<I>(z) - bits_as<I>(magic)};
}

// Both bounds clamp; NaN passes.
template <class V>
FASTNN_HD V clamp(V x, double lo, double hi) {
  const V low = constant<V>(lo), high = constant<V>(hi);
  return select(x < low, low, select(x > high, high, x));
}

// float32: 2 ULP.
template <class V>
FASTNN_HD V exp(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmExp{}, x);
  } else {
    // Beyond the bounds the result is 0 or infinity, and n stays small.
    const auto [r, n] = reduce_exp(clamp(x, -105, 89));
    const V p = polynomial(r, 0.49999994, 0.166665211, 0.0416682735, 0.00836868584,
                           0.00138201367);
    const V y = constant<V>(1) + fma(r * r, p, r);
    const IntOf<V> half = n >> 1;  // two factors: 2^n itself may be denormal
    return y * power_of_two<V>(half) * power_of_two<V>(n - half);
  }
}

// e^r - 1 for the reduced argument.
template <class V>
FASTNN_HD V expm1_reduced(V r) {
  const V p = polynomial(r, 0.5, 0.166666657, 0.0416664928, 0.00833354425,
                         0.00139323424, 0.00019763397);
  return fma(r * r, p, r);
}

// float32: 2 ULP.
template <class V>
FASTNN_HD V expm1(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmExpm1{}, x);
  } else {
    const auto [r, n] = reduce_exp(clamp(x, -20, 89));
    const V p = expm1_reduced(r);
    // 2^n p + 2^n - 1, halved inside because 2^128 is not a float; n = 0 must not
    // halve a denormal.
    const V half = power_of_two<V>(n - 1);
    const V y = constant<V>(2) * fma(half, p, half - constant<V>(0.5));
    return select(n == 0, p, y);
  }
}

// log(u + c) for normal u > 0, where |c| is at most half an ULP of u.
template <class V>
FASTNN_HD V log_of_sum(V u, V c) {
  using I = IntOf<V>;
  const I sqrt_half = splat<I>(0x3f3504f3);
  const I bits = bits_as<I>(u) - sqrt_half;
  const I k = bits >> 23;  // u = 2^k m, sqrt(1/2) <= m < sqrt(2)
  const V m = bits_as<V>((bits & splat<I>(0x7fffff)) + sqrt_half);
  // c no longer matters for large u, where 2^-k would leave the normal range.
  const V shift = select(k < 30, c * power_of_two<V>(splat<I>(0) - k), constant<V>(0));
  const V f = (m - constant<V>(1)) + shift;
  const V p =
      polynomial(f, 0.333333135, -0.250000089, 0.200020745, -0.166679949, 0.14220269,
                 -0.124060251, 0.118841574, -0.116718531, 0.0674993321);
  const V n = convert<V>(k), f2 = f * f;
  V y = f2 * f * p;
  y = fma(n, constant<V>(1.42860682030941723e-6), y);
  y = y - constant<V>(0.5) * f2;
  return fma(n, constant<V>(6.93145751953125e-1), f + y);
}

// `regular` where 0 < x < infinity; else the values of log at 0, infinity, elsewhere.
template <class V>
FASTNN_HD V log_limits(V x, V regular) {
  const V inf = infinity<V>();
  V limit = select(x == constant<V>(0), -inf, not_a_number<V>());
  limit = select(x == inf, inf, limit);
  return select((x > constant<V>(0)) & (x < inf), regular, limit);
}

// float32: 2 ULP. Negative numbers give NaN, zeros -infinity.
template <class V>
FASTNN_HD V log(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmLog{}, x);
  } else {
    const auto tiny = x < constant<V>(1.17549435e-38);  // denormal: scale by 2^25
    const V u = select(tiny, x * constant<V>(33554432.0), x);
    const V y = log_of_sum(u, constant<V>(0));
    const V offset = select(tiny, constant<V>(17.3286795139986327), constant<V>(0));
    return log_limits(x, y - offset);
  }
}

// float32: 2 ULP. Below -1 NaN, at -1 -infinity.
template <class V>
FASTNN_HD V log1p(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmLog1p{}, x);
  } else {
    const V one = constant<V>(1);
    const V u = one + x, x_seen = u - one;
    const V c = (one - (u - x_seen)) + (x - x_seen);  // exact: u + c = 1 + x
    return log_limits(u, log_of_sum(u, c));
  }
}

// float32: 3 ULP.
template <class V>
FASTNN_HD V tanh(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmTanh{}, x);
  } else {
    // -e / (2 + e) with e = expm1(-2 |x|), which lies in (-1, 0].
    const auto [r, n] = reduce_exp(clamp(constant<V>(-2) * absolute(x), -40, 0));
    const V scale = power_of_two<V>(n);
    const V e = fma(scale, expm1_reduced(r), scale - constant<V>(1));
    return copysign(e / (constant<V>(2) + e), x);
  }
}

// 1 / (1 + e^-x). float32: 3 ULP.
template <class V>
FASTNN_HD V sigmoid(V x) {
  const V one = constant<V>(1);
  const V e = exp(-absolute(x));
  return select(x < constant<V>(0), e, one) / (one + e);
}

// log(1 + e^x). float32: 2 ULP.
template <class V>
FASTNN_HD V softplus(V x) {
  return maximum(x, constant<V>(0)) + log1p(exp(-absolute(x)));
}

// float32: 2 ULP.
template <class V>
FASTNN_HD V erf(V x) {
  if constexpr (kIsFloat64<V>) {
    return map_lanes(LibmErf{}, x);
  } else {
    const V a = clamp(absolute(x), 0, 4), t = a * a;
    const V small = polynomial(t, 0.128379166, -0.37612626, 0.112835787, -0.0268533472,
                               0.0051871622, -0.00079978531, 7.80690316e-05);
    // log(1 - erf(a)) = a q(a)
    const V q = polynomial(a, -1.12848008, -0.635831356, -0.105116293, 0.0227985587,
                           -0.00318697677, 0.000210647049);
    const V large = constant<V>(1) - exp(a * q);
    return copysign(select(a < constant<V>(1), fma(a, small, a), large), x);
  }
}

// sin and cos: libm in both precisions.
template <class V>
FASTNN_HD V sin(V x) {
  return map_lanes(LibmSin{}, x);
}
template <class V>
FASTNN_HD V cos(V x) {
  return map_lanes(LibmCos{}, x);
}
template <class V>
FASTNN_HD V pow(V x, V y) {
  return map_lanes(LibmPow{}, x, y);
}

FASTNN_END_NAMESPACE
