// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: output channel c multiplier + m is input channel c convolved
// with filter [..., c, m]. A thread per element; numbers: geometry, multiplier, chunks.
#pragma once

#include "cuda/conv.cuh"

namespace fastnn::device {

constexpr int kDepthwiseNumbers = 20;

// f over the elements of the window.
template <class F>
FASTNN_DEVICE void for_taps(const Geometry& g, F f) {
  Place k;
  for (k.at[0] = 0; k.at[0] < g.window[0]; ++k.at[0])
    for (k.at[1] = 0; k.at[1] < g.window[1]; ++k.at[1])
      for (k.at[2] = 0; k.at[2] < g.window[2]; ++k.at[2])
        f(k);
}

// Inputs x, w, bias.
template <class Act, class S, int n>
FASTNN_DEVICE void depthwise(const Args<3, 1, n>& a) {
  using T = Computed<S>;
  using F = typename Act::F;
  const F f = functor_behind<F>(a.number, kDepthwiseNumbers);
  const Geometry g(a.number, 0);
  const View &x = a.in[0], &w = a.in[1], &bias = a.in[2];
  const int64_t multiplier = a.number[18].i, channels = w.shape[3] * multiplier;
  const int64_t pixels = g.count(g.out);
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t channel = at % channels, pixel = at / channels;
    const int64_t c = channel / multiplier, m = channel % multiplier;
    const Place o = place_of(pixel % pixels, g.out);
    T sum = T(0);
    for_taps(g, [&](const Place& k) {
      Place i;
      if (!g.input(o, k, i)) return;
      const T v = load(x.template ptr<S>(),
                       pixel_offset(x, pixel / pixels, i) + c * x.stride[4]);
      const T u = load(w.template ptr<S>(),
                       tap_offset(w, k) + c * w.stride[3] + m * w.stride[4]);
      sum = Traits<T>::fused(v, u, sum);
    });
    if (bias.shape[0])
      sum = sum + load(bias.template ptr<S>(), channel * bias.stride[0]);
    store(a.out[0].template ptr<S>(), at, f(sum));
  });
}

// Inputs dy, w.
template <class S>
FASTNN_DEVICE void depthwise_input_gradient(const Args<2, 1, kDepthwiseNumbers>& a) {
  using T = Computed<S>;
  const Geometry g(a.number, 0);
  const View &dy = a.in[0], &w = a.in[1];
  const int64_t multiplier = a.number[18].i, channels = w.shape[3];
  const int64_t pixels = g.count(g.in);
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t c = at % channels, pixel = at / channels;
    const Place i = place_of(pixel % pixels, g.in);
    T sum = T(0);
    for_taps(g, [&](const Place& k) {
      Place o;
      if (!g.output(i, k, o)) return;
      const int64_t from = pixel_offset(dy, pixel / pixels, o);
      const int64_t tap = tap_offset(w, k) + c * w.stride[3];
      for (int64_t m = 0; m < multiplier; ++m) {
        const T v =
            load(dy.template ptr<S>(), from + (c * multiplier + m) * dy.stride[4]);
        sum =
            Traits<T>::fused(v, load(w.template ptr<S>(), tap + m * w.stride[4]), sum);
      }
    });
    store(a.out[0].template ptr<S>(), at, sum);
  });
}

// Inputs x, dy: a thread per element of the filter and chunk of pixels, neighbouring
// threads on neighbouring channels. Output (chunks, filter) of type W.
template <class S, class W>
FASTNN_DEVICE void depthwise_filter_gradient(const Args<2, 1, kDepthwiseNumbers>& a) {
  using T = Computed<S>;
  const Geometry g(a.number, 0);
  const View &x = a.in[0], &dy = a.in[1];
  const int64_t multiplier = a.number[18].i, chunks = a.number[19].i;
  const int64_t channels = x.shape[4] * multiplier, pixels = g.count(g.out);
  const int64_t size = g.count(g.window) * channels, all = x.shape[0] * pixels;
  const int64_t step = (all + chunks - 1) / chunks;
  for_elements(size * chunks, [&](int64_t job) {
    const int64_t at = job % size, channel = at % channels;
    const int64_t c = channel / multiplier;
    const Place k = place_of(at / channels, g.window);
    const int64_t begin = job / size * step;
    const int64_t end = begin + step < all ? begin + step : all;
    T sum = T(0);
    for (int64_t p = begin; p < end; ++p) {
      const Place o = place_of(p % pixels, g.out);
      Place i;
      if (!g.input(o, k, i)) continue;
      const T v =
          load(x.template ptr<S>(), pixel_offset(x, p / pixels, i) + c * x.stride[4]);
      const T d = load(dy.template ptr<S>(),
                       pixel_offset(dy, p / pixels, o) + channel * dy.stride[4]);
      sum = Traits<T>::fused(v, d, sum);
    }
    store(a.out[0].template ptr<W>(), job, sum);
  });
}

}  // namespace fastnn::device
