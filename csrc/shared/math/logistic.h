// SPDX-License-Identifier: Apache-2.0
// tanh and sigmoid: by tables in registers where an instruction picks from 16 numbers
// (AVX-512, float32), else by e^x. Per vector of 16 floats in L1 (Cascade Lake): tanh
// 6.8 -> 5.2 ns, sigmoid 5.7 -> 4.9; beside a neighbour on the core, who wants the
// divider too, 8.0 -> 5.3 and 7.1 -> 6.2.
#pragma once

#include "shared/math/exp.h"

FASTNN_BEGIN_NAMESPACE

// Made by tools/fit_tables.py. A column is an interval of |x|: its centre, then the
// coefficients of a polynomial from there.
// clang-format off
inline constexpr float kTanhTable[8][16] = {
    {2.51028609f, 3.50065207f, 5.00670815f, 6.98069191f, 8.55249977f, 0, 0, 0, 0.155575246f, 0.218263999f, 0.310496241f, 0.435651988f, 0.621061981f, 0.875141978f, 1.25526905f, 1.74976504f},
    {0.986885071f, 0.99818027f, 0.999910414f, 0.999998271f, 0.99999994f, 0, 0, 0, 0.154332116f, 0.214862823f, 0.300888479f, 0.410033911f, 0.551867008f, 0.703977227f, 0.849754572f, 0.941348791f},
    {0.0260579586f, 0.00363621605f, 0.000179410141f, 3.46208981e-06f, 1.49081757e-07f, 0, 0, 1, 0.976181626f, 0.953833938f, 0.909466147f, 0.831872165f, 0.695442796f, 0.504416049f, 0.277917057f, 0.113862403f},
    {-0.0257159919f, -0.00362957898f, -0.00017937347f, -3.45880517e-06f, -1.0202441e-06f, 0, 0, -3.89786692e-08f, -0.150656f, -0.204943568f, -0.273647815f, -0.341095865f, -0.383791953f, -0.355097443f, -0.236161187f, -0.107184216f},
    {0.0166893248f, 0.00240864628f, 0.000117326708f, 2.26367251e-06f, 9.96517073e-08f, 0, 0, -0.333328903f, -0.302258581f, -0.273789644f, -0.220842436f, -0.13740319f, -0.0200136453f, 0.0818441287f, 0.108055025f, 0.0629502535f},
    {-0.00790453888f, -0.00119574287f, -5.86270035e-05f, -1.14201453e-06f, 7.54345547e-06f, 0, 0, -0.000163862875f, 0.096327886f, 0.127507955f, 0.157617941f, 0.170075357f, 0.138972551f, 0.0607576109f, -0.0130973589f, -0.0235289875f},
    {0.00284406962f, 0.000489641272f, 2.80402528e-05f, 5.42404848e-07f, 1.91936387e-08f, 0, 0, 0.135983169f, 0.201938286f, -0.0132108349f, 0.0514019616f, -0.0108131077f, -0.0539904535f, -0.0587678142f, -0.0192085393f, 0.00348038832f},
    {-0.000695966126f, -0.000157672068f, -9.37258119e-06f, -1.72931109e-07f, -1.65746205e-05f, 0, 0, -0.0195203796f, 0.237609893f, -0.250165075f, -0.069609642f, -0.0614881404f, -0.0244680066f, 0.012773281f, 0.0150990915f, 0.00210234779f},
};
// 2^(-i / 16), and what rounding took from it, as a share of it.
inline constexpr float kSixteenths[2][16] = {
    {1, 0.957603276f, 0.917004049f, 0.878126085f, 0.840896428f, 0.805245161f, 0.771105409f, 0.738413095f, 0.707106769f, 0.677127779f, 0.648419797f, 0.620928884f, 0.594603539f, 0.56939429f, 0.545253873f, 0.522136867f},
    {0, 5.14060927e-09f, -6.12825968e-09f, -5.25879518e-09f, -1.47196051e-08f, 6.10759177e-09f, 5.23333421e-09f, -3.04768335e-08f, 1.71142709e-08f, -7.47521334e-09f, -3.09907193e-08f, 3.62105723e-08f, 3.19341815e-08f, 4.72978243e-08f, -1.19921575e-08f, 4.62854715e-08f},
};
// clang-format on

// One of 15 polynomials in |x|. 1.3 ULP.
template <class V>
FASTNN_HD V tanh_by_table(V x) {
  using U = UIntOf<V>;
  const V a = at_most(absolute(x), constant<V>(9.0625));
  // The exponent and the first bit of the mantissa; all below 1/8 are one interval.
  const U place = bits_as<U>(at_least(a, constant<V>(0.09375))) >> 22;
  const V t = a - pick_from<V>(kTanhTable[0], place);
  V p = pick_from<V>(kTanhTable[7], place);
#pragma GCC unroll 8
  for (int k = 6; k > 0; --k)
    p = fma(p, t, pick_from<V>(kTanhTable[k], place));
  const U sign = splat<U>(1u << 31);
  return bits_as<V>(bits_as<U>(p) | (bits_as<U>(x) & sign));
}

// 3 ULP.
template <class V>
FASTNN_HD V tanh(V x) {
  if constexpr (kPicksFrom16<V>) return tanh_by_table(x);
  // -e / (2 + e) with e = expm1(-2 |x|), which lies in (-1, 0]. (x P(x^2) / Q(x^2) of
  // degrees 4 and 5 takes 5.3 ns per vector instead of 7.5 but errs by 4.7 ULP near 8.)
  const V twice = constant<V>(-2) * absolute(x);
  const auto [r, n] = reduce_exp(at_least(twice, constant<V>(-40)));
  const V scale = normal_power_of_two(n);
  const V e = fma(scale, expm1_reduced(r), scale - constant<V>(1));
  return copysign(e / (constant<V>(2) + e), x);
}

// x = n ln2 - r with |r| <= ln2 / 32, n in sixteenths, of which i are its fraction;
// then e^-x = 2^-n e^r, and the sigmoid is 2^m / (2^m + 2^(-i / 16) e^r) with m =
// floor(n): one form for both signs. 3 ULP.
template <class V>
FASTNN_HD V sigmoid_by_table(V x) {
  using U = UIntOf<V>;
  const V magic = constant<V>(0x1.8p19);  // sixteenths are the last bits of the sum
  const V c = clamp(x, -105, 60), z = fma(c, constant<V>(1.44269504088896341), magic);
  const V n = z - magic;
  // By name: n has four bits more than elsewhere, so n ln2_high is not exact (61 ULP
  // where the compiler leaves it in two, as under sanitizers).
  const V rest = Traits<V>::fused(n, ln2_high<V>(), -c);
  const V r = Traits<V>::fused(n, ln2_low<V>(), rest);
  const U place = bits_as<U>(z);
  const V part = pick_from<V>(kSixteenths[0], place);
  const V w = fma(r, polynomial(r, 1, 0.5000156, 0.16666667),
                  pick_from<V>(kSixteenths[1], place));
  const V e = fma(part, w, part);
  const V power = Traits<V>::scale_exponent(constant<V>(1), n);  // takes the floor
  return power / (power + e);
}

// 1 / (1 + e^-x). 3 ULP.
template <class V>
FASTNN_HD V sigmoid(V x) {
  if constexpr (kPicksFrom16<V>) return sigmoid_by_table(x);
  const V one = constant<V>(1), e = exp_minus_absolute(x);
  return select(x < constant<V>(0), e, one) / (one + e);
}

FASTNN_END_NAMESPACE
