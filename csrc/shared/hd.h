// SPDX-License-Identifier: Apache-2.0
// What every shared header needs, for the C++ compiler and for NVRTC alike: the
// namespace of the instruction set, the function qualifier, and a value type `V` that
// is either a scalar or (kernels/simd/vec.hpp) a vector of scalars.
//
// Functors are templates on V and use only arithmetic operators, comparisons and the
// free functions at the end of this file. Those forward to `Traits<V>`: a class
// template is looked up at instantiation, so headers may be included in any order
// (argument-dependent lookup does not work for native vector types).
#pragma once

#if defined(__CUDACC_RTC__)
namespace fastnn {
using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
}  // namespace fastnn
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#endif

#if !defined(FASTNN_ISA)
#if defined(__CUDACC__)
#define FASTNN_ISA cuda
#else
#define FASTNN_ISA portable  // scalar code outside the kernel families
#endif
#endif

#define FASTNN_BEGIN_NAMESPACE namespace fastnn::FASTNN_ISA {
#define FASTNN_END_NAMESPACE }

#if defined(__CUDACC__)
#define FASTNN_HD __host__ __device__ __forceinline__
#else
#define FASTNN_HD inline __attribute__((always_inline))
#endif

FASTNN_BEGIN_NAMESPACE

// Shared by the scalar types; `Int` and `UInt` are the integers of the same width.
template <class T, class I, class U>
struct ScalarTraits {
  using Elem = T;
  using Int = I;
  using UInt = U;
  static constexpr int kLanes = 1;
  static FASTNN_HD T splat(T x) { return x; }
  static FASTNN_HD T select(bool m, T a, T b) { return m ? a : b; }
  // The C functions by name: overloads would be inline code of the standard library.
  static FASTNN_HD T sqrt(T x) {
    if constexpr (sizeof(T) == 4) return ::sqrtf(x);
    return static_cast<T>(::sqrt(static_cast<double>(x)));
  }
  static FASTNN_HD T floor(T x) {
    if constexpr (sizeof(T) == 4) return ::floorf(x);
    return static_cast<T>(::floor(static_cast<double>(x)));
  }
  static FASTNN_HD T ceil(T x) {
    if constexpr (sizeof(T) == 4) return ::ceilf(x);
    return static_cast<T>(::ceil(static_cast<double>(x)));
  }
  static FASTNN_HD T rint(T x) {
    if constexpr (sizeof(T) == 4) return ::rintf(x);
    return static_cast<T>(::rint(static_cast<double>(x)));
  }
  template <class R>
  static FASTNN_HD R bits(T x) {
    static_assert(sizeof(R) == sizeof(T));
    R r;
    memcpy(&r, &x, sizeof r);
    return r;
  }
  template <class R>
  static FASTNN_HD R convert(T x) {
    return static_cast<R>(x);
  }
  // The 64-bit product of 32-bit numbers, in halves.
  static FASTNN_HD void multiply_wide(T a, T b, T& hi, T& lo) {
    const uint64_t product = static_cast<uint64_t>(a) * b;
    hi = static_cast<T>(product >> 32);
    lo = static_cast<T>(product);
  }
  template <class F>
  static FASTNN_HD T map(F f, T x) {
    return f(x);
  }
  template <class F>
  static FASTNN_HD T map(F f, T x, T y) {
    return f(x, y);
  }
  template <class F, class... X>
  static FASTNN_HD T map_wide(F f, X... x) {
    return static_cast<T>(f(static_cast<double>(x)...));
  }
  static FASTNN_HD bool any(bool m) { return m; }
#if defined(__FMA__) || defined(__CUDACC__) || defined(__aarch64__)
  static constexpr bool kFused = true;
  static FASTNN_HD T fused(T a, T b, T c) {
    if constexpr (sizeof(T) == 4) return ::fmaf(a, b, c);
    return static_cast<T>(
        ::fma(static_cast<double>(a), static_cast<double>(b), static_cast<double>(c)));
  }
#else
  static constexpr bool kFused = false;
#endif
  static constexpr bool kScalesExponent = false;
  static constexpr bool kLimitsLog = false;
  static constexpr bool kPicksFrom16 = false;
  static FASTNN_HD T at_least(T x, T low) { return x < low ? low : x; }
  static FASTNN_HD T at_most(T x, T high) { return x > high ? high : x; }
};

template <class V>
struct Traits;  // vectors: kernels/simd/vec.hpp
// clang-format off
template <> struct Traits<float> : ScalarTraits<float, int32_t, uint32_t> {};
template <> struct Traits<double> : ScalarTraits<double, int64_t, uint64_t> {};
template <> struct Traits<int32_t> : ScalarTraits<int32_t, int32_t, uint32_t> {};
template <> struct Traits<uint32_t> : ScalarTraits<uint32_t, int32_t, uint32_t> {};
template <> struct Traits<int64_t> : ScalarTraits<int64_t, int64_t, uint64_t> {};
template <> struct Traits<uint64_t> : ScalarTraits<uint64_t, int64_t, uint64_t> {};
template <> struct Traits<uint8_t> : ScalarTraits<uint8_t, int8_t, uint8_t> {};
template <> struct Traits<bool> : ScalarTraits<bool, int8_t, uint8_t> {};
// clang-format on

template <class V>
using ElemOf = typename Traits<V>::Elem;
template <class V>
using IntOf = typename Traits<V>::Int;
template <class V>
using UIntOf = typename Traits<V>::UInt;

template <class A, class B>
inline constexpr bool kSame = false;
template <class A>
inline constexpr bool kSame<A, A> = true;

