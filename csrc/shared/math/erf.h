// SPDX-License-Identifier: Apache-2.0
// The error function, its complement and its inverse.
#pragma once

#include "shared/math/log.h"

FASTNN_BEGIN_NAMESPACE

// e^(x^2) erfc(x) for x >= 0 up to where erfc vanishes, as a polynomial in
// t = (x - k) / (x + k), divided by 1 + 2 x (Shepherd and Laframboise 1981).
template <class V>
FASTNN_HD V scaled_erfc(V x) {
  const V one = constant<V>(1), k = pick<V>(2, 3.75);
  const V t = (x - k) / (x + k);
  V p;
  if constexpr (kIsFloat64<V>) {
    p = polynomial(
        t, 1.2375126308378275, -0.14024059858554702, 0.0035854154854754261,
        0.082276738490153309, -0.1088039301420887, 0.092304321160067052,
        -0.058693398584955953, 0.028362277424212459, -0.009746579591489302,
        0.001755625805870478, 0.00029371379124623783, -0.00029015384122424643,
        5.1648914397147821e-5, 2.2383549148783574e-5, -1.1444478695278652e-5,
        -9.7260125769548797e-7, 1.7535556940330383e-6, -5.7119863325663943e-8,
        -2.6200220521206549e-7, 2.0951641374518618e-8, 4.1084752555910543e-8,
        -7.4237093889721123e-10, -5.3610214878205954e-9, -9.8189327283754972e-10);
  } else {
    p = polynomial(t, 1.27697837, -0.0927639902, -0.166030735, 0.164055631,
                   -0.0542098992, -0.0080627026, 0.00864769146, 0.00132375106,
                   -0.00124494126, -0.000412202062);
  }
  return p / (one + x + x);
}

// 2 ULP.
template <class V>
FASTNN_HD V erf(V x) {
  const V a = clamp(absolute(x), 0, kIsFloat32<V> ? 4 : 6), t = a * a;
  V small, large;
  if constexpr (kIsFloat64<V>) {
    small = polynomial(
        t, 0.12837916709551256, -0.37612638903183471, 0.11283791670943219,
        -0.026866170643026575, 0.0052239776057290289, -0.000854832591965114,
        0.0001205529346521502, -1.4924712509522804e-5, 1.6447154868122808e-6,
        -1.6206608356867929e-7, 1.3712628814674872e-8, -7.7830720472567541e-10);
    large = constant<V>(1) - exp(-t) * scaled_erfc(a);
  } else {
    small = polynomial(t, 0.128379166, -0.37612626, 0.112835787, -0.0268533472,
                       0.0051871622, -0.00079978531, 7.80690316e-05);
    // log(1 - erf(a)) = a q(a)
    const V q = polynomial(a, -1.12848008, -0.635831356, -0.105116293, 0.0227985587,
                           -0.00318697677, 0.000210647049);
    large = constant<V>(1) - exp(a * q);
  }
  return copysign(select(a < constant<V>(1), fma(a, small, a), large), x);
}

// 1 - erf(x), accurate where that is tiny. 5 ULP.
template <class V>
FASTNN_HD V erfc(V x) {
  const V a = clamp(absolute(x), 0, kIsFloat32<V> ? 10.1 : 27.3);
  const Pair<V> square = exact_product(a, a);
  const V e = exp(-square.high);  // e^-(high + low)
  const V y = fma(e, -square.low, e) * scaled_erfc(a);
  return select(x < constant<V>(0), constant<V>(2) - y, y);
}

// x P(w) with w = -log(1 - x^2), or P(sqrt(w)) in the tails (Giles 2012): 30 bits, and
// 18 where float64 goes beyond what float32 reaches.
struct ErfinvShort {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const V one = constant<V>(1);
    const V w = -log((one - x) * (one + x));
    const V c = w - constant<V>(2.5), root = sqrt(w);
    const V center = polynomial(
        c, 1.5014093511307296, 0.24664027679468034, -0.004177318038628885,
        -0.0012527081133215288, 0.00021825107431016938, -4.9958551035527595e-6,
        -3.4174044811599166e-6, 4.7863526154493544e-7, 1.3780551639446057e-8,
        -1.0852875942606088e-8, 8.2005698074394727e-10, 1.2294079822805755e-10,
        -2.0530253306412349e-11);
    const V tail = polynomial(
        root - constant<V>(3), 2.8329767984813423, 1.0016752705068139,
        0.0094455468460803507, -0.0076436107835753516, 0.0056847309222070961,
        -0.003560466843629343, 0.0014870008603587938, -0.00014329539062310018,
        -0.00029442070811507237, 0.00019853140239374447, -2.7455050049165029e-5,
        -2.332958849035303e-5, 8.4969881111509166e-6);
    const V far = polynomial(
        root - constant<V>(4), 3.8397826043299572, 1.0094949578550718,
        0.0012759111052048446, -0.00088456496735355697, 0.000289571559823832,
        -8.4925656315665895e-5, 7.1694335281119866e-5, -5.7204897229205357e-5,
        2.1031584744925368e-5, -2.8276154444617506e-6);
    V p = select(root < constant<V>(4.1), tail, far);
    p = select(w < constant<V>(5), center, p);
    return select(w == infinity<V>(), x * infinity<V>(), x * p);
  }
};
// 1 ULP (float64 4). Infinite at -1 and 1, NaN beyond.
template <class V>
FASTNN_HD V erfinv(V x) {
  if constexpr (kIsFloat32<V>) {
    return map_wide(ErfinvShort{}, x);
  } else {
    // One step of Halley's method from there; near 1 on erfc, for 1 - |x| is exact.
    const V y = ErfinvShort{}(x), a = absolute(y), b = absolute(x);
    const V one = constant<V>(1);
    const V miss = select(b < constant<V>(0.5), erf(a) - b, (one - b) - erfc(a));
    const V slope = constant<V>(1.12837916709551257) * exp(-(a * a));
    const V step = miss / slope;
    const V better = a - step / (one + a * step);
    return select(b < one, copysign(better, x), y);
  }
}

FASTNN_END_NAMESPACE
