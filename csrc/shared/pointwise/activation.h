// SPDX-License-Identifier: Apache-2.0
// Activations with their gradients, and pointwise losses. In a gradient `a` or dy is
// the incoming gradient, the other operand the saved y or x.
#pragma once

#include "shared/pointwise/functor.h"

FASTNN_BEGIN_NAMESPACE

FASTNN_UNARY(Relu, select(x <= constant<V>(0), constant<V>(0), x))  // keeps NaN
FASTNN_BINARY(ReluGrad, select(b > constant<V>(0), a, constant<V>(0)))

FASTNN_UNARY(Sigmoid, sigmoid(x))
FASTNN_BINARY(SigmoidGrad, (a * b * (constant<V>(1) - b)))

FASTNN_UNARY(Tanh, tanh(x))
FASTNN_BINARY(TanhGrad, (a * (constant<V>(1) - b * b)))

FASTNN_UNARY(Softplus, softplus(x))
FASTNN_BINARY(SoftplusGrad, (-a * expm1(-b)))  // from y

FASTNN_UNARY(Softsign, x / (constant<V>(1) + absolute(x)))
struct SoftsignGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V d = constant<V>(1) + absolute(x);
    return dy / (d * d);
  }
};

FASTNN_UNARY(Silu, silu(x))
struct SiluGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V one = constant<V>(1), s = sigmoid(x);
    return dy * s * (one + x * (one - s));
  }
};

inline constexpr double kSeluScale = 1.05070098735548049342;
inline constexpr double kSeluAlphaScale = 1.67326324235437728481 * kSeluScale;
struct Selu {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    return select(x > constant<V>(0), constant<V>(kSeluScale) * x,
                  constant<V>(kSeluAlphaScale) * expm1(x));
  }
};
struct SeluGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V y) const {
    return dy * select(y > constant<V>(0), constant<V>(kSeluScale),
                       y + constant<V>(kSeluAlphaScale));
  }
};

struct Elu {
  double alpha;
  template <class V>
  FASTNN_HD V operator()(V x) const {
    return select(x > constant<V>(0), x, constant<V>(alpha) * expm1(x));
  }
};
struct EluGrad {
  double alpha;
  template <class V>
  FASTNN_HD V operator()(V dy, V y) const {
    return select(y > constant<V>(0), dy, dy * (y + constant<V>(alpha)));
  }
};

struct LeakyRelu {
  double negative_slope;
  template <class V>
  FASTNN_HD V operator()(V x) const {
    return select(x > constant<V>(0), x, constant<V>(negative_slope) * x);
  }
};
struct LeakyReluGrad {  // from y: the slope keeps the sign
  double negative_slope;
  template <class V>
  FASTNN_HD V operator()(V dy, V y) const {
    return select(y > constant<V>(0), dy, constant<V>(negative_slope) * dy);
  }
};

// x P(X <= x) for a standard normal X, or its approximation by tanh.
struct Gelu {
  int64_t approximate;
  template <class V>
  FASTNN_HD static V tanh_argument(V x) {
    const V cubic = fma(constant<V>(0.044715) * x * x, x, x);
    return constant<V>(0.797884560802865356) * cubic;  // sqrt(2 / pi)
  }
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const V t = approximate ? tanh(tanh_argument(x))
                            : erf(constant<V>(0.707106781186547524) * x);
    return constant<V>(0.5) * x * (constant<V>(1) + t);
  }
};
struct GeluGrad {
  int64_t approximate;
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V one = constant<V>(1), half = constant<V>(0.5);
    if (approximate) {
      const V t = tanh(Gelu::tanh_argument(x));
      const V slope = constant<V>(0.797884560802865356) *
                      fma(constant<V>(3 * 0.044715) * x, x, one);
      return dy * half * (one + t + x * (one - t * t) * slope);
    }
    const V cdf = half * (one + erf(constant<V>(0.707106781186547524) * x));
    const V pdf = constant<V>(0.398942280401432678) * exp(-half * x * x);
    return dy * fma(x, pdf, cdf);
  }
};

FASTNN_UNARY(Relu6, clamp(x, 0, 6))
struct Relu6Grad {
  template <class V>
  FASTNN_HD V operator()(V dy, V y) const {
    const V zero = constant<V>(0);
    return select((y > zero) & (y < constant<V>(6)), dy, zero);
  }
};
// relu6(x + 3) / 6.
FASTNN_UNARY(HardSigmoid, clamp(x + constant<V>(3), 0, 6) * constant<V>(1.0 / 6))
struct HardSigmoidGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const auto inside = absolute(x) < constant<V>(3);
    return select(inside, dy * constant<V>(1.0 / 6), constant<V>(0));
  }
};
FASTNN_UNARY(HardSilu, x* HardSigmoid{}(x))
struct HardSiluGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V three = constant<V>(3);
    const V middle = dy * fma(x, constant<V>(1.0 / 3), constant<V>(0.5));
    const V outside = select(x < three, constant<V>(0), dy);
    return select(absolute(x) < three, middle, outside);
  }
};

// log(sigmoid(x)).
FASTNN_UNARY(LogSigmoid, -softplus(-x))
FASTNN_BINARY(LogSigmoidGrad, (a * sigmoid(-b)))

