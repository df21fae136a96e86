// SPDX-License-Identifier: Apache-2.0
// SIMD on GNU vector extensions: `Vec<T>` is a native vector of FASTNN_VECTOR_BYTES
// with the usual operators; comparisons give integer masks (0 or -1) for `select`.
// Intrinsics stand only in this folder, behind functions that all instruction sets
// have.
#pragma once

#include "kernels/simd/special.hpp"

FASTNN_BEGIN_NAMESPACE

// v in a register: GCC otherwise repeats the load of v in every instruction that uses
// it.
template <class V>
FASTNN_INLINE V in_register(V v) {
#if defined(__aarch64__)
  asm("" : "+w"(v));
#elif FASTNN_VECTOR_BYTES == 64
  asm("" : "+v"(v));
#else
  asm("" : "+x"(v));
#endif
  return v;
}

template <class T>
FASTNN_INLINE Vec<T> iota() {
  Vec<T> v = {};
  for (int i = 0; i < lanes<T>; ++i)
    v[i] = static_cast<T>(i);
  return v;
}

// The first n (0 <= n <= lanes<T>) elements; the other lanes are zero / not written.
// Memory beyond them is never touched.
template <class T>
FASTNN_INLINE Vec<T> load_n(const T* p, int n) {
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  if constexpr (sizeof(T) == 8) {
    return (Vec<T>)_mm512_maskz_loadu_epi64(static_cast<__mmask8>((1u << n) - 1), p);
  } else if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_epi32(static_cast<__mmask16>((1u << n) - 1), p);
  } else {
    const __mmask64 m = n < 64 ? (uint64_t{1} << n) - 1 : ~uint64_t{0};
    return (Vec<T>)_mm512_maskz_loadu_epi8(m, p);
  }
#else
#if FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 8) {
    const Vec<int64_t> m = iota<int64_t>() < int64_t{n};
    return (Vec<T>)_mm256_maskload_epi64((const long long*)p, (__m256i)m);
  } else if constexpr (sizeof(T) == 4) {
    const Vec<int32_t> m = iota<int32_t>() < n;
    return (Vec<T>)_mm256_maskload_epi32((const int*)p, (__m256i)m);
  }
#endif
  Vec<T> v = {};
  if constexpr (sizeof(T) < 4) {
    __builtin_memcpy(&v, p, n);
  } else {
    for (int i = 0; i < n; ++i)
      v[i] = p[i];
  }
  return v;
#endif
}

template <class T>
FASTNN_INLINE void store_n(T* p, Vec<T> v, int n) {
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512BW__)
  if constexpr (sizeof(T) == 8) {
    _mm512_mask_storeu_epi64(p, static_cast<__mmask8>((1u << n) - 1), (__m512i)v);
  } else if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_epi32(p, static_cast<__mmask16>((1u << n) - 1), (__m512i)v);
  } else {
    const __mmask64 m = n < 64 ? (uint64_t{1} << n) - 1 : ~uint64_t{0};
    _mm512_mask_storeu_epi8(p, m, (__m512i)v);
  }
#else
#if FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 8) {
    const Vec<int64_t> m = iota<int64_t>() < int64_t{n};
    _mm256_maskstore_epi64((long long*)p, (__m256i)m, (__m256i)v);
    return;
  } else if constexpr (sizeof(T) == 4) {
    const Vec<int32_t> m = iota<int32_t>() < n;
    _mm256_maskstore_epi32((int*)p, (__m256i)m, (__m256i)v);
    return;
  }
#endif
  if constexpr (sizeof(T) < 4) {
    __builtin_memcpy(p, &v, n);
  } else {
    for (int i = 0; i < n; ++i)
      p[i] = v[i];
  }
#endif
}

