// SPDX-License-Identifier: Apache-2.0
// Chosen lanes moved to the front of a vector, where the instruction set can do it.
#pragma once

#include "kernels/simd/vec.hpp"

#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define FASTNN_HAS_COMPRESS 1

FASTNN_BEGIN_NAMESPACE

// The lanes where the comparison m holds, and how many they are.
template <class V, class M>
FASTNN_INLINE V compress(V v, M m, int& count) {
  if constexpr (sizeof(ElemOf<V>) == 4) {
    const __mmask16 lanes_of = _mm512_movepi32_mask((__m512i)m);
    count = __builtin_popcount(lanes_of);
    return (V)_mm512_maskz_compress_epi32(lanes_of, (__m512i)v);
  } else {
    const __mmask8 lanes_of = _mm512_movepi64_mask((__m512i)m);
    count = __builtin_popcount(lanes_of);
    return (V)_mm512_maskz_compress_epi64(lanes_of, (__m512i)v);
  }
}

FASTNN_END_NAMESPACE
#endif
