// SPDX-License-Identifier: Apache-2.0
// Stable sorting of rows by merging: in every launch pairs of sorted runs become one,
// each element finding its place by a binary search in the other run. Keys go with
// their positions. NaN is the largest.
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

template <class T>
FASTNN_DEVICE bool before(T a, T b) {
  if constexpr (kIsFloat<T>) return a < b || (b != b && a == a);
  return a < b;
}

// Row-major keys and positions of the input; numbers {n, descending}. For a descending
// order keys are taken from the end and the result read from the end, so that of equal
// ones the first still comes first.
template <class S>
FASTNN_DEVICE void sort_begin(const Args<1, 2, 2>& a) {
  const View& x = a.in[0];
  const int64_t n = a.number[0].i;
  for_elements(x.numel(), [&](int64_t at) {
    const int64_t i = at % n, from = a.number[1].i ? n - 1 - i : i;
    a.out[0].template ptr<S>()[at] = x.template ptr<S>()[offset_of(x, at - i + from)];
    a.out[1].template ptr<int32_t>()[at] = static_cast<int32_t>(from);
  });
}

// How many of the run's `count` elements come before x (or are equal, if `or_equal`).
template <class S>
FASTNN_DEVICE int64_t rank_in(const S* run, int64_t count, Computed<S> x,
                              bool or_equal) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const Computed<S> v = load(run, middle);
    if (before(v, x) || (or_equal && !before(x, v))) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Inputs keys, positions (rows, n), runs of `width` sorted; numbers {n, width}.
template <class S>
FASTNN_DEVICE void sort_merge(const Args<2, 2, 2>& a) {
  const int64_t n = a.number[0].i, width = a.number[1].i;
  const S* const keys = a.in[0].template ptr<S>();
  for_elements(a.in[0].numel(), [&](int64_t at) {
    const int64_t i = at % n, row = at - i, pair = i / (2 * width) * 2 * width;
    const bool second = i - pair >= width;
    const int64_t other = second ? pair : pair + width;
    const int64_t end = other + width < n ? other + width : n;
    const int64_t count = end > other ? end - other : 0;
    const Computed<S> x = load(keys, at);
    const int64_t place =
        pair + (i - pair) % width + rank_in(keys + row + other, count, x, second);
    a.out[0].template ptr<S>()[row + place] = keys[at];
    a.out[1].template ptr<int32_t>()[row + place] = a.in[1].template ptr<int32_t>()[at];
  });
}

// The first k of each row, or the last k from the end; numbers {n, k, from the end}.
template <class S>
FASTNN_DEVICE void sort_end(const Args<1, 1, 3>& a) {
  const int64_t n = a.number[0].i, k = a.number[1].i;
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t row = at / k, i = at % k;
    const int64_t from = a.number[2].i ? n - 1 - i : i;
    a.out[0].template ptr<S>()[at] = a.in[0].template ptr<S>()[row * n + from];
  });
}

// How many elements of the sorted sequence are less than each value, or not greater.
// Inputs sequence, values; numbers {right}.
template <class S>
FASTNN_DEVICE void searchsorted(const Args<2, 1, 1>& a) {
  const View &sequence = a.in[0], &values = a.in[1];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Computed<S> x = load(values.template ptr<S>(), offset_of(values, at));
    int64_t low = 0, high = sequence.shape[0];
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      const Computed<S> v =
          load(sequence.template ptr<S>(), middle * sequence.stride[0]);
      if (before(v, x) || (a.number[0].i && !before(x, v))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    a.out[0].template ptr<int32_t>()[at] = static_cast<int32_t>(low);
  });
}

}  // namespace fastnn::device
