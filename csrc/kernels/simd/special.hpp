// SPDX-License-Identifier: Apache-2.0
// Instructions for special floats: NaN in comparisons, limits of log.
#pragma once

#include "kernels/simd/vec_type.hpp"

FASTNN_BEGIN_NAMESPACE

// Clamped on one side; NaN passes: the instructions give their second operand if one is
// NaN, which the compiler may not assume of a comparison and a choice (3 instructions).
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
FASTNN_INLINE Vec<float> raise_to(Vec<float> x, Vec<float> low) {
  return (Vec<float>)_mm512_maskz_max_ps(0xffff, (__m512)low, (__m512)x);
}
FASTNN_INLINE Vec<double> raise_to(Vec<double> x, Vec<double> low) {
  return (Vec<double>)_mm512_maskz_max_pd(0xff, (__m512d)low, (__m512d)x);
}
FASTNN_INLINE Vec<float> lower_to(Vec<float> x, Vec<float> high) {
  return (Vec<float>)_mm512_maskz_min_ps(0xffff, (__m512)high, (__m512)x);
}
FASTNN_INLINE Vec<double> lower_to(Vec<double> x, Vec<double> high) {
  return (Vec<double>)_mm512_maskz_min_pd(0xff, (__m512d)high, (__m512d)x);
}
#endif
template <class V>
FASTNN_INLINE V raise_to(V x, V low) {
  return x < low ? low : x;
}
template <class V>
FASTNN_INLINE V lower_to(V x, V high) {
  return x > high ? high : x;
}

// What log gives at 0, infinity, NaN and below 0 put into y.
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
inline constexpr bool kLimitsLogInHardware = true;
// Four bits for each class of x, from the lowest: quiet and signalling NaN keep
// themselves, 0 -infinity, 1 y, -infinity NaN, infinity itself, negative NaN, positive
// y.
inline constexpr int kLogLimits = 0x03530422;
FASTNN_INLINE Vec<float> put_log_limits(Vec<float> y, Vec<float> x) {
  return (Vec<float>)_mm512_fixupimm_ps((__m512)y, (__m512)x,
                                        _mm512_set1_epi32(kLogLimits), 0);
}
FASTNN_INLINE Vec<double> put_log_limits(Vec<double> y, Vec<double> x) {
  return (Vec<double>)_mm512_fixupimm_pd((__m512d)y, (__m512d)x,
                                         _mm512_set1_epi64(kLogLimits), 0);
}
#else
inline constexpr bool kLimitsLogInHardware = false;
template <class V>
V put_log_limits(V, V) = delete;
#endif

FASTNN_END_NAMESPACE
