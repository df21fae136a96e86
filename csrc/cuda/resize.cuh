// SPDX-License-Identifier: Apache-2.0
// Resizing along one axis of (before, n, behind), and its gradient: a thread per
// element. Weights are those of csrc/kernels/resize.cpp, computed in double where they
// are used. Numbers {method, antialias, inputs, outputs} of the forward direction.
#pragma once

#include "cuda/prelude.cuh"

namespace fastnn::device {

enum Interpolation { kNearest, kBilinear, kBicubic, kLanczos3, kLanczos5 };

FASTNN_DEVICE double sinc(double x) {
  constexpr double kPi = 3.14159265358979323846;
  return x == 0 ? 1 : ::sin(kPi * x) / (kPi * x);
}

struct Resizing {
  int64_t method, in, out;
  double scale, kernel_scale, radius;

  template <int n>
  explicit FASTNN_DEVICE Resizing(const Number (&number)[n])
      : method(number[0].i), in(number[2].i), out(number[3].i) {
    scale = static_cast<double>(in) / static_cast<double>(out);
    kernel_scale = number[1].i && scale > 1 ? scale : 1;
    const double reach = method == kLanczos5   ? 5
                         : method == kLanczos3 ? 3
                         : method == kBicubic  ? 2
                                               : 1;
    radius = reach * kernel_scale;
  }

  // At distance x, in units of the kernel's scale.
  FASTNN_DEVICE double kernel(double x) const {
    x = x < 0 ? -x : x;
    if (method == kBilinear) return x < 1 ? 1 - x : 0;
    if (method == kBicubic) {  // Keys 1981, a = -1/2
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    }
    const double reach = method == kLanczos3 ? 3 : 5;
    return x < reach ? sinc(x) * sinc(x / reach) : 0;
  }
  FASTNN_DEVICE double middle(int64_t o) const {
    return (static_cast<double>(o) + 0.5) * scale;
  }
  FASTNN_DEVICE double weight(int64_t o, int64_t i) const {
    return kernel((static_cast<double>(i) - (middle(o) - 0.5)) / kernel_scale);
  }
  // The inputs [first, last] that output o reads.
  FASTNN_DEVICE void reads(int64_t o, int64_t& first, int64_t& last) const {
    if (method == kNearest) {
      const int64_t i = static_cast<int64_t>(middle(o));
      first = last = i < in ? i : in - 1;
      return;
    }
    first = static_cast<int64_t>(::ceil(middle(o) - 0.5 - radius));
    last = static_cast<int64_t>(::floor(middle(o) - 0.5 + radius));
    if (first < 0) first = 0;
    if (last >= in) last = in - 1;
  }
  FASTNN_DEVICE double total(int64_t o, int64_t first, int64_t last) const {
    if (method == kNearest) return 1;
    double sum = 0;
    for (int64_t i = first; i <= last; ++i)
      sum += weight(o, i);
    return sum;
  }
  FASTNN_DEVICE double share(int64_t o, int64_t i, double sum) const {
    return method == kNearest ? 1 : weight(o, i) / sum;
  }
};

// S: stored type, W: of the result, float between the two axes of 16-bit images.
template <class S, class W>
FASTNN_DEVICE void resize_axis(const Args<1, 1, 4>& a) {
  using T = Computed<S>;
  const Resizing r(a.number);
  const View &x = a.in[0], &y = a.out[0];
  const int64_t behind = y.shape[2];
  for_elements(y.numel(), [&](int64_t at) {
    const int64_t o = at / behind % r.out, before = at / (behind * r.out);
    int64_t first, last;
    r.reads(o, first, last);
    const double total = r.total(o, first, last);
    const int64_t from = before * x.stride[0] + at % behind * x.stride[2];
    T sum = T(0);
    for (int64_t i = first; i <= last; ++i)
      sum = sum + load(x.template ptr<S>(), from + i * x.stride[1]) *
                      static_cast<T>(r.share(o, i, total));
    store(y.template ptr<W>(), at, sum);
  });
}

// dx of input i from the outputs that read it.
template <class S, class W>
FASTNN_DEVICE void resize_axis_grad(const Args<1, 1, 4>& a) {
  using T = Computed<S>;
  const Resizing r(a.number);
  const View &dy = a.in[0], &dx = a.out[0];
  const int64_t behind = dx.shape[2];
  for_elements(dx.numel(), [&](int64_t at) {
    const int64_t i = at / behind % r.in, before = at / (behind * r.in);
    const int64_t from = before * dy.stride[0] + at % behind * dy.stride[2];
    // Outputs whose middle is near enough, and one more on either side.
    const double low = (static_cast<double>(i) + 0.5 - r.radius - 1) / r.scale - 1.5;
    const double high = (static_cast<double>(i) + 0.5 + r.radius + 1) / r.scale + 0.5;
    const int64_t begin = low > 0 ? static_cast<int64_t>(low) : 0;
    const int64_t end = static_cast<int64_t>(high) + 1;
    T sum = T(0);
    for (int64_t o = begin; o <= end && o < r.out; ++o) {
      int64_t first, last;
      r.reads(o, first, last);
      if (i < first || i > last) continue;
      const double share = r.share(o, i, r.total(o, first, last));
      sum = sum +
            load(dy.template ptr<S>(), from + o * dy.stride[1]) * static_cast<T>(share);
    }
    store(dx.template ptr<W>(), at, sum);
  });
}

}  // namespace fastnn::device