// x tanh(softplus(x)), where tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2).
struct Mish {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const V e = exp(clamp(x, kIsFloat32<V> ? -105 : -746, 40)), two = constant<V>(2);
    const V n = e * (e + two);
    return x * (n / (n + two));
  }
};
struct MishGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V c = clamp(x, kIsFloat32<V> ? -105 : -746, 20), two = constant<V>(2);
    const V e = exp(c), n = e * (e + two), r = constant<V>(1) / (n + two);
    const V bend = constant<V>(4) * c * e * (e + constant<V>(1)) * r;
    return dy * (r * (n + bend));
  }
};

struct Celu {
  double alpha;
  template <class V>
  FASTNN_HD V operator()(V x) const {
    const V a = constant<V>(alpha);
    return select(x > constant<V>(0), x, a * expm1(x / a));
  }
};
struct CeluGrad {
  double alpha;
  template <class V>
  FASTNN_HD V operator()(V dy, V y) const {
    const V slope = y / constant<V>(alpha) + constant<V>(1);
    return select(y > constant<V>(0), dy, dy * slope);
  }
};

// ---- losses that are pointwise
// -t log(p) - (1 - t) log(1 - p) for p = sigmoid(logits), stable for any logits.
struct SigmoidCrossEntropy {
  template <class V>
  FASTNN_HD V operator()(V logits, V target) const {
    const V linear = maximum(logits, constant<V>(0)) - logits * target;
    return linear + log1p_exp_minus_absolute(logits);
  }
};
struct SigmoidCrossEntropyGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V logits, V target) const {
    return dy * (sigmoid(logits) - target);
  }
};

// Those that compute a function anew.
template <>
inline constexpr bool kIsDeep<SoftplusGrad, 2> = true;
template <>
inline constexpr bool kIsDeep<LogSigmoidGrad, 2> = true;
template <>
inline constexpr bool kIsDeep<SiluGrad, 2> = true;
template <>
inline constexpr bool kIsDeep<GeluGrad, 2> = true;
template <>
inline constexpr bool kIsDeep<SigmoidCrossEntropy, 2> = true;
template <>
inline constexpr bool kIsDeep<SigmoidCrossEntropyGrad, 3> = true;

FASTNN_END_NAMESPACE

// clang-format off
#define FASTNN_ACTIVATION(X)                                                   \
  X(relu, Relu, 1, kValue, Floats, "")                                         \
  X(relu_grad, ReluGrad, 2, kValue, Floats, "")                                \
  X(sigmoid, Sigmoid, 1, kValue, Floats, "")                                   \
  X(sigmoid_grad, SigmoidGrad, 2, kValue, Floats, "")                          \
  X(tanh, Tanh, 1, kValue, Floats, "")                                         \
  X(tanh_grad, TanhGrad, 2, kValue, Floats, "")                                \
  X(softplus, Softplus, 1, kValue, Floats, "")                                 \
  X(softplus_grad, SoftplusGrad, 2, kValue, Floats, "")                        \
  X(softsign, Softsign, 1, kValue, Floats, "")                                 \
  X(softsign_grad, SoftsignGrad, 2, kValue, Floats, "")                        \
  X(silu, Silu, 1, kValue, Floats, "")                                         \
  X(silu_grad, SiluGrad, 2, kValue, Floats, "")                                \
  X(selu, Selu, 1, kValue, Floats, "")                                         \
  X(selu_grad, SeluGrad, 2, kValue, Floats, "")                                \
  X(elu, Elu, 1, kValue, Floats, "alpha")                                      \
  X(elu_grad, EluGrad, 2, kValue, Floats, "alpha")                             \
  X(leaky_relu, LeakyRelu, 1, kValue, Floats, "negative_slope")                \
  X(leaky_relu_grad, LeakyReluGrad, 2, kValue, Floats, "negative_slope")       \
  X(gelu, Gelu, 1, kValue, Floats, "approximate")                              \
  X(gelu_grad, GeluGrad, 2, kValue, Floats, "approximate")                     \
  X(relu6, Relu6, 1, kValue, Floats, "")                                      \
  X(relu6_grad, Relu6Grad, 2, kValue, Floats, "")                             \
  X(hard_sigmoid, HardSigmoid, 1, kValue, Floats, "")                         \
  X(hard_sigmoid_grad, HardSigmoidGrad, 2, kValue, Floats, "")                \
  X(hard_silu, HardSilu, 1, kValue, Floats, "")                               \
  X(hard_silu_grad, HardSiluGrad, 2, kValue, Floats, "")                      \
  X(log_sigmoid, LogSigmoid, 1, kValue, Floats, "")                           \
  X(log_sigmoid_grad, LogSigmoidGrad, 2, kValue, Floats, "")                  \
  X(mish, Mish, 1, kValue, Floats, "")                                        \
  X(mish_grad, MishGrad, 2, kValue, Floats, "")                               \
  X(celu, Celu, 1, kValue, Floats, "alpha")                                   \
  X(celu_grad, CeluGrad, 2, kValue, Floats, "alpha")                          \
  X(sigmoid_cross_entropy, SigmoidCrossEntropy, 2, kValue, Floats, "")         \
  X(sigmoid_cross_entropy_grad, SigmoidCrossEntropyGrad, 3, kValue, Floats, "")
// clang-format on