// clang-format off
// Rounding and square root of whole vectors. The masked AVX-512 forms with a full mask
// compile to the plain instruction and avoid GCC 12's false -Wuninitialized.
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define FASTNN_ROUND_F32(x, mode) (Vec<float>)_mm512_maskz_roundscale_ps(0xffff, (__m512)(x), (mode) | 8)
#define FASTNN_ROUND_F64(x, mode) (Vec<double>)_mm512_maskz_roundscale_pd(0xff, (__m512d)(x), (mode) | 8)
#define FASTNN_SQRT_F32(x) (Vec<float>)_mm512_maskz_sqrt_ps(0xffff, (__m512)(x))
#define FASTNN_SQRT_F64(x) (Vec<double>)_mm512_maskz_sqrt_pd(0xff, (__m512d)(x))
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
#define FASTNN_ROUND_F32(x, mode) (Vec<float>)_mm256_round_ps((__m256)(x), (mode) | 8)
#define FASTNN_ROUND_F64(x, mode) (Vec<double>)_mm256_round_pd((__m256d)(x), (mode) | 8)
#define FASTNN_SQRT_F32(x) (Vec<float>)_mm256_sqrt_ps((__m256)(x))
#define FASTNN_SQRT_F64(x) (Vec<double>)_mm256_sqrt_pd((__m256d)(x))
#elif FASTNN_VECTOR_BYTES == 16 && defined(__SSE4_1__)
#define FASTNN_ROUND_F32(x, mode) (Vec<float>)_mm_round_ps((__m128)(x), (mode) | 8)
#define FASTNN_ROUND_F64(x, mode) (Vec<double>)_mm_round_pd((__m128d)(x), (mode) | 8)
#define FASTNN_SQRT_F32(x) (Vec<float>)_mm_sqrt_ps((__m128)(x))
#define FASTNN_SQRT_F64(x) (Vec<double>)_mm_sqrt_pd((__m128d)(x))
#elif FASTNN_VECTOR_BYTES == 16 && defined(__aarch64__)
#define FASTNN_ROUND_F32(x, mode) (Vec<float>)(mode == 0 ? vrndnq_f32((float32x4_t)(x)) : mode == 1 ? vrndmq_f32((float32x4_t)(x)) : vrndpq_f32((float32x4_t)(x)))
#define FASTNN_ROUND_F64(x, mode) (Vec<double>)(mode == 0 ? vrndnq_f64((float64x2_t)(x)) : mode == 1 ? vrndmq_f64((float64x2_t)(x)) : vrndpq_f64((float64x2_t)(x)))
#define FASTNN_SQRT_F32(x) (Vec<float>)vsqrtq_f32((float32x4_t)(x))
#define FASTNN_SQRT_F64(x) (Vec<double>)vsqrtq_f64((float64x2_t)(x))
#else
#error "no vector shims for this target: add them here"
#endif
// clang-format on

// Rounding mode: 0 nearest even, 1 down, 2 up.
template <int mode, class V>
FASTNN_INLINE V round_vector(V x) {
  if constexpr (kIsFloat32<V>) {
    return FASTNN_ROUND_F32(x, mode);
  } else if constexpr (kIsFloat64<V>) {
    return FASTNN_ROUND_F64(x, mode);
  } else {
    return x;
  }
}

// The 64-bit products of the even 32-bit lanes (the low halves of 64-bit lanes).
FASTNN_INLINE Vec<uint64_t> multiply_even(Vec<uint64_t> a, Vec<uint64_t> b) {
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return (Vec<uint64_t>)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b);
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
  return (Vec<uint64_t>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (Vec<uint64_t>)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (Vec<uint64_t>)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#endif
}

// The halves of a float vector as doubles, and back.
FASTNN_INLINE void widen(Vec<float> x, Vec<double>& low, Vec<double>& high) {
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  __m256 half[2];
  __builtin_memcpy(half, &x, sizeof x);
  low = (Vec<double>)_mm512_maskz_cvtps_pd(0xff, half[0]);
  high = (Vec<double>)_mm512_maskz_cvtps_pd(0xff, half[1]);
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
  low = (Vec<double>)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
  high = (Vec<double>)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#elif defined(__x86_64__)
  low = (Vec<double>)_mm_cvtps_pd((__m128)x);
  high = (Vec<double>)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x));
#else
  low = (Vec<double>)vcvt_f64_f32(vget_low_f32((float32x4_t)x));
  high = (Vec<double>)vcvt_high_f64_f32((float32x4_t)x);
#endif
}
FASTNN_INLINE Vec<float> narrow(Vec<double> low, Vec<double> high) {
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  const __m256 half[2] = {_mm512_maskz_cvtpd_ps(0xff, (__m512d)low),
                          _mm512_maskz_cvtpd_ps(0xff, (__m512d)high)};
  Vec<float> x;
  __builtin_memcpy(&x, half, sizeof x);
  return x;
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
  return (Vec<float>)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high),
                                     _mm256_cvtpd_ps((__m256d)low));
#elif defined(__x86_64__)
  return (Vec<float>)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low),
                                   _mm_cvtpd_ps((__m128d)high));
#else
  return (Vec<float>)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low),
                                       (float64x2_t)high);
#endif
}

// x * 2^n for integral n, rounded once and without intermediate overflow.
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
inline constexpr bool kScalesExponentInHardware = true;
FASTNN_INLINE Vec<float> scale_exponent(Vec<float> x, Vec<float> n) {
  return (Vec<float>)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n);
}
FASTNN_INLINE Vec<double> scale_exponent(Vec<double> x, Vec<double> n) {
  return (Vec<double>)_mm512_maskz_scalef_pd(0xff, (__m512d)x, (__m512d)n);
}
#else
inline constexpr bool kScalesExponentInHardware = false;
template <class V>
V scale_exponent(V, V) = delete;
#endif

