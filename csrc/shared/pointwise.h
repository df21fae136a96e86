// SPDX-License-Identifier: Apache-2.0
// Every pointwise op, written once: a functor on the value type V (a SIMD vector on the
// CPU, a scalar in CUDA), each gradient beside its forward, and at the end the list
// from which the backends emit their kernel tables.
//
// To add an op: a functor and one row of FASTNN_POINTWISE here, and its record in
// fastnn/opset/pointwise.py.
//
// The fields of a functor are its attributes in table order, each 8 bytes (double, or
// int64_t for flags): the layout of AttrValue[], so a backend copies them in.
#pragma once

#include "shared/math.h"

FASTNN_BEGIN_NAMESPACE

#define FASTNN_UNARY(Name, expression)     \
  struct Name {                            \
    template <class V>                     \
    FASTNN_HD auto operator()(V x) const { \
      return expression;                   \
    }                                      \
  };
#define FASTNN_BINARY(Name, expression)         \
  struct Name {                                 \
    template <class V>                          \
    FASTNN_HD auto operator()(V a, V b) const { \
      return expression;                        \
    }                                           \
  };

// Integers overflow by wrapping, as in NumPy: compute on the unsigned type.
template <class V>
FASTNN_HD auto wrapping(V x) {
  if constexpr (kIsFloat<V>) {
    return x;
  } else {
    return bits_as<UIntOf<V>>(x);
  }
}

// ---- arithmetic
FASTNN_UNARY(Negative, bits_as<V>(-wrapping(x)))
FASTNN_UNARY(Abs, absolute(x))
FASTNN_UNARY(Square, bits_as<V>(wrapping(x) * wrapping(x)))
FASTNN_BINARY(Add, bits_as<V>(wrapping(a) + wrapping(b)))
FASTNN_BINARY(Subtract, bits_as<V>(wrapping(a) - wrapping(b)))
FASTNN_BINARY(Multiply, bits_as<V>(wrapping(a) * wrapping(b)))
FASTNN_BINARY(Divide, (a / b))
FASTNN_BINARY(Power, pow(a, b))
FASTNN_BINARY(Maximum, maximum(a, b))
FASTNN_BINARY(Minimum, minimum(a, b))

struct Sign {
  template <class V>
  FASTNN_HD V operator()(V x) const {  // zeros and NaN stay as they are
    const V zero = constant<V>(0);
    return select(x > zero, constant<V>(1), select(x < zero, constant<V>(-1), x));
  }
};

// Quotient rounded down and the remainder with the divisor's sign; integer division by
// zero gives 0 (NumPy's results).
struct FloorDivide {
  template <class T>
  static FASTNN_HD T lane(T a, T b) {
    if constexpr (kIsFloat<T>) {
      if (b == 0) return a / b;
      const T mod = LibmFmod{}(a, b);
      const T quotient = (a - mod) / b - T(mod != 0 && (b < 0) != (mod < 0));
      if (quotient == 0) return copysign(T(0), a / b);
      const T down = floor(quotient);
      return down + T(quotient - down > T(0.5));
    } else {
      if (b == 0) return 0;
      if (b == -1) return bits_as<T>(-bits_as<UIntOf<T>>(a));  // minimum / -1 traps
      return a / b - T(a % b != 0 && (a < 0) != (b < 0));
    }
  }
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    return map_lanes([](auto x, auto y) { return lane(x, y); }, a, b);
  }
};
struct Mod {
  template <class T>
  static FASTNN_HD T lane(T a, T b) {
    if constexpr (kIsFloat<T>) {
      const T mod = LibmFmod{}(a, b);
      if (mod == 0) return copysign(T(0), b);
      return (b < 0) != (mod < 0) ? mod + b : mod;
    } else {
      if (b == 0 || b == -1) return 0;
      const T mod = a % b;
      return mod != 0 && (b < 0) != (mod < 0) ? mod + b : mod;
    }
  }
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    return map_lanes([](auto x, auto y) { return lane(x, y); }, a, b);
  }
};

// ---- elementary functions
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

