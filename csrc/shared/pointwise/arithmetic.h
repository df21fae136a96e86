// SPDX-License-Identifier: Apache-2.0
// Arithmetic, bits, comparisons.
#pragma once

#include "shared/pointwise/functor.h"

FASTNN_BEGIN_NAMESPACE

// Integers overflow by wrapping, as in NumPy: compute on the unsigned type.
template <class V>
FASTNN_HD auto wrapping(V x) {
  if constexpr (kIsFloat<V>) {
    return x;
  } else {
    return bits_as<UIntOf<V>>(x);
  }
}

FASTNN_UNARY(Negative, bits_as<V>(-wrapping(x)))
FASTNN_UNARY(Abs, absolute(x))
FASTNN_UNARY(Square, bits_as<V>(wrapping(x) * wrapping(x)))
FASTNN_BINARY(Add, bits_as<V>(wrapping(a) + wrapping(b)))
FASTNN_BINARY(Subtract, bits_as<V>(wrapping(a) - wrapping(b)))
FASTNN_BINARY(Multiply, bits_as<V>(wrapping(a) * wrapping(b)))
FASTNN_BINARY(Divide, (a / b))
FASTNN_BINARY(Maximum, maximum(a, b))
FASTNN_BINARY(Minimum, minimum(a, b))

struct Sign {
  template <class V>
  FASTNN_HD V operator()(V x) const {  // zeros and NaN stay as they are
    const V zero = constant<V>(0);
    if constexpr (ElemOf<V>(-1) > ElemOf<V>(0)) {
      return select(x > zero, splat<V>(1), zero);
    }
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
      if constexpr (T(-1) < T(0)) {
        if (b == -1) return bits_as<T>(-bits_as<UIntOf<T>>(a));  // minimum / -1 traps
        return a / b - T(a % b != 0 && (a < 0) != (b < 0));
      }
      return a / b;
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
      if (b == 0) return 0;
      if constexpr (T(-1) < T(0)) {
        if (b == -1) return 0;
        const T mod = a % b;
        return mod != 0 && (b < 0) != (mod < 0) ? mod + b : mod;
      }
      return a % b;
    }
  }
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    return map_lanes([](auto x, auto y) { return lane(x, y); }, a, b);
  }
};

// ---- more arithmetic
// The larger or smaller operand, or the one that is a number.
FASTNN_BINARY(Fmax, select((a != a) | (a < b), b, a))
FASTNN_BINARY(Fmin, select((a != a) | (a > b), b, a))

// Remainder of the quotient rounded towards zero: the dividend's sign.
struct Fmod {
  template <class T>
  static FASTNN_HD T lane(T a, T b) {
    if constexpr (kIsFloat<T>) {
      return LibmFmod{}(a, b);
    } else {
      if (b == 0) return 0;
      if constexpr (T(-1) < T(0)) {
        if (b == -1) return 0;  // minimum % -1 traps
      }
      return a % b;
    }
  }
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    return map_lanes([](auto x, auto y) { return lane(x, y); }, a, b);
  }
};
// Greatest common divisor, not negative (modulo 2^n).
struct Gcd {
  template <class T>
  static FASTNN_HD T lane(T a, T b) {
    using U = UIntOf<T>;
    U x = bits_as<U>(absolute(a)), y = bits_as<U>(absolute(b));
    while (y) {
      const U rest = x % y;
      x = y;
      y = rest;
    }
    return bits_as<T>(x);
  }
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    return map_lanes([](auto x, auto y) { return lane(x, y); }, a, b);
  }
};
// The next number from a towards b.
struct NextAfter {
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    using I = IntOf<V>;
    const V zero = constant<V>(0);
    const auto up = b > a;  // away from zero: the bits count up with the magnitude
    const auto away = up == (a > zero);
    const I bits = bits_as<I>(a), one = splat<I>(1);
    V y = bits_as<V>(select(away, bits + one, bits - one));
    y = select(a == zero, copysign(bits_as<V>(one), b), y);
    return select((a != a) | (b != b), a + b, select(a == b, b, y));
  }
};

