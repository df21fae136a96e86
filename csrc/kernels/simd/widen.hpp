// SPDX-License-Identifier: Apache-2.0
// Loads that widen bytes and 16-bit words to lanes, stores that narrow. GCC 12 takes
// __builtin_convertvector of a narrow vector in memory apart element by element (5
// times slower in `where`).
#pragma once

#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

// lanes<U> unsigned numbers of type S (1 or 2 bytes) at p, as lanes of U (4 or 8
// bytes).
template <class U, class S>
FASTNN_INLINE Vec<U> load_widened(const void* p) {
  constexpr int bytes = lanes<U> * static_cast<int>(sizeof(S));
  constexpr bool from_bytes = sizeof(S) == 1, to_words = sizeof(U) == 4;
#if defined(__x86_64__)
#if FASTNN_VECTOR_BYTES == 64
  if constexpr (bytes == 32) {
    return (Vec<U>)_mm512_maskz_cvtepu16_epi32(0xffff,
                                               _mm256_loadu_si256((const __m256i*)p));
  }
#endif
  __m128i x = {};
  __builtin_memcpy(&x, p, bytes < 16 ? bytes : 16);
#if FASTNN_VECTOR_BYTES == 64
  if constexpr (from_bytes && to_words)
    return (Vec<U>)_mm512_maskz_cvtepu8_epi32(0xffff, x);
  if constexpr (from_bytes) return (Vec<U>)_mm512_maskz_cvtepu8_epi64(0xff, x);
  return (Vec<U>)_mm512_maskz_cvtepu16_epi64(0xff, x);
#elif FASTNN_VECTOR_BYTES == 32
  if constexpr (from_bytes && to_words) return (Vec<U>)_mm256_cvtepu8_epi32(x);
  if constexpr (from_bytes) return (Vec<U>)_mm256_cvtepu8_epi64(x);
  if constexpr (to_words) return (Vec<U>)_mm256_cvtepu16_epi32(x);
  return (Vec<U>)_mm256_cvtepu16_epi64(x);
#else
  if constexpr (from_bytes && to_words) return (Vec<U>)_mm_cvtepu8_epi32(x);
  if constexpr (from_bytes) return (Vec<U>)_mm_cvtepu8_epi64(x);
  if constexpr (to_words) return (Vec<U>)_mm_cvtepu16_epi32(x);
  return (Vec<U>)_mm_cvtepu16_epi64(x);
#endif
#else
  static_assert(bytes <= 16 && (from_bytes || to_words || sizeof(U) == 8));
  typename NarrowVec<S, bytes>::type x;
  __builtin_memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, Vec<U>);
#endif
}

// The low byte of each of the first n lanes.
template <int step, class V, int... i>
FASTNN_INLINE auto every(V v, Indices<i...>) {
  return __builtin_shufflevector(v, v, (i * step)...);
}
template <class V>
FASTNN_INLINE void store_bytes(uint8_t* p, V v, int n) {
  using U = typename Traits<V>::Elem;
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(U) == 4) {
    const auto m = static_cast<__mmask16>((1u << n) - 1);
    _mm512_mask_cvtepi32_storeu_epi8(p, m, (__m512i)v);
  } else {
    const auto m = static_cast<__mmask8>((1u << n) - 1);
    _mm512_mask_cvtepi64_storeu_epi8(p, m, (__m512i)v);
  }
#else
  const auto bytes =
      every<sizeof(U)>((Vec<uint8_t>)v, typename CountTo<lanes<U>>::type{});
  __builtin_memcpy(p, &bytes, n);
#endif
}

FASTNN_END_NAMESPACE