// ---- activations; `a` is the incoming gradient dy, `b` the saved y or x
FASTNN_UNARY(Relu, select(x <= constant<V>(0), constant<V>(0), x))  // keeps NaN
FASTNN_BINARY(ReluGrad, select(b > constant<V>(0), a, constant<V>(0)))

FASTNN_UNARY(Sigmoid, sigmoid(x))
FASTNN_BINARY(SigmoidGrad, (a * b * (constant<V>(1) - b)))

FASTNN_UNARY(Tanh, tanh(x))
FASTNN_BINARY(TanhGrad, (a * (constant<V>(1) - b * b)))

FASTNN_UNARY(Softplus, softplus(x))
FASTNN_BINARY(SoftplusGrad, (a * sigmoid(b)))

FASTNN_UNARY(Softsign, x / (constant<V>(1) + absolute(x)))
struct SoftsignGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V x) const {
    const V d = constant<V>(1) + absolute(x);
    return dy / (d * d);
  }
};

FASTNN_UNARY(Silu, x* sigmoid(x))
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

// ---- losses that are pointwise
// -t log(p) - (1 - t) log(1 - p) for p = sigmoid(logits), stable for any logits.
struct SigmoidCrossEntropy {
  template <class V>
  FASTNN_HD V operator()(V logits, V target) const {
    const V linear = maximum(logits, constant<V>(0)) - logits * target;
    return linear + log1p(exp(-absolute(logits)));
  }
};
struct SigmoidCrossEntropyGrad {
  template <class V>
  FASTNN_HD V operator()(V dy, V logits, V target) const {
    return dy * (sigmoid(logits) - target);
  }
};

// ---- comparisons give masks (vectors) or bool (scalars)
FASTNN_BINARY(Equal, a == b)
FASTNN_BINARY(NotEqual, a != b)
FASTNN_BINARY(Greater, (a > b))
FASTNN_BINARY(GreaterEqual, a >= b)
FASTNN_BINARY(Less, (a < b))
FASTNN_BINARY(LessEqual, a <= b)
FASTNN_BINARY(LogicalAnd, (a != 0) & (b != 0))
FASTNN_BINARY(LogicalOr, (a != 0) | (b != 0))
FASTNN_BINARY(LogicalXor, (a != 0) ^ (b != 0))
FASTNN_UNARY(LogicalNot, x == 0)
FASTNN_UNARY(IsNan, x != x)
FASTNN_UNARY(IsInf, absolute(x) == infinity<V>())
FASTNN_UNARY(IsFinite, (absolute(x) < infinity<V>()))
struct Where {
  template <class M, class V>
  FASTNN_HD V operator()(M condition, V a, V b) const {
    return select(condition, a, b);
  }
};

#undef FASTNN_UNARY
#undef FASTNN_BINARY

// What a row of the list takes and gives.
enum class Form {
  kValue,   // T... -> T
  kTest,    // T... -> bool
  kSelect,  // bool, T, T -> T
};

FASTNN_END_NAMESPACE

