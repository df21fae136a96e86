// SPDX-License-Identifier: Apache-2.0
// Random numbers: shared/philox.h, element by element, so the CPU's numbers.
#pragma once

#include "cuda/prelude.cuh"
#include "shared/sampling.h"

namespace fastnn::device {

struct Stream {
  uint64_t seed, step;
  explicit FASTNN_DEVICE Stream(const View& state)
      : seed(state.ptr<uint64_t>()[0]), step(state.ptr<uint64_t>()[state.stride[0]]) {}

  FASTNN_DEVICE PhiloxBlock<uint32_t> block(uint64_t index) const {
    return philox<uint32_t>(static_cast<uint32_t>(index),
                            static_cast<uint32_t>(index >> 32), step, seed);
  }
};

// The bits of element e: one word, or two.
template <class T>
FASTNN_DEVICE UIntOf<T> draw(const Stream& s, uint64_t e) {
  if constexpr (sizeof(T) == 4) {
    return s.block(e / 4).w[e % 4];
  } else {
    const PhiloxBlock<uint32_t> b = s.block(e / 2);
    const uint64_t lo = b.w[e % 2 * 2], hi = b.w[e % 2 * 2 + 1];
    return lo | hi << 32;
  }
}

// The largest number below x.
template <class T>
FASTNN_DEVICE T below(T x) {
  using U = UIntOf<T>;
  const U bits = bits_as<U>(x), sign = U(1) << (8 * sizeof(T) - 1);
  if (x == T(0)) return bits_as<T>(static_cast<U>(sign | 1));
  return bits_as<T>(static_cast<U>(bits & sign ? bits + 1 : bits - 1));
}

template <class S>
FASTNN_DEVICE void random_uniform(const Args<1, 1, 2>& a) {
  using T = Computed<S>;
  const Stream stream(a.in[0]);
  const T low = static_cast<T>(a.number[0].f), high = static_cast<T>(a.number[1].f);
  const T span = high - low, top = span > T(0) ? below(high) : low;
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const T u = unit_of<T>(draw<T>(stream, static_cast<uint64_t>(e)));
    const T x = Traits<T>::fused(u, span, low);
    store(a.out[0].template ptr<S>(), e, x > top ? top : x);
  });
}

template <class S>
FASTNN_DEVICE void random_normal(const Args<1, 1, 2>& a) {
  using T = Computed<S>;
  const Stream stream(a.in[0]);
  const T mean = static_cast<T>(a.number[0].f), stddev = static_cast<T>(a.number[1].f);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const uint64_t even = static_cast<uint64_t>(e) & ~uint64_t{1};
    const NormalPair<T> pair = normal_pair(unit_of<T>(draw<T>(stream, even)),
                                           unit_of<T>(draw<T>(stream, even + 1)));
    const T z = e & 1 ? pair.second : pair.first;
    store(a.out[0].template ptr<S>(), e, Traits<T>::fused(z, stddev, mean));
  });
}

template <class S>
FASTNN_DEVICE void truncated_normal(const Args<1, 1, 2>& a) {
  using T = Computed<S>;
  const Stream stream(a.in[0]);
  const T mean = static_cast<T>(a.number[0].f), stddev = static_cast<T>(a.number[1].f);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    // Odd multiples of 2^-24 or 2^-53 in (-1, 1): exact.
    const T u = unit_of<T>(draw<T>(stream, static_cast<uint64_t>(e)));
    const T v = u * T(2) - (T(1) - unit_step<T>());
    const T z = truncated_normal_of(v);
    store(a.out[0].template ptr<S>(), e, Traits<T>::fused(z, stddev, mean));
  });
}

template <class S>
FASTNN_DEVICE void dropout(const Args<2, 1, 1>& a) {
  using T = Computed<S>;
  const Stream stream(a.in[1]);
  const DropoutRate rate = dropout_rate(a.number[0].f);
  for_elements(a.out[0].numel(), [&](int64_t e) {
    const uint64_t at = static_cast<uint64_t>(e);
    const uint32_t word = stream.block(at / 8).w[at % 8 / 2];
    const bool keep = (word >> at % 2 * 16 & 0xffffu) >= rate.threshold;
    const T x = load(a.in[0].template ptr<S>(), offset_of(a.in[0], e));
    store(a.out[0].template ptr<S>(), e, keep ? x * static_cast<T>(rate.scale) : T(0));
  });
}

}  // namespace fastnn::device
