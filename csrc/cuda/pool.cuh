// SPDX-License-Identifier: Apache-2.0
// Pooling: a thread per element. Padding is no element, neither of a maximum nor of a
// mean. Stride 0 means adaptive windows, from floor(o n / m) to ceil((o + 1) n / m).
// Numbers: geometry.
#pragma once

#include "cuda/geometry.cuh"

namespace fastnn::device {

constexpr int kPoolNumbers = 18;

// What the window of output o covers on one axis, and where it begins.
struct Cover {
  int start[kSpatial], from[kSpatial], to[kSpatial];
};
FASTNN_DEVICE Cover cover_of(const Geometry& g, const Place& o) {
  Cover c;
  for (int d = 0; d < kSpatial; ++d) {
    const int64_t n = g.in[d], m = g.out[d], at = o.at[d];
    const bool adaptive = g.stride[d] == 0;
    const int64_t start = adaptive ? at * n / m : at * g.stride[d] - g.pad[d];
    const int64_t stop = adaptive ? ((at + 1) * n + m - 1) / m : start + g.window[d];
    c.start[d] = static_cast<int>(start);
    c.from[d] = static_cast<int>(start > 0 ? start : 0);
    c.to[d] = static_cast<int>(stop < n ? stop : n);
  }
  return c;
}

// f(place of an input, its number within the window), in row-major order.
template <class F>
FASTNN_DEVICE void for_cover(const Geometry& g, const Cover& c, F f) {
  Place i;
  for (i.at[0] = c.from[0]; i.at[0] < c.to[0]; ++i.at[0])
    for (i.at[1] = c.from[1]; i.at[1] < c.to[1]; ++i.at[1])
      for (i.at[2] = c.from[2]; i.at[2] < c.to[2]; ++i.at[2]) {
        int64_t number = 0;
        for (int d = 0; d < kSpatial; ++d)
          number = number * g.window[d] + (i.at[d] - c.start[d]);
        f(i, number);
      }
}

// The outputs [from, to) of an axis whose windows may cover input i.
FASTNN_DEVICE void outputs_over(const Geometry& g, int d, int i, int& from, int& to) {
  const int64_t n = g.in[d], m = g.out[d], at = i;
  int64_t first, last;
  if (g.stride[d] == 0) {
    first = at * m / n, last = ((at + 1) * m + n - 1) / n;
    // Windows overlap by rounding: one more on either side, checked by the caller.
    first -= 1, last += 1;
  } else {
    const int64_t t = at + g.pad[d];
    first = t < g.window[d] ? 0 : (t - g.window[d]) / g.stride[d] + 1;
    last = t / g.stride[d] + 1;
  }
  from = static_cast<int>(first > 0 ? first : 0);
  to = static_cast<int>(last < m ? last : m);
}

// f(output, its cover) for the windows that cover input i, in row-major order.
template <class F>
FASTNN_DEVICE void for_windows(const Geometry& g, const Place& i, F f) {
  int from[kSpatial], to[kSpatial];
  for (int d = 0; d < kSpatial; ++d)
    outputs_over(g, d, i.at[d], from[d], to[d]);
  Place o;
  for (o.at[0] = from[0]; o.at[0] < to[0]; ++o.at[0])
    for (o.at[1] = from[1]; o.at[1] < to[1]; ++o.at[1])
      for (o.at[2] = from[2]; o.at[2] < to[2]; ++o.at[2]) {
        const Cover c = cover_of(g, o);
        bool inside = true;
        for (int d = 0; d < kSpatial; ++d)
          inside = inside && i.at[d] >= c.from[d] && i.at[d] < c.to[d];
        if (inside) f(o, c);
      }
}

// Element `at` of a dense image: its image, place and channel.
struct Pixel {
  int64_t image, channel;
  Place at;
  FASTNN_DEVICE Pixel(int64_t i, const int (&size)[kSpatial], int64_t channels) {
    const int64_t pixel = i / channels, pixels = Geometry::count(size);
    image = pixel / pixels, channel = i % channels;
    at = place_of(pixel % pixels, size);
  }
  FASTNN_DEVICE int64_t in(const View& x, const Place& p) const {
    return pixel_offset(x, image, p) + channel * x.stride[4];
  }
};

// The largest element, the first of equals, the first NaN; its number in the window.
template <class S, class F>
FASTNN_DEVICE void largest(const Geometry& g, const View& x, const Pixel& p, F f) {
  using T = Computed<S>;
  T best = T(0);
  int64_t place = -1;
  for_cover(g, cover_of(g, p.at), [&](const Place& i, int64_t number) {
    const T v = load(x.ptr<S>(), p.in(x, i));
    if (place < 0 || v > best || (v != v && best == best)) best = v, place = number;
  });
  f(best, place);
}

template <class S>
FASTNN_DEVICE void max_pool(const Args<1, 1, kPoolNumbers>& a) {
  const Geometry g(a.number, 0);
  const View& y = a.out[0];
  for_elements(y.numel(), [&](int64_t at) {
    const Pixel p(at, g.out, a.in[0].shape[4]);
    largest<S>(g, a.in[0], p, [&](Computed<S> best, int64_t) {
      store(y.template ptr<S>(), at, best);
    });
  });
}

// I: the type of the number within the window.
template <class S, class I>
FASTNN_DEVICE void max_pool_with_index(const Args<1, 2, kPoolNumbers>& a) {
  const Geometry g(a.number, 0);
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Pixel p(at, g.out, a.in[0].shape[4]);
    largest<S>(g, a.in[0], p, [&](Computed<S> best, int64_t place) {
      store(a.out[0].template ptr<S>(), at, best);
      a.out[1].template ptr<I>()[at] = static_cast<I>(place);
    });
  });
}