// Element i mod 16 of a table for each lane.
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
inline constexpr bool kPicksFrom16InHardware = true;
FASTNN_INLINE Vec<float> pick_from(const float (&table)[16], Vec<uint32_t> i) {
  return (Vec<float>)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)i,
                                                 (__m512)load(table));
}
#else
inline constexpr bool kPicksFrom16InHardware = false;
template <class T, class V>
V pick_from(const T (&)[16], V) = delete;
#endif

// a * b + c rounded once, whatever the compiler contracts.
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
FASTNN_INLINE Vec<float> fused_multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
FASTNN_INLINE Vec<double> fused_multiply_add(Vec<double> a, Vec<double> b,
                                             Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif FASTNN_VECTOR_BYTES == 32 && defined(__FMA__)
FASTNN_INLINE Vec<float> fused_multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
FASTNN_INLINE Vec<double> fused_multiply_add(Vec<double> a, Vec<double> b,
                                             Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__aarch64__)
FASTNN_INLINE Vec<float> fused_multiply_add(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
FASTNN_INLINE Vec<double> fused_multiply_add(Vec<double> a, Vec<double> b,
                                             Vec<double> c) {
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
template <class V>
V fused_multiply_add(V, V, V) = delete;
#endif

// Traits of Vec<T>; I and U are the integers of the same width.
template <class T, class I, class U>
struct VectorTraits {
  using V = Vec<T>;
  using Elem = T;
  using Int = Vec<I>;
  using UInt = Vec<U>;
  static constexpr int kLanes = lanes<T>;
  static FASTNN_INLINE V splat(T x) { return x - V{}; }
  template <class M>
  static FASTNN_INLINE V select(M m, V a, V b) {
    return m ? a : b;
  }
  static FASTNN_INLINE V sqrt(V x) {
    if constexpr (sizeof(T) == 4) {
      return FASTNN_SQRT_F32(x);
    } else {
      return FASTNN_SQRT_F64(x);
    }
  }
  static FASTNN_INLINE V rint(V x) { return round_vector<0>(x); }
  static FASTNN_INLINE V floor(V x) { return round_vector<1>(x); }
  static FASTNN_INLINE V ceil(V x) { return round_vector<2>(x); }
  template <class R>
  static FASTNN_INLINE R bits(V x) {
    return (R)x;
  }
  template <class R>
  static FASTNN_INLINE R convert(V x) {
    return __builtin_convertvector(x, R);
  }
  template <class F>
  static FASTNN_INLINE V map(F f, V x) {
    for (int i = 0; i < kLanes; ++i)
      x[i] = f(x[i]);
    return x;
  }
  template <class F>
  static FASTNN_INLINE V map(F f, V x, V y) {
    for (int i = 0; i < kLanes; ++i)
      x[i] = f(x[i], y[i]);
    return x;
  }
  template <class F>
  static FASTNN_INLINE V map_wide(F f, V x) {
    Vec<double> low, high;
    widen(x, low, high);
    return narrow(f(low), f(high));
  }
  template <class F>
  static FASTNN_INLINE V map_wide(F f, V x, V y) {
    Vec<double> low, high, low2, high2;
    widen(x, low, high);
    widen(y, low2, high2);
    return narrow(f(low, low2), f(high, high2));
  }
  template <class M>
  static FASTNN_INLINE bool any(M m) {
    const Vec<uint64_t> words = (Vec<uint64_t>)m;
    uint64_t all = 0;
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
    all = _mm512_test_epi64_mask((__m512i)words, (__m512i)words);
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
    all = !_mm256_testz_si256((__m256i)words, (__m256i)words);
#else
    for (int i = 0; i < lanes<uint64_t>; ++i)
      all |= words[i];
#endif
    return all != 0;
  }
  static constexpr bool kScalesExponent = kScalesExponentInHardware;
  static FASTNN_INLINE V scale_exponent(V x, V n) {
    return FASTNN_ISA::scale_exponent(x, n);
  }
  static FASTNN_INLINE V at_least(V x, V low) { return raise_to(x, low); }
  static FASTNN_INLINE V at_most(V x, V high) { return lower_to(x, high); }
  static constexpr bool kLimitsLog = kLimitsLogInHardware;
  static FASTNN_INLINE V put_log_limits(V y, V x) {
    return FASTNN_ISA::put_log_limits(y, x);
  }
  static constexpr bool kPicksFrom16 = kPicksFrom16InHardware && sizeof(T) == 4;
  static FASTNN_INLINE V pick_from(const T (&table)[16], UInt i) {
    return FASTNN_ISA::pick_from(table, i);
  }
#if defined(__FMA__) || defined(__aarch64__)
  static constexpr bool kFused = true;
  static FASTNN_INLINE V fused(V a, V b, V c) { return fused_multiply_add(a, b, c); }
#else
  static constexpr bool kFused = false;
#endif
};
// clang-format off
template <> struct Traits<Vec<float>> : VectorTraits<float, int32_t, uint32_t> {};
template <> struct Traits<Vec<double>> : VectorTraits<double, int64_t, uint64_t> {};
template <> struct Traits<Vec<int32_t>> : VectorTraits<int32_t, int32_t, uint32_t> {};
template <> struct Traits<Vec<int64_t>> : VectorTraits<int64_t, int64_t, uint64_t> {};
template <> struct Traits<Vec<uint64_t>> : VectorTraits<uint64_t, int64_t, uint64_t> {};
template <> struct Traits<Vec<int8_t>> : VectorTraits<int8_t, int8_t, uint8_t> {};
template <> struct Traits<Vec<uint8_t>> : VectorTraits<uint8_t, int8_t, uint8_t> {};
// clang-format on

template <>
struct Traits<Vec<uint32_t>> : VectorTraits<uint32_t, int32_t, uint32_t> {
  static FASTNN_INLINE void multiply_wide(V a, uint32_t b, V& hi, V& lo) {
    const Vec<uint64_t> a64 = (Vec<uint64_t>)a, b64 = Vec<uint64_t>{} + b;
    const Vec<uint64_t> low = Vec<uint64_t>{} + uint64_t{0xffffffff};
    const Vec<uint64_t> even = multiply_even(a64, b64);
    const Vec<uint64_t> odd = multiply_even(a64 >> 32, b64);
    hi = (V)((even >> 32) | (odd & ~low));
    lo = (V)((even & low) | (odd << 32));
  }
};

template <class T, int bytes>
struct NarrowVec {
  typedef T type __attribute__((vector_size(bytes)));
};
// Horizontal reduction in a fixed order: halves are folded onto each other. `f` takes
// two vectors of any width, or two scalars.
template <class T, class V, class F>
FASTNN_INLINE T fold_lanes(V v, F f) {
  if constexpr (sizeof(V) > 16) {
    using Half = typename NarrowVec<T, sizeof(V) / 2>::type;
    Half half[2];
    __builtin_memcpy(half, &v, sizeof v);
    return fold_lanes<T>(f(half[0], half[1]), f);
  } else if constexpr (sizeof(T) == 8) {
    return f(T(v[0]), T(v[1]));
  } else if constexpr (sizeof(T) == 4) {
    return f(f(T(v[0]), T(v[2])), f(T(v[1]), T(v[3])));
  } else {
    T r = v[0];
    for (int i = 1; i < 16; ++i)
      r = f(r, T(v[i]));
    return r;
  }
}

// Four words per lane to four vectors of whole groups of four: within each 16 bytes,
// element i of w[j] becomes element j of w[i]. (Index lists for shuffles.)
template <int... i>
struct Indices {};
template <int n, int... i>
struct CountTo : CountTo<n - 1, n - 1, i...> {};
template <int... i>
struct CountTo<0, i...> {
  using type = Indices<i...>;
};
template <int per_group, int half, class V, int... i>
FASTNN_INLINE V interleave(V a, V b, Indices<i...>) {
  constexpr int n = sizeof...(i);
  return __builtin_shufflevector(a, b,
                                 (i / per_group * per_group + i % per_group / 2 +
                                  half * per_group / 2 + i % 2 * n)...);
}
FASTNN_INLINE void transpose_4x4(Vec<uint32_t> (&w)[4]) {
  using W = CountTo<lanes<uint32_t>>::type;
  using D = CountTo<lanes<uint64_t>>::type;
  using V = Vec<uint32_t>;
  using V64 = Vec<uint64_t>;
  const V64 a = (V64)interleave<4, 0>(w[0], w[1], W{});
  const V64 b = (V64)interleave<4, 0>(w[2], w[3], W{});
  const V64 c = (V64)interleave<4, 1>(w[0], w[1], W{});
  const V64 d = (V64)interleave<4, 1>(w[2], w[3], W{});
  w[0] = (V)interleave<2, 0>(a, b, D{});
  w[1] = (V)interleave<2, 1>(a, b, D{});
  w[2] = (V)interleave<2, 0>(c, d, D{});
  w[3] = (V)interleave<2, 1>(c, d, D{});
}

FASTNN_END_NAMESPACE