// ---- bits. Shifts by the width or more (and by negative counts) leave nothing, or the
// sign.
FASTNN_BINARY(BitwiseAnd, (a & b))
FASTNN_BINARY(BitwiseOr, a | b)
FASTNN_BINARY(BitwiseXor, a ^ b)
FASTNN_UNARY(BitwiseNot, ~x)
template <class V>
inline constexpr int kBits = 8 * sizeof(ElemOf<V>);
struct LeftShift {
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    using U = UIntOf<V>;
    const U count = bits_as<U>(b), most = splat<U>(kBits<V> - 1);
    const auto over = count > most;
    return select(over, splat<V>(0),
                  bits_as<V>(bits_as<U>(a) << select(over, most, count)));
  }
};
struct RightShift {
  template <class V>
  FASTNN_HD V operator()(V a, V b) const {
    using U = UIntOf<V>;
    const U count = bits_as<U>(b), most = splat<U>(kBits<V> - 1);
    const auto over = count > most;
    const V shifted = a >> bits_as<V>(select(over, most, count));
    if constexpr (ElemOf<V>(-1) > ElemOf<V>(0)) {
      return select(over, splat<V>(0), shifted);
    } else {
      return shifted;
    }
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
FASTNN_UNARY(SignBit, bits_as<IntOf<V>>(x) < splat<IntOf<V>>(0))
struct Where {
  template <class M, class V>
  FASTNN_HD V operator()(M condition, V a, V b) const {
    return select(condition, a, b);
  }
};

FASTNN_END_NAMESPACE

// clang-format off
#define FASTNN_ARITHMETIC(X)                                                   \
  X(negative, Negative, 1, kValue, Numeric, "")                                \
  X(abs, Abs, 1, kValue, Numeric, "")                                          \
  X(sign, Sign, 1, kValue, Numeric, "")                                        \
  X(square, Square, 1, kValue, Numeric, "")                                    \
  X(add, Add, 2, kValue, Numeric, "")                                          \
  X(subtract, Subtract, 2, kValue, Numeric, "")                                \
  X(multiply, Multiply, 2, kValue, Numeric, "")                                \
  X(divide, Divide, 2, kValue, Floats, "")                                     \
  X(maximum, Maximum, 2, kValue, Numeric, "")                                  \
  X(minimum, Minimum, 2, kValue, Numeric, "")                                  \
  X(floor_divide, FloorDivide, 2, kValue, Numeric, "")                         \
  X(mod, Mod, 2, kValue, Numeric, "")                                          \
  X(fmax, Fmax, 2, kValue, Floats, "")                                         \
  X(fmin, Fmin, 2, kValue, Floats, "")                                         \
  X(fmod, Fmod, 2, kValue, Numeric, "")                                        \
  X(nextafter, NextAfter, 2, kValue, Floats, "")                               \
  X(gcd, Gcd, 2, kValue, Integers, "")                                         \
  X(bitwise_and, BitwiseAnd, 2, kValue, Integers, "")                          \
  X(bitwise_or, BitwiseOr, 2, kValue, Integers, "")                            \
  X(bitwise_xor, BitwiseXor, 2, kValue, Integers, "")                          \
  X(bitwise_not, BitwiseNot, 1, kValue, Integers, "")                          \
  X(left_shift, LeftShift, 2, kValue, Integers, "")                            \
  X(right_shift, RightShift, 2, kValue, Integers, "")                          \
  X(equal, Equal, 2, kTest, Comparable, "")                                    \
  X(not_equal, NotEqual, 2, kTest, Comparable, "")                             \
  X(greater, Greater, 2, kTest, Comparable, "")                                \
  X(greater_equal, GreaterEqual, 2, kTest, Comparable, "")                     \
  X(less, Less, 2, kTest, Comparable, "")                                      \
  X(less_equal, LessEqual, 2, kTest, Comparable, "")                           \
  X(logical_and, LogicalAnd, 2, kTest, Bools, "")                              \
  X(logical_or, LogicalOr, 2, kTest, Bools, "")                                \
  X(logical_xor, LogicalXor, 2, kTest, Bools, "")                              \
  X(logical_not, LogicalNot, 1, kTest, Bools, "")                              \
  X(isnan, IsNan, 1, kTest, Floats, "")                                        \
  X(isinf, IsInf, 1, kTest, Floats, "")                                        \
  X(isfinite, IsFinite, 1, kTest, Floats, "")                                  \
  X(where, Where, 3, kSelect, Selectable, "")                                  \
  X(signbit, SignBit, 1, kTest, Floats, "")
// clang-format on