// Number of input i within the window that covers it.
FASTNN_DEVICE int64_t number_in(const Geometry& g, const Cover& c, const Place& i) {
  int64_t number = 0;
  for (int d = 0; d < kSpatial; ++d)
    number = number * g.window[d] + (i.at[d] - c.start[d]);
  return number;
}

// Inputs dy, index.
template <class S, class I>
FASTNN_DEVICE void max_pool_grad(const Args<2, 1, kPoolNumbers>& a) {
  using T = Computed<S>;
  const Geometry g(a.number, 0);
  const View &dy = a.in[0], &index = a.in[1];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Pixel p(at, g.in, dy.shape[4]);
    T sum = T(0);
    for_windows(g, p.at, [&](const Place& o, const Cover& c) {
      const int64_t winner =
          static_cast<int64_t>(index.template ptr<I>()[p.in(index, o)]);
      if (winner == number_in(g, c, p.at))
        sum = sum + load(dy.template ptr<S>(), p.in(dy, o));
    });
    store(a.out[0].template ptr<S>(), at, sum);
  });
}

// Elements of x at the winners; inputs x, index.
template <class S, class I>
FASTNN_DEVICE void max_pool_take(const Args<2, 1, kPoolNumbers>& a) {
  const Geometry g(a.number, 0);
  const View &x = a.in[0], &index = a.in[1];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Pixel p(at, g.out, x.shape[4]);
    int64_t number = static_cast<int64_t>(index.template ptr<I>()[p.in(index, p.at)]);
    const Cover c = cover_of(g, p.at);
    Place i;
    for (int d = kSpatial - 1; d >= 0; --d) {
      i.at[d] = c.start[d] + static_cast<int>(number % g.window[d]);
      number /= g.window[d];
    }
    store(a.out[0].template ptr<S>(), at, load(x.template ptr<S>(), p.in(x, i)));
  });
}

template <class T>
FASTNN_DEVICE T count_of(const Cover& c) {
  int64_t n = 1;
  for (int d = 0; d < kSpatial; ++d)
    n *= c.to[d] - c.from[d];
  return static_cast<T>(n);
}

template <class S>
FASTNN_DEVICE void average_pool(const Args<1, 1, kPoolNumbers>& a) {
  using T = Computed<S>;
  const Geometry g(a.number, 0);
  const View& x = a.in[0];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Pixel p(at, g.out, x.shape[4]);
    const Cover c = cover_of(g, p.at);
    T sum = T(0);
    for_cover(g, c, [&](const Place& i, int64_t) {
      sum = sum + load(x.template ptr<S>(), p.in(x, i));
    });
    store(a.out[0].template ptr<S>(), at, sum / count_of<T>(c));
  });
}

template <class S>
FASTNN_DEVICE void average_pool_grad(const Args<1, 1, kPoolNumbers>& a) {
  using T = Computed<S>;
  const Geometry g(a.number, 0);
  const View& dy = a.in[0];
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const Pixel p(at, g.in, dy.shape[4]);
    T sum = T(0);
    for_windows(g, p.at, [&](const Place& o, const Cover& c) {
      sum = sum + load(dy.template ptr<S>(), p.in(dy, o)) / count_of<T>(c);
    });
    store(a.out[0].template ptr<S>(), at, sum);
  });
}

}  // namespace fastnn::device