template <class V>
inline constexpr bool kIsFloat32 = kSame<ElemOf<V>, float>;
template <class V>
inline constexpr bool kIsFloat64 = kSame<ElemOf<V>, double>;
template <class V>
inline constexpr bool kIsFloat = kIsFloat32<V> || kIsFloat64<V>;

template <class V>
FASTNN_HD V splat(ElemOf<V> x) {
  return Traits<V>::splat(x);
}
template <class V>
FASTNN_HD V constant(double x) {
  return Traits<V>::splat(static_cast<ElemOf<V>>(x));
}
// `m ? a : b` lane by lane; m is the result of a comparison of V.
template <class M, class V>
FASTNN_HD V select(M m, V a, V b) {
  return Traits<V>::select(m, a, b);
}
// Contracted to one instruction where the ISA has it (-ffp-contract=fast).
template <class V>
FASTNN_HD V fma(V a, V b, V c) {
  return a * b + c;
}
// NaN in either operand gives NaN, as numpy.maximum and numpy.minimum.
template <class V>
FASTNN_HD V maximum(V a, V b) {
  if constexpr (kIsFloat<V>) return select((a > b) | (a != a), a, b);
  return select(a > b, a, b);
}
template <class V>
FASTNN_HD V minimum(V a, V b) {
  if constexpr (kIsFloat<V>) return select((a < b) | (a != a), a, b);
  return select(a < b, a, b);
}
// Clamped on one side; NaN passes.
template <class V>
FASTNN_HD V at_least(V x, V low) {
  return Traits<V>::at_least(x, low);
}
template <class V>
FASTNN_HD V at_most(V x, V high) {
  return Traits<V>::at_most(x, high);
}
template <class V>
FASTNN_HD V sqrt(V x) {
  return Traits<V>::sqrt(x);
}
template <class V>
FASTNN_HD V floor(V x) {
  return Traits<V>::floor(x);
}
template <class V>
FASTNN_HD V ceil(V x) {
  return Traits<V>::ceil(x);
}
// Element i mod 16 of a table, where one instruction gives it.
template <class V>
inline constexpr bool kPicksFrom16 = Traits<V>::kPicksFrom16;
template <class V>
FASTNN_HD V pick_from(const ElemOf<V> (&table)[16], UIntOf<V> i) {
  return Traits<V>::pick_from(table, i);
}
// Nearest integer, ties to even.
template <class V>
FASTNN_HD V rint(V x) {
  return Traits<V>::rint(x);
}
// The same bits as another type of the same size.
template <class R, class V>
FASTNN_HD R bits_as(V x) {
  return Traits<V>::template bits<R>(x);
}
// Value conversion, lane by lane; floats truncate towards zero.
template <class R, class V>
FASTNN_HD R convert(V x) {
  return Traits<V>::template convert<R>(x);
}
// f applied lane by lane: the way to libm.
template <class F, class V>
FASTNN_HD V map_lanes(F f, V x) {
  return Traits<V>::map(f, x);
}
template <class F, class V>
FASTNN_HD V map_lanes(F f, V x, V y) {
  return Traits<V>::map(f, x, y);
}
// f, a functor on double vectors, applied to float32 operands in float64.
template <class F, class V, class... X>
FASTNN_HD V map_wide(F f, V x, X... more) {
  return Traits<V>::map_wide(f, x, more...);
}
// Whether a comparison of V holds in any lane.
template <class V, class M>
FASTNN_HD bool any_lane(M m) {
  return Traits<V>::any(m);
}
// By their bits: NVRTC knows neither the headers nor the builtins for them.
template <class V>
FASTNN_HD V infinity() {
  using U = UIntOf<V>;
  constexpr bool single = sizeof(ElemOf<V>) == 4;
  constexpr uint64_t bits = single ? 0x7f800000u : 0x7ff0000000000000u;
  return bits_as<V>(splat<U>(static_cast<ElemOf<U>>(bits)));
}
template <class V>
FASTNN_HD V not_a_number() {
  using U = UIntOf<V>;
  constexpr bool single = sizeof(ElemOf<V>) == 4;
  constexpr uint64_t bits = single ? 0x7fc00000u : 0x7ff8000000000000u;
  return bits_as<V>(splat<U>(static_cast<ElemOf<U>>(bits)));
}
template <class V>
FASTNN_HD V absolute(V x) {
  if constexpr (kIsFloat<V>) {
    using U = UIntOf<V>;
    const U mask = ~(splat<U>(1) << (8 * sizeof(ElemOf<V>) - 1));
    return bits_as<V>(bits_as<U>(x) & mask);
  } else {
    using U = UIntOf<V>;  // unsigned: the most negative value wraps, as in NumPy
    return select(x < 0, bits_as<V>(splat<U>(0) - bits_as<U>(x)), x);
  }
}

// -|x| of floats, in one instruction.
template <class V>
FASTNN_HD V minus_absolute(V x) {
  using U = UIntOf<V>;
  return bits_as<V>(bits_as<U>(x) | splat<U>(1) << (8 * sizeof(ElemOf<V>) - 1));
}

// The magnitude of a with the sign of b (floats).
template <class V>
FASTNN_HD V copysign(V a, V b) {
  using U = UIntOf<V>;
  const U sign = splat<U>(1) << (8 * sizeof(ElemOf<V>) - 1);
  return bits_as<V>((bits_as<U>(a) & ~sign) | (bits_as<U>(b) & sign));
}

FASTNN_END_NAMESPACE
