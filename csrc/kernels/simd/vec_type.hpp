// SPDX-License-Identifier: Apache-2.0
// The native vector type, and how it is loaded and stored.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "base/tensor_view.hpp"
#include "shared/hd.h"

// One copy per file: without it GCC clones a driver for every constant argument.
#if defined(__clang__)
#define FASTNN_OUTLINE __attribute__((noinline, unused)) static
#else
#define FASTNN_OUTLINE __attribute__((noinline, noclone, unused)) static
#endif

#define FASTNN_LAMBDA_INLINE __attribute__((always_inline))

FASTNN_BEGIN_NAMESPACE

template <class T>
struct VecOf;
// `unaligned` may point at any array of T: it is how vectors are loaded and stored.
#define FASTNN_VEC(T)                                                    \
  template <>                                                            \
  struct VecOf<T> {                                                      \
    typedef T type __attribute__((vector_size(FASTNN_VECTOR_BYTES)));    \
    typedef T unaligned __attribute__((vector_size(FASTNN_VECTOR_BYTES), \
                                       aligned(sizeof(T)), may_alias));  \
  };
FASTNN_VEC(float)
FASTNN_VEC(double)
FASTNN_VEC(int8_t)
FASTNN_VEC(uint8_t)
FASTNN_VEC(int32_t)
FASTNN_VEC(uint32_t)
FASTNN_VEC(int64_t)
FASTNN_VEC(uint64_t)
#undef FASTNN_VEC

template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
inline constexpr int lanes = FASTNN_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
FASTNN_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(p);
}
template <class T>
FASTNN_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VecOf<T>::unaligned*>(p) = v;
}

FASTNN_END_NAMESPACE
