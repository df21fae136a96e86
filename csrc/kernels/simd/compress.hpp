// SPDX-License-Identifier: Apache-2.0
// Chosen lanes of a vector stored side by side, where the instruction set can do it.
#pragma once

#include "kernels/simd/vec.hpp"

#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define FASTNN_HAS_COMPRESS 1

FASTNN_BEGIN_NAMESPACE

// A vector cut in two by a pivot: what does not exceed it goes to front, which moves
// on, the rest before back, which moves back. Nothing else is overwritten.
template <class T>
FASTNN_INLINE void split_to(Vec<T> v, Vec<T> pivot, T*& front, T*& back) {
  if constexpr (sizeof(T) == 4) {
    const __mmask16 low = _mm512_cmple_epi32_mask((__m512i)v, (__m512i)pivot);
    const int count = __builtin_popcount(low), rest = 16 - count;
    const __m512i lower = _mm512_maskz_compress_epi32(low, (__m512i)v);
    const __m512i upper = _mm512_maskz_compress_epi32(_knot_mask16(low), (__m512i)v);
    back -= rest;
    _mm512_mask_storeu_epi32(front, _bzhi_u32(0xffff, count), lower);
    _mm512_mask_storeu_epi32(back, _bzhi_u32(0xffff, rest), upper);
    front += count;
  } else {
    const __mmask8 low = _mm512_cmple_epi64_mask((__m512i)v, (__m512i)pivot);
    const int count = __builtin_popcount(low), rest = 8 - count;
    const __m512i lower = _mm512_maskz_compress_epi64(low, (__m512i)v);
    const __m512i upper = _mm512_maskz_compress_epi64(_knot_mask8(low), (__m512i)v);
    back -= rest;
    _mm512_mask_storeu_epi64(front, _bzhi_u32(0xff, count), lower);
    _mm512_mask_storeu_epi64(back, _bzhi_u32(0xff, rest), upper);
    front += count;
  }
}

FASTNN_END_NAMESPACE
#endif
