// SPDX-License-Identifier: Apache-2.0
// Bitonic sorting networks (Batcher 1968) of whole vectors, in registers.
#pragma once

#include "kernels/simd/row.hpp"

FASTNN_BEGIN_NAMESPACE

template <class V>
FASTNN_INLINE V lower(V a, V b) {
  return a < b ? a : b;
}
template <class V>
FASTNN_INLINE V upper(V a, V b) {
  return a < b ? b : a;
}
constexpr int top_bit(int mask) {
  int bit = 1;
  while (bit * 2 <= mask)
    bit *= 2;
  return bit;
}

// Lane i and lane i ^ mask in order.
template <int mask, class V, int... i>
FASTNN_INLINE V compare_lanes(V v, Indices<i...>) {
  constexpr int n = sizeof...(i), high = top_bit(mask);
  const V other = __builtin_shufflevector(v, v, (i ^ mask)...);
  return __builtin_shufflevector(lower(v, other), upper(v, other),
                                 (i & high ? n + i : i)...);
}
template <class V, int... i>
FASTNN_INLINE V reverse_lanes(V v, Indices<i...>) {
  constexpr int n = sizeof...(i);
  return __builtin_shufflevector(v, v, (n - 1 - i)...);
}
// A bitonic vector to a sorted one, and any vector to a sorted one.
template <int step, class V, class L>
FASTNN_INLINE V merge_lanes(V v, L all) {
  if constexpr (step > 0) {
    return merge_lanes<step / 2>(compare_lanes<step>(v, all), all);
  } else {
    return v;
  }
}
template <int run, int n, class V, class L>
FASTNN_INLINE V sort_lanes(V v, L all) {
  if constexpr (run <= n) {
    v = merge_lanes<run / 4>(compare_lanes<run - 1>(v, all), all);
    return sort_lanes<2 * run, n>(v, all);
  } else {
    return v;
  }
}

// Vectors that a network keeps in registers, and the items in them: rows up to this
// length go through the network alone.
inline constexpr int kNetworkVectors = FASTNN_VECTOR_BYTES == 64 ? 16 : 8;
template <class T>
constexpr int64_t kNetwork = kNetworkVectors * lanes<T>;

// Bitonic merges of runs of `run` sorted vectors, up to all of them.
template <int run, int count, class V, class L>
FASTNN_INLINE void merge_runs(V* v, L all) {
  if constexpr (run <= count) {
#pragma GCC unroll 16
    for (int start = 0; start < count; start += run) {
#pragma GCC unroll 16
      for (int i = 0; i < run / 2; ++i) {  // against the reversed other half
        V &p = v[start + i], &q = v[start + run - 1 - i];
        const V x = p, y = reverse_lanes(q, all);
        p = lower(x, y);
        q = reverse_lanes(upper(x, y), all);
      }
    }
#pragma GCC unroll 16
    for (int step = run / 4; step >= 1; step /= 2) {
#pragma GCC unroll 16
      for (int i = 0; i < count; ++i) {
        if (i & step) continue;
        const V x = v[i], y = v[i + step];
        v[i] = lower(x, y);
        v[i + step] = upper(x, y);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; ++i)
      v[i] = merge_lanes<lanes<ElemOf<V>> / 2>(v[i], all);
    merge_runs<2 * run, count>(v, all);
  }
}

// Bitonic sort of `count` vectors, a power of two, in registers.
template <int count, class T>
FASTNN_OUTLINE void sort_network(T* a) {
  constexpr int L = lanes<T>;
  const typename CountTo<L>::type all;
  Vec<T> v[count];
#pragma GCC unroll 16
  for (int i = 0; i < count; ++i)
    v[i] = sort_lanes<2, L>(load(a + i * L), all);
  merge_runs<2, count>(v, all);
#pragma GCC unroll 16
  for (int i = 0; i < count; ++i)
    store(a + i * L, v[i]);
}
template <class T>
FASTNN_INLINE void sort_network(T* a, int64_t count) {
  switch (count) {
    case 1:
      return sort_network<1>(a);
    case 2:
      return sort_network<2>(a);
    case 4:
      return sort_network<4>(a);
    case 8:
      return sort_network<8>(a);
    default:
      return sort_network<kNetworkVectors>(a);
  }
}

FASTNN_END_NAMESPACE
