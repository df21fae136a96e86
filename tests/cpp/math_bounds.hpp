// SPDX-License-Identifier: Apache-2.0
// The promises of csrc/shared/math/: one row per unary float32 function, with its bound
// in ULP and its exact values in double. Used by test_math.cpp (a sample) and by
// exhaustive_math.cpp (everything).
//
// The reference is libm. With glibc on x86-64 the vectors of the same library
// (libmvec, within 4 ULP of double) compute it: all floats take seconds, not minutes.
#pragma once

#include <cmath>
#include <limits>

#include "kernel_test.hpp"

#if defined(__x86_64__) && defined(__GLIBC__) && defined(FASTNN_LIBMVEC)
#define FASTNN_VECTOR_REFERENCE 1
#else
#define FASTNN_VECTOR_REFERENCE 0
#endif

namespace kernel_test {

inline float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline uint32_t to_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Error in units of the last place of the float nearest to the exact value. The sign of
// zero counts, and one step across the largest finite float is one ULP.
template <class Exact>
double ulp_error(float got, Exact exact) {
  const float nearest = static_cast<float>(exact);
  if (to_bits(got) == to_bits(nearest)) {
    if (std::isinf(nearest) || nearest == 0) return 0;
  } else if (std::isnan(nearest) || std::isnan(got)) {
    return std::isnan(nearest) && std::isnan(got) ? 0 : HUGE_VAL;
  } else if (got == 0 && nearest == 0) {
    return HUGE_VAL;
  } else if (std::isinf(nearest) || std::isinf(got)) {
    return std::nextafterf(got, nearest) == nearest ? 1 : HUGE_VAL;
  }
  if (std::isnan(nearest)) return 0;
  const float magnitude = std::fabs(nearest);
  const uint32_t exponent = to_bits(magnitude) >> 23;
  const uint64_t inverse = uint64_t{1023 + 150 - (exponent ? exponent : 1)} << 52;
  double per_ulp;
  std::memcpy(&per_ulp, &inverse, sizeof per_ulp);
  const Exact error = static_cast<Exact>(got) - exact;
  return static_cast<double>(error < 0 ? -error : error) * per_ulp;
}

struct MathBound {
  const char* name;
  double bound;
  void (*exact)(const float*, double*, size_t);
  long double (*precise)(long double);
  bool monotone = true;  // on the positive and on the negative floats
};

inline void run_unary(const MathBound& f, const float* x, float* y, size_t n) {
  TensorView in, out;
  in.ndim = out.ndim = 1;
  in.shape[0] = out.shape[0] = static_cast<int64_t>(n);
  in.stride[0] = out.stride[0] = 1;
  in.data = const_cast<float*>(x);
  out.data = y;
  run(f.name, {in}, {out}, {attr(0)});
}

namespace exact {

template <double (*scalar)(double)>
void each(const float* x, double* y, size_t n) {
  for (size_t i = 0; i < n; ++i)
    y[i] = scalar(x[i]);
}

#if FASTNN_VECTOR_REFERENCE
typedef double Doubles __attribute__((vector_size(32)));
typedef float Floats __attribute__((vector_size(16)));
template <Doubles (*vector)(Doubles)>
void each_vector(const float* x, double* y, size_t n) {
  for (size_t i = 0; i < n; i += 4) {
    Floats v = {};
    const size_t m = n - i < 4 ? n - i : 4;
    std::memcpy(&v, x + i, m == 4 ? 16 : m * sizeof(float));
    const Doubles result = vector(__builtin_convertvector(v, Doubles));
    std::memcpy(y + i, &result, m == 4 ? 32 : m * sizeof(double));
  }
}
#define FASTNN_REFERENCE(fn)                            \
  extern "C" Doubles _ZGVdN4v_##fn(Doubles x);          \
  inline void fn(const float* x, double* y, size_t n) { \
    each_vector<_ZGVdN4v_##fn>(x, y, n);                \
  }
#else
#define FASTNN_REFERENCE(fn) \
  inline void fn(const float* x, double* y, size_t n) { each<::fn>(x, y, n); }
#endif
FASTNN_REFERENCE(exp)
FASTNN_REFERENCE(exp2)
FASTNN_REFERENCE(expm1)
FASTNN_REFERENCE(log)
FASTNN_REFERENCE(log2)
FASTNN_REFERENCE(log10)
FASTNN_REFERENCE(log1p)
FASTNN_REFERENCE(tanh)
FASTNN_REFERENCE(erf)
FASTNN_REFERENCE(erfc)
FASTNN_REFERENCE(sin)
FASTNN_REFERENCE(cos)
FASTNN_REFERENCE(tan)
FASTNN_REFERENCE(asin)
FASTNN_REFERENCE(acos)
FASTNN_REFERENCE(atan)
FASTNN_REFERENCE(sinh)
FASTNN_REFERENCE(cosh)
FASTNN_REFERENCE(asinh)
FASTNN_REFERENCE(acosh)
FASTNN_REFERENCE(atanh)
FASTNN_REFERENCE(cbrt)
#undef FASTNN_REFERENCE

// 1 / (1 + e^-x), log(1 + e^x).
inline void sigmoid(const float* x, double* y, size_t n) {
  exp(x, y, n);
  for (size_t i = 0; i < n; ++i)
    y[i] = y[i] > 1e30 ? 1 : y[i] / (1 + y[i]);
}
template <class T>
T softplus_of(T x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}
inline double softplus1(double x) { return softplus_of(x); }
inline long double sigmoidl(long double x) {
  return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}
// Newton's method on erfc and erf, from a start by bisection in the exponent.
template <class T>
T erfinv_of(T x) {
  const T a = std::fabs(x);
  if (!(a < 1)) return a == 1 ? x * std::numeric_limits<T>::infinity() : T(NAN);
  const T half_root_pi = T(0.886226925452758013649083741670572591L);
  if (a < T(1e-4))
    return x * half_root_pi * (1 + half_root_pi * half_root_pi * x * x / 3);
  const T w = -std::log((1 - a) * (1 + a));
  T y = w < 5 ? a * (T(1.5) + T(0.2466) * (w - T(2.5))) : std::sqrt(w) - T(0.2);
  for (int i = 0; i < 8; ++i) {
    const T miss = a < T(0.5) ? std::erf(y) - a : (1 - a) - std::erfc(y);
    const T step = miss * half_root_pi * std::exp(y * y);
    y -= step / (1 + y * step);
    if (std::fabs(step) < T(1e-8) * y) break;
  }
  return std::copysign(y, x);
}
inline double erfinv1(double x) { return erfinv_of(x); }
inline double rsqrt1(double x) { return 1 / std::sqrt(x); }
inline long double rsqrtl(long double x) { return 1 / sqrtl(x); }
inline double silu1(double x) {
  return x == -HUGE_VAL ? NAN
         : x < 0        ? x * (std::exp(x) / (1 + std::exp(x)))
                        : x / (1 + std::exp(-x));
}
inline long double silul(long double x) {
  return x == -HUGE_VALL ? static_cast<long double>(NAN) : x * sigmoidl(x);
}

}  // namespace exact

inline const MathBound kMathBounds[] = {
    {"exp", 2, exact::exp, expl},
    {"exp2", 2, exact::exp2, exp2l},
    {"expm1", 2, exact::expm1, expm1l},
    {"log", 2, exact::log, logl},
    {"log2", 2, exact::log2, log2l},
    {"log10", 2, exact::log10, log10l},
    {"log1p", 2, exact::log1p, log1pl},
    {"sigmoid", 3, exact::sigmoid, exact::sigmoidl},
    {"softplus", 2, exact::each<exact::softplus1>, exact::softplus_of<long double>},
    {"silu", 4, exact::each<exact::silu1>, exact::silul, false},
    {"tanh", 3, exact::tanh, tanhl},
    {"sinh", 3, exact::sinh, sinhl},
    {"cosh", 3, exact::cosh, coshl},
    {"arcsinh", 4, exact::asinh, asinhl},
    {"arccosh", 4, exact::acosh, acoshl},
    {"arctanh", 4, exact::atanh, atanhl},
    {"sin", 1, exact::sin, sinl, false},
    {"cos", 1, exact::cos, cosl, false},
    {"tan", 1, exact::tan, tanl, false},
    {"arcsin", 3, exact::asin, asinl},
    {"arccos", 3, exact::acos, acosl},
    {"arctan", 3, exact::atan, atanl},
    {"erf", 2, exact::erf, erfl},
    {"erfc", 5, exact::erfc, erfcl},
    {"erfinv", 1, exact::each<exact::erfinv1>, exact::erfinv_of<long double>},
    {"cbrt", 1, exact::cbrt, cbrtl},
    {"sqrt", 0.5001, exact::each<std::sqrt>, sqrtl},
    {"rsqrt", 2, exact::each<exact::rsqrt1>, exact::rsqrtl},
};

}  // namespace kernel_test
