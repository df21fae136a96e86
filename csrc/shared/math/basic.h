// SPDX-License-Identifier: Apache-2.0
// What the functions of this folder are built from. Each is one text for vectors and
// scalars, float32 and float64; constants that differ are chosen by `pick`.
//
// "ULP" is the largest error against exact results: docs/accuracy.md has the measured
// numbers, tests/cpp the checks. Unless said otherwise the range is everything:
// denormals are kept, NaN gives NaN, infinities give the limit. Coefficients are
// minimax fits of our own (weighted least squares in 60 digits, rounded one by one).
#pragma once

#include "shared/hd.h"

FASTNN_BEGIN_NAMESPACE

template <class V>
FASTNN_HD V pick(double single, double twice) {
  return constant<V>(kIsFloat32<V> ? single : twice);
}

// c0 + c1 x + c2 x^2 + ... by Horner's rule. Kernels run four vectors in step
// (kernels/simd/pack.hpp), which hides its chain: Estrin's shorter one costs more than
// it saves (exp 4.0 ns per vector so, 3.5 by Horner's rule; Cascade Lake).
template <class V>
FASTNN_HD V polynomial(V, double c) {
  return constant<V>(c);
}
template <class V, class... C>
FASTNN_HD V polynomial(V x, double c, C... rest) {
  return fma(polynomial(x, rest...), x, constant<V>(c));
}

// Both bounds clamp; NaN passes.
template <class V>
FASTNN_HD V clamp(V x, double lo, double hi) {
  return at_least(at_most(x, constant<V>(hi)), constant<V>(lo));
}

template <class V>
inline constexpr int kMantissaBits = kIsFloat32<V> ? 23 : 52;

// Adding it leaves the nearest integer in the low bits of the sum.
template <class V>
FASTNN_HD V round_magic() {
  return pick<V>(12582912.0, 6755399441055744.0);
}
// An integral |n| < 2^22 (float32), 2^51 (float64) as an integer and back.
template <class V>
FASTNN_HD IntOf<V> to_integer(V n) {
  using I = IntOf<V>;
  return bits_as<I>(n + round_magic<V>()) - bits_as<I>(round_magic<V>());
}
template <class V>
FASTNN_HD V from_integer(IntOf<V> k) {
  using I = IntOf<V>;
  return bits_as<V>(k + bits_as<I>(round_magic<V>())) - round_magic<V>();
}

// 2^k for a k whose power is a normal number.
template <class V>
FASTNN_HD V power_of_two(IntOf<V> k) {
  using U = UIntOf<V>;
  constexpr int bias = kIsFloat32<V> ? 127 : 1023;
  return bits_as<V>((bits_as<U>(k) + splat<U>(bias)) << kMantissaBits<V>);
}

// The same for an integral n.
template <class V>
FASTNN_HD V normal_power_of_two(V n) {
  if constexpr (Traits<V>::kScalesExponent) {
    return Traits<V>::scale_exponent(constant<V>(1), n);
  } else {
    return power_of_two<V>(to_integer(n));
  }
}

// y 2^n for integral n, where y is in [1/2, 2] and the result may be denormal or
// infinite: two factors, because 2^n itself may not be a normal number.
template <class V>
FASTNN_HD V scale_by_power(V y, V n) {
  if constexpr (Traits<V>::kScalesExponent) {
    return Traits<V>::scale_exponent(y, n);
  } else {
    const IntOf<V> k = to_integer(n), half = k >> 1;
    return y * power_of_two<V>(half) * power_of_two<V>(k - half);
  }
}

// a * b = high + low exactly (no overflow). Without fused multiply-add by Veltkamp's
// splitting, where contraction cannot hurt: there is none.
template <class V>
struct Pair {
  V high, low;
};
template <class V>
FASTNN_HD Pair<V> exact_product(V a, V b) {
  const V p = a * b;
  if constexpr (Traits<V>::kFused) {
    return {p, Traits<V>::fused(a, b, -p)};
  } else {
    const V factor = pick<V>(4097.0, 134217729.0);
    const V ca = factor * a, cb = factor * b;
    const V ah = ca - (ca - a), bh = cb - (cb - b);
    const V al = a - ah, bl = b - bh;
    return {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
  }
}
// |a| >= |b|.
template <class V>
FASTNN_HD Pair<V> exact_sum(V a, V b) {
  const V s = a + b;
  return {s, b - (s - a)};
}

// libm as functors for map_lanes: the rare and the huge.
struct LibmSin {
  FASTNN_HD double operator()(double x) const { return ::sin(x); }
};
struct LibmCos {
  FASTNN_HD double operator()(double x) const { return ::cos(x); }
};
struct LibmTan {
  FASTNN_HD double operator()(double x) const { return ::tan(x); }
};
struct LibmFmod {
  FASTNN_HD double operator()(double x, double y) const { return ::fmod(x, y); }
  FASTNN_HD float operator()(float x, float y) const { return ::fmodf(x, y); }
};

FASTNN_END_NAMESPACE
