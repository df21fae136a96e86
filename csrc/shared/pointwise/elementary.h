// SPDX-License-Identifier: Apache-2.0
// The elementary functions of shared/math.h, and rounding.
#pragma once

#include "shared/pointwise/functor.h"

FASTNN_BEGIN_NAMESPACE

FASTNN_UNARY(Exp, exp(x))
FASTNN_UNARY(Expm1, expm1(x))
FASTNN_UNARY(Log, log(x))
FASTNN_UNARY(Log1p, log1p(x))
FASTNN_UNARY(Sqrt, sqrt(x))
FASTNN_UNARY(Rsqrt, constant<V>(1) / sqrt(x))
FASTNN_UNARY(Reciprocal, constant<V>(1) / x)
FASTNN_UNARY(Sin, sin(x))
FASTNN_UNARY(Cos, cos(x))
FASTNN_UNARY(Erf, erf(x))
FASTNN_UNARY(Floor, floor(x))
FASTNN_UNARY(Ceil, ceil(x))
FASTNN_UNARY(Round, rint(x))
FASTNN_UNARY(Trunc, copysign(floor(absolute(x)), x))
FASTNN_UNARY(Exp2, exp2(x))
FASTNN_UNARY(Log2, log2(x))
FASTNN_UNARY(Log10, log10(x))
FASTNN_UNARY(Tan, tan(x))
FASTNN_UNARY(Asin, asin(x))
FASTNN_UNARY(Acos, acos(x))
FASTNN_UNARY(Atan, atan(x))
FASTNN_UNARY(Sinh, sinh(x))
FASTNN_UNARY(Cosh, cosh(x))
FASTNN_UNARY(Asinh, asinh(x))
FASTNN_UNARY(Acosh, acosh(x))
FASTNN_UNARY(Atanh, atanh(x))
FASTNN_UNARY(Cbrt, cbrt(x))
FASTNN_UNARY(Erfc, erfc(x))
FASTNN_UNARY(Erfinv, erfinv(x))
FASTNN_BINARY(Atan2, atan2(a, b))
FASTNN_BINARY(Hypot, hypot(a, b))
FASTNN_BINARY(LogAddExp, logaddexp(a, b))
FASTNN_BINARY(Power, pow(a, b))

FASTNN_END_NAMESPACE

// clang-format off
#define FASTNN_ELEMENTARY(X)                                                   \
  X(exp, Exp, 1, kValue, Floats, "")                                           \
  X(expm1, Expm1, 1, kValue, Floats, "")                                       \
  X(log, Log, 1, kValue, Floats, "")                                           \
  X(log1p, Log1p, 1, kValue, Floats, "")                                       \
  X(sqrt, Sqrt, 1, kValue, Floats, "")                                         \
  X(rsqrt, Rsqrt, 1, kValue, Floats, "")                                       \
  X(reciprocal, Reciprocal, 1, kValue, Floats, "")                             \
  X(sin, Sin, 1, kValue, Floats, "")                                           \
  X(cos, Cos, 1, kValue, Floats, "")                                           \
  X(erf, Erf, 1, kValue, Floats, "")                                           \
  X(floor, Floor, 1, kValue, Floats, "")                                       \
  X(ceil, Ceil, 1, kValue, Floats, "")                                         \
  X(round, Round, 1, kValue, Floats, "")                                       \
  X(exp2, Exp2, 1, kValue, Floats, "")                                         \
  X(log2, Log2, 1, kValue, Floats, "")                                         \
  X(log10, Log10, 1, kValue, Floats, "")                                       \
  X(tan, Tan, 1, kValue, Floats, "")                                           \
  X(arcsin, Asin, 1, kValue, Floats, "")                                       \
  X(arccos, Acos, 1, kValue, Floats, "")                                       \
  X(arctan, Atan, 1, kValue, Floats, "")                                       \
  X(sinh, Sinh, 1, kValue, Floats, "")                                         \
  X(cosh, Cosh, 1, kValue, Floats, "")                                         \
  X(arcsinh, Asinh, 1, kValue, Floats, "")                                     \
  X(arccosh, Acosh, 1, kValue, Floats, "")                                     \
  X(arctanh, Atanh, 1, kValue, Floats, "")                                     \
  X(cbrt, Cbrt, 1, kValue, Floats, "")                                         \
  X(erfc, Erfc, 1, kValue, Floats, "")                                         \
  X(erfinv, Erfinv, 1, kValue, Floats, "")                                     \
  X(trunc, Trunc, 1, kValue, Floats, "")                                       \
  X(arctan2, Atan2, 2, kValue, Floats, "")                                     \
  X(hypot, Hypot, 2, kValue, Floats, "")                                       \
  X(logaddexp, LogAddExp, 2, kValue, Floats, "")                               \
  X(power, Power, 2, kValue, Floats, "")
// clang-format on
