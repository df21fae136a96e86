// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") and
// how random numbers are made of it. Everything is a pure function of (seed, step,
// element index), so the same for any thread count, instruction set or device:
//
//   words w0..w3 = philox(counter = (block lo, block hi, step lo, step hi),
//                         key = (seed lo, seed hi))
//   float32   element e uses word e % 4 of block e / 4;          u = (w >> 8) * 2^-24
//   float64   element e uses words 2 (e % 2) and 2 (e % 2) + 1 of block e / 2, the
//             first one low:                                     u = (w >> 11) * 2^-53
//   dropout   element e uses half e % 8 (16 bits, low half first) of block e / 8
//
//   integer   span <= 2^32: element e uses word e % 4 of block e / 4, else words
//             2 (e % 2) and 2 (e % 2) + 1 of block e / 2: below
//
//   uniform            low + u (high - low), below high
//   normal             elements e and e + 1 (e even) are r cos(2 pi u'), r sin(2 pi u')
//                      with r = sqrt(-2 log(u + ulp)), u of element e and u' of e + 1
//                      (ulp: 2^-24 or 2^-53)
//   truncated normal   sqrt(2) erfinv(erf(sqrt(2)) v) with v = 2 u + ulp - 1
//   integer            the upper half of word * span (Lemire 2019); attempt k after as
//                      many rejected draws takes its words k 2^48 blocks further
//
// Element e of the distributions drawn by rejection (shared/sampling.h) has blocks
// e + k 2^48 of its own.
//
// Files that draw are compiled without fused multiply-add, so that rounding, and with
// it each rejection, is the same on every instruction set.
#pragma once

#include "shared/math.h"

FASTNN_BEGIN_NAMESPACE

// U: uint32_t or a vector of them; one block per lane.
template <class U>
struct PhiloxBlock {
  U w[4];
};

template <class U>
FASTNN_HD PhiloxBlock<U> philox(U block_lo, U block_hi, uint64_t step, uint64_t seed) {
  U c0 = block_lo, c1 = block_hi;
  U c2 = splat<U>(static_cast<uint32_t>(step));
  U c3 = splat<U>(static_cast<uint32_t>(step >> 32));
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    U hi0, lo0, hi1, lo1;
    Traits<U>::multiply_wide(c0, 0xD2511F53u, hi0, lo0);
    Traits<U>::multiply_wide(c2, 0xCD9E8D57u, hi1, lo1);
    c0 = hi1 ^ c1 ^ splat<U>(k0);
    c1 = lo1;
    c2 = hi0 ^ c3 ^ splat<U>(k1);
    c3 = lo0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// The upper 24 bits of a word as a float32 integer in [0, 2^24): exact.
template <class V>
FASTNN_HD V upper_24_bits(UIntOf<V> word) {
  return convert<V>(bits_as<IntOf<V>>(word >> 8));
}

// The bits of an unsigned integer as a number in [0, 1), a multiple of 2^-24 or 2^-53.
template <class V>
FASTNN_HD V unit_of(UIntOf<V> bits) {
  if constexpr (kIsFloat32<V>) {
    return upper_24_bits<V>(bits) * constant<V>(0x1p-24);
  } else {
    return convert<V>(bits >> 11) * constant<V>(0x1p-53);
  }
}
template <class V>
FASTNN_HD V unit_step() {
  return constant<V>(kIsFloat32<V> ? 0x1p-24 : 0x1p-53);
}

template <class V>
struct NormalPair {
  V first, second;
};
// Sine and cosine of u turns. The reduction, in units of a quarter turn, is exact; on
// the rest minimax polynomials for float32, Taylor's for float64.
template <class V>
FASTNN_HD NormalPair<V> sincos_of_turns(V u) {
  using I = IntOf<V>;
  const V one = constant<V>(1), turns = u * constant<V>(4);
  const V q = rint(turns);
  const I quadrant = convert<I>(q);
  const V x = (turns - q) * constant<V>(1.57079632679489662), t = x * x;
  V s, c;
  if constexpr (kIsFloat32<V>) {
    s = polynomial(t, -0.166666552, 0.00833218731, -0.000195179076);
    c = polynomial(t, 0.0416666456, -0.00138873095, 2.44323364e-05);
  } else {
    s = polynomial(t, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800,
                   1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000);
    c = polynomial(t, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
                   1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000,
                   -1.0 / 6402373705728000);
  }
  s = fma(x * t, s, x);
  c = fma(t * t, c, fma(constant<V>(-0.5), t, one));
  const auto odd = (quadrant & 1) != 0;
  const V cosine = select(odd, s, c), sine = select(odd, c, s);
  return {select((quadrant & 2) != 0, -sine, sine),
          select(((quadrant + 1) & 2) != 0, -cosine, cosine)};
}

// Two independent standard normal numbers of two in [0, 1) (Box and Muller 1958).
template <class V>
FASTNN_HD NormalPair<V> normal_pair(V u, V angle) {
  const V r = sqrt(constant<V>(-2) * log(u + unit_step<V>()));
  const NormalPair<V> of_angle = sincos_of_turns(angle);
  return {r * of_angle.second, r * of_angle.first};
}

inline constexpr double kErfSqrt2 = 0.954499736103641585599;

// The inverse error function for |x| <= erf(sqrt(2)). float32: 4 ULP; float64 by two
// Newton steps on libm's erf.
template <class V>
FASTNN_HD V erfinv_central(V x) {
  const V w = -log(constant<V>(1) - x * x);
  const V p = polynomial(w, 0.886226952, 0.232012182, 0.0115627581, -0.00238102255,
                         -5.12361185e-05, -2.29827274e-05, 3.70235757e-05,
                         -1.03086531e-05, 1.04023752e-06);
  V y = x * p;
  if constexpr (kIsFloat64<V>) {
    for (int i = 0; i < 2; ++i) {
      y = y - (erf(y) - x) * exp(y * y) * constant<V>(0.886226925452758014);
    }
  }
  return y;
}

// A standard normal number within [-2, 2] of v, uniform in (-1, 1).
template <class V>
FASTNN_HD V truncated_normal_of(V v) {
  const V z =
      constant<V>(1.41421356237309505) * erfinv_central(v * constant<V>(kErfSqrt2));
  return clamp(z, -2, 2);
}

// Dropout: a 16-bit draw keeps its element when it is >= threshold.
struct DropoutRate {
  uint32_t threshold;
  double scale;  // 1 / the exact probability of keeping
};
FASTNN_HD DropoutRate dropout_rate(double rate) {
  const uint32_t threshold = static_cast<uint32_t>(::rint(rate * 65536.0));
  const double keep = (65536.0 - threshold) / 65536.0;
  return {threshold, keep > 0 ? 1.0 / keep : 0.0};
}

FASTNN_END_NAMESPACE
