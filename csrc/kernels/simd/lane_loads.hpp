// SPDX-License-Identifier: Apache-2.0
// Elements that lie apart, one per lane.
#pragma once

#include "kernels/simd/row.hpp"

FASTNN_BEGIN_NAMESPACE

// Loads the first of `count` (1 to lanes<T>) elements for lane 0, the one `step` bytes
// behind for lane 1 and so on; further lanes repeat the last.
template <class T>
class LaneLoads {
 public:
  FASTNN_INLINE LaneLoads(int64_t step, int count)
      : step_(step), count_(count), run_(step == sizeof(T)) {
    for (int i = 0; i < lanes<T>; ++i)
      offset_[i] = static_cast<Offset>((i < count ? i : count - 1) * step);
    constexpr int64_t kFar = int64_t{1} << 26;  // sixteen such steps fit 32 bits
    gather_ = sizeof(T) == 8 || (step < kFar && step > -kFar);
  }

  FASTNN_INLINE Vec<T> operator()(const char* p) const {
    if (run_) return load_part(reinterpret_cast<const T*>(p), count_);
#if FASTNN_VECTOR_BYTES == 64 && defined(__AVX512F__)
    const __m512i at = (__m512i)offset_, none = {};
    if constexpr (sizeof(T) == 4) {
      if (gather_) return (Vec<T>)_mm512_mask_i32gather_epi32(none, 0xffff, at, p, 1);
    } else if constexpr (sizeof(T) == 8) {
      return (Vec<T>)_mm512_mask_i64gather_epi64(none, 0xff, at, p, 1);
    }
#elif FASTNN_VECTOR_BYTES == 32 && defined(__AVX2__)
    if constexpr (sizeof(T) == 4) {
      if (gather_) {
        return (Vec<T>)_mm256_i32gather_epi32((const int*)p, (__m256i)offset_, 1);
      }
    } else if constexpr (sizeof(T) == 8) {
      return (Vec<T>)_mm256_i64gather_epi64((const long long*)p, (__m256i)offset_, 1);
    }
#endif
    alignas(FASTNN_VECTOR_BYTES) T each[lanes<T>];
    for (int i = 0; i < lanes<T>; ++i)
      __builtin_memcpy(&each[i], p + (i < count_ ? i : count_ - 1) * step_, sizeof(T));
    return load(each);
  }

 private:
  using Offset = ElemOf<IntOf<Vec<T>>>;
  Vec<Offset> offset_;
  int64_t step_;
  int count_;
  bool run_, gather_;
};

// Calls f(index of the first, how many, loads) for `count` things in groups of a
// vector's lanes.
template <class T, class F>
FASTNN_INLINE void for_lanes(int64_t step, int64_t count, F f) {
  constexpr int64_t L = lanes<T>;
  const LaneLoads<T> all(step, static_cast<int>(L));
  int64_t at = 0;
  for (; at + L <= count; at += L)
    f(at, static_cast<int>(L), all);
  if (at < count) {
    const int rest = static_cast<int>(count - at);
    f(at, rest, LaneLoads<T>(step, rest));
  }
}

FASTNN_END_NAMESPACE