// clang-format off
// X(kernel name, functor, number of inputs, form, element types T, attribute names)
// Element types (defined by each backend): Floats float32/64; Numbers also int32/64;
// Selectable also bool; Comparable also uint8; Bools only bool. bool is a byte 0 or 1.
#define FASTNN_POINTWISE(X)                                                        \
  X(negative, Negative, 1, kValue, Numbers, "")                                    \
  X(abs, Abs, 1, kValue, Numbers, "")                                              \
  X(sign, Sign, 1, kValue, Numbers, "")                                            \
  X(square, Square, 1, kValue, Numbers, "")                                        \
  X(add, Add, 2, kValue, Numbers, "")                                              \
  X(subtract, Subtract, 2, kValue, Numbers, "")                                    \
  X(multiply, Multiply, 2, kValue, Numbers, "")                                    \
  X(divide, Divide, 2, kValue, Floats, "")                                         \
  X(power, Power, 2, kValue, Floats, "")                                           \
  X(maximum, Maximum, 2, kValue, Numbers, "")                                      \
  X(minimum, Minimum, 2, kValue, Numbers, "")                                      \
  X(floor_divide, FloorDivide, 2, kValue, Numbers, "")                             \
  X(mod, Mod, 2, kValue, Numbers, "")                                              \
  X(exp, Exp, 1, kValue, Floats, "")                                               \
  X(expm1, Expm1, 1, kValue, Floats, "")                                           \
  X(log, Log, 1, kValue, Floats, "")                                               \
  X(log1p, Log1p, 1, kValue, Floats, "")                                           \
  X(sqrt, Sqrt, 1, kValue, Floats, "")                                             \
  X(rsqrt, Rsqrt, 1, kValue, Floats, "")                                           \
  X(reciprocal, Reciprocal, 1, kValue, Floats, "")                                 \
  X(sin, Sin, 1, kValue, Floats, "")                                               \
  X(cos, Cos, 1, kValue, Floats, "")                                               \
  X(erf, Erf, 1, kValue, Floats, "")                                               \
  X(floor, Floor, 1, kValue, Floats, "")                                           \
  X(ceil, Ceil, 1, kValue, Floats, "")                                             \
  X(round, Round, 1, kValue, Floats, "")                                           \
  X(relu, Relu, 1, kValue, Floats, "")                                             \
  X(relu_grad, ReluGrad, 2, kValue, Floats, "")                                    \
  X(sigmoid, Sigmoid, 1, kValue, Floats, "")                                       \
  X(sigmoid_grad, SigmoidGrad, 2, kValue, Floats, "")                              \
  X(tanh, Tanh, 1, kValue, Floats, "")                                             \
  X(tanh_grad, TanhGrad, 2, kValue, Floats, "")                                    \
  X(softplus, Softplus, 1, kValue, Floats, "")                                     \
  X(softplus_grad, SoftplusGrad, 2, kValue, Floats, "")                            \
  X(softsign, Softsign, 1, kValue, Floats, "")                                     \
  X(softsign_grad, SoftsignGrad, 2, kValue, Floats, "")                            \
  X(silu, Silu, 1, kValue, Floats, "")                                             \
  X(silu_grad, SiluGrad, 2, kValue, Floats, "")                                    \
  X(selu, Selu, 1, kValue, Floats, "")                                             \
  X(selu_grad, SeluGrad, 2, kValue, Floats, "")                                    \
  X(elu, Elu, 1, kValue, Floats, "alpha")                                          \
  X(elu_grad, EluGrad, 2, kValue, Floats, "alpha")                                 \
  X(leaky_relu, LeakyRelu, 1, kValue, Floats, "negative_slope")                    \
  X(leaky_relu_grad, LeakyReluGrad, 2, kValue, Floats, "negative_slope")           \
  X(gelu, Gelu, 1, kValue, Floats, "approximate")                                  \
  X(gelu_grad, GeluGrad, 2, kValue, Floats, "approximate")                         \
  X(sigmoid_cross_entropy, SigmoidCrossEntropy, 2, kValue, Floats, "")             \
  X(sigmoid_cross_entropy_grad, SigmoidCrossEntropyGrad, 3, kValue, Floats, "")    \
  X(equal, Equal, 2, kTest, Comparable, "")                                        \
  X(not_equal, NotEqual, 2, kTest, Comparable, "")                                 \
  X(greater, Greater, 2, kTest, Comparable, "")                                    \
  X(greater_equal, GreaterEqual, 2, kTest, Comparable, "")                         \
  X(less, Less, 2, kTest, Comparable, "")                                          \
  X(less_equal, LessEqual, 2, kTest, Comparable, "")                               \
  X(logical_and, LogicalAnd, 2, kTest, Bools, "")                                  \
  X(logical_or, LogicalOr, 2, kTest, Bools, "")                                    \
  X(logical_xor, LogicalXor, 2, kTest, Bools, "")                                  \
  X(logical_not, LogicalNot, 1, kTest, Bools, "")                                  \
  X(isnan, IsNan, 1, kTest, Floats, "")                                            \
  X(isinf, IsInf, 1, kTest, Floats, "")                                            \
  X(isfinite, IsFinite, 1, kTest, Floats, "")                                      \
  X(where, Where, 3, kSelect, Selectable, "")
// clang-format on
