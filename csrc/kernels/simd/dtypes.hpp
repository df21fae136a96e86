// SPDX-License-Identifier: Apache-2.0
// From a runtime dtype to a template argument, and the error for all others.
#pragma once

#include "base/error.hpp"
#include "kernels/kernel.hpp"
#include "kernels/simd/vec.hpp"

FASTNN_BEGIN_NAMESPACE

template <class T>
inline constexpr DType kDTypeOf = dtype_of<T>();

// bool is computed on as bytes 0 and 1.
template <class T>
struct StoredAs {
  using type = T;
};
template <>
struct StoredAs<bool> {
  using type = uint8_t;
};
template <class T>
using Stored = typename StoredAs<T>::type;

template <class... T>
struct Types {};
using Floats = Types<float, double>;
using Numbers = Types<float, double, int32_t, int64_t>;

template <class T>
struct Tag {
  using type = T;
};

[[noreturn]] FASTNN_OUTLINE void fail_dtype(const char* op, DType got,
                                            const DType* supported, int count) {
  char names[160];
  int at = 0;
  for (int i = 0; i < count; ++i) {
    if (i) names[at++] = ',', names[at++] = ' ';
    for (const char* s = dtype_name(supported[i]); *s; ++s)
      names[at++] = *s;
  }
  names[at] = 0;
  fail("[%s] dtype %s is not supported (%s)", op, dtype_name(got), names);
}

// Calls f(Tag<T>{}) for the T that `dtype` names; fails when it is none of them.
template <class... T, class F>
FASTNN_INLINE void dispatch(const char* op, DType dtype, Types<T...>, F f) {
  static constexpr DType kSupported[] = {kDTypeOf<T>...};
  const bool done = ((dtype == kDTypeOf<T> && (f(Tag<T>{}), true)) || ...);
  if (!done) fail_dtype(op, dtype, kSupported, sizeof...(T));
}

// f.template operator()<T>() for the float type of a kernel without other dtypes.
template <class F>
FASTNN_INLINE void for_float(const char* op, DType dtype, F f) {
  dispatch(op, dtype, Floats{},
           [&](auto tag) { f.template operator()<typename decltype(tag)::type>(); });
}

FASTNN_END_NAMESPACE
