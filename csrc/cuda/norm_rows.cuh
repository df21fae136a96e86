// SPDX-License-Identifier: Apache-2.0
// Normalization of a sample's own elements: a block per row (layer and unit norm) or
// per image and group. Operands are dense.
#pragma once

#include "cuda/rows.cuh"

namespace fastnn::device {

template <class S>
FASTNN_DEVICE Row<S> dense_row(const View& x, int64_t r, int64_t n) {
  return {x.ptr<S>() + r * n, 1};
}
template <class S>
FASTNN_DEVICE Computed<S> value_at(const View& x, int64_t i) {
  return load(x.ptr<S>(), i);
}

// Inputs x, gamma, beta; outputs y, mean, r; numbers {rows, n, epsilon, centered}.
template <class S>
FASTNN_DEVICE void layer_norm(const Args<3, 3, 4>& a) {
  using T = Computed<S>;
  const int64_t rows = a.number[0].i, n = a.number[1].i;
  const T epsilon = static_cast<T>(a.number[2].f), scale = T(1) / static_cast<T>(n);
  const bool centered = a.number[3].i != 0;
  for_matrix_rows(rows, [&](int64_t row) {
    const Row<S> x = dense_row<S>(a.in[0], row, n), y = dense_row<S>(a.out[0], row, n);
    T mean = T(0);
    if (centered)
      mean = reduce_row<SumOp, T>(n, [&](int64_t i) { return x[i]; }) * scale;
    const T variance = reduce_row<SumOp, T>(n,
                                            [&](int64_t i) {
                                              const T d = x[i] - mean;
                                              return d * d;
                                            }) *
                       scale;
    const T r = T(1) / sqrt(variance + epsilon);
    map_row(n, [&](int64_t i) {
      y.set(i, (x[i] - mean) * r * value_at<S>(a.in[1], i) + value_at<S>(a.in[2], i));
    });
    if (threadIdx.x == 0) {
      store(a.out[1].template ptr<S>(), row, mean);
      store(a.out[2].template ptr<S>(), row, r);
    }
  });
}

// Inputs dy, x, gamma, mean, r; numbers {rows, n, centered}.
template <class S>
FASTNN_DEVICE void layer_norm_dx(const Args<5, 1, 3>& a) {
  using T = Computed<S>;
  const int64_t rows = a.number[0].i, n = a.number[1].i;
  const T scale = T(1) / static_cast<T>(n);
  const bool centered = a.number[2].i != 0;
  for_matrix_rows(rows, [&](int64_t row) {
    const Row<S> dy = dense_row<S>(a.in[0], row, n), x = dense_row<S>(a.in[1], row, n);
    const Row<S> dx = dense_row<S>(a.out[0], row, n);
    const T mean = value_at<S>(a.in[3], row), r = value_at<S>(a.in[4], row);
    const auto g = [&](int64_t i) { return dy[i] * value_at<S>(a.in[2], i); };
    T of_mean = T(0);
    if (centered) of_mean = reduce_row<SumOp, T>(n, g) * scale;
    const T of_xhat =
        reduce_row<SumOp, T>(n, [&](int64_t i) { return g(i) * ((x[i] - mean) * r); }) *
        scale;
    map_row(n, [&](int64_t i) {
      dx.set(i, r * (g(i) - of_mean - (x[i] - mean) * r * of_xhat));
    });
  });
}

// Partial sums over `number[2]` rows each: outputs dgamma, dbeta (chunks, n).
template <class S>
FASTNN_DEVICE void layer_norm_parameters(const Args<4, 2, 3>& a) {
  using T = Computed<S>;
  const int64_t rows = a.number[0].i, n = a.number[1].i, chunk = a.number[2].i;
  for_elements(a.out[0].numel(), [&](int64_t at) {
    const int64_t first = at / n * chunk, i = at % n;
    const int64_t last = first + chunk < rows ? first + chunk : rows;
    T gamma = T(0), beta = T(0);
    for (int64_t row = first; row < last; ++row) {
      const T dy = value_at<S>(a.in[0], row * n + i);
      const T x = value_at<S>(a.in[1], row * n + i);
      const T mean = value_at<S>(a.in[2], row), r = value_at<S>(a.in[3], row);
      gamma = gamma + dy * ((x - mean) * r);
      beta = beta + dy;
    }
    store(a.out[0].template ptr<S>(), at, gamma);
    store(a.out[1].template ptr<S>(), at, beta);
  });
}

// y = x scale, scale = min(1 / |x|, 1 / epsilon); numbers {rows, n, epsilon}.
template <class S>
FASTNN_DEVICE void unit_norm(const Args<1, 2, 3>& a) {
  using T = Computed<S>;
  const int64_t rows = a.number[0].i, n = a.number[1].i;
  const T limit = static_cast<T>(1 / a.number[2].f);
  for_matrix_rows(rows, [&](int64_t row) {
    const Row<S> x = dense_row<S>(a.in[0], row, n), y = dense_row<S>(a.out[0], row, n);
    const T sum = reduce_row<SumOp, T>(n, [&](int64_t i) { return x[i] * x[i]; });
    const T scale = minimum(T(1) / sqrt(sum), limit);
    map_row(n, [&](int64_t i) { y.set(i, x[i] * scale); });
    if (threadIdx.x == 0) store(a.out[1].template ptr<S>(), row, scale);
  });
}

// scale (dy - y sum(dy y)); scale dy where epsilon limits the scale.
template <class S>
FASTNN_DEVICE void unit_norm_grad(const Args<3, 1, 3>& a) {
  using T = Computed<S>;
  const int64_t rows = a.number[0].i, n = a.number[1].i;
  const T limit = static_cast<T>(1 / a.number[2].f);
  for_matrix_rows(rows, [&](int64_t row) {
    const Row<S> dy = dense_row<S>(a.in[0], row, n), y = dense_row<S>(a.in[1], row, n);
    const Row<S> dx = dense_row<S>(a.out[0], row, n);
    const T scale = value_at<S>(a.in[2], row);
    T dot = reduce_row<SumOp, T>(n, [&](int64_t i) { return dy[i] * y[i]; });
    if (!(scale < limit)) dot = T(0);
    map_row(n, [&](int64_t i) { dx.set(i, (dy[i] - y[i] * dot) * scale); });
  });
}

// -- groups: images (pixels, groups, channels); numbers {images, pixels, groups,
// channels}

struct Group {
  int64_t images, pixels, groups, channels;
  template <int n>
  explicit FASTNN_DEVICE Group(const Number (&number)[n])
      : images(number[0].i),
        pixels(number[1].i),
        groups(number[2].i),
        channels(number[3].i) {}
  FASTNN_DEVICE int64_t size() const { return pixels * channels; }
  // Where element i of group `job` lies, and its channel.
  FASTNN_DEVICE int64_t at(int64_t job, int64_t i) const {
    const int64_t all = groups * channels;
    return (job / groups * pixels + i / channels) * all + channel(job, i);
  }
  FASTNN_DEVICE int64_t channel(int64_t job, int64_t i) const {
    return job % groups * channels + i % channels;
  }
};

// Inputs x, gamma, beta; outputs y, mean, r; number 4 is epsilon.
template <class S>
FASTNN_DEVICE void group_norm(const Args<3, 3, 5>& a) {
  using T = Computed<S>;
  const Group g(a.number);
  const T epsilon = static_cast<T>(a.number[4].f);
  const T scale = T(1) / static_cast<T>(g.size());
  for_matrix_rows(g.images * g.groups, [&](int64_t job) {
    const auto x = [&](int64_t i) { return value_at<S>(a.in[0], g.at(job, i)); };
    const T mean = reduce_row<SumOp, T>(g.size(), x) * scale;
    const T variance = reduce_row<SumOp, T>(g.size(),
                                            [&](int64_t i) {
                                              const T d = x(i) - mean;
                                              return d * d;
                                            }) *
                       scale;
    const T r = T(1) / sqrt(variance + epsilon);
    map_row(g.size(), [&](int64_t i) {
      const int64_t c = g.channel(job, i);
      store(a.out[0].template ptr<S>(), g.at(job, i),
            (x(i) - mean) * r * value_at<S>(a.in[1], c) + value_at<S>(a.in[2], c));
    });
    if (threadIdx.x == 0) {
      store(a.out[1].template ptr<S>(), job, mean);
      store(a.out[2].template ptr<S>(), job, r);
    }
  });
}

// Inputs dy, x, gamma, mean, r.
template <class S>
FASTNN_DEVICE void group_norm_dx(const Args<5, 1, 4>& a) {
  using T = Computed<S>;
  const Group g(a.number);
  const T scale = T(1) / static_cast<T>(g.size());
  for_matrix_rows(g.images * g.groups, [&](int64_t job) {
    const T mean = value_at<S>(a.in[3], job), r = value_at<S>(a.in[4], job);
    const auto dy = [&](int64_t i) {
      return value_at<S>(a.in[0], g.at(job, i)) *
             value_at<S>(a.in[2], g.channel(job, i));
    };
    const auto xhat = [&](int64_t i) {
      return (value_at<S>(a.in[1], g.at(job, i)) - mean) * r;
    };
    const T of_mean = reduce_row<SumOp, T>(g.size(), dy) * scale;
    const T of_xhat =
        reduce_row<SumOp, T>(g.size(), [&](int64_t i) { return dy(i) * xhat(i); }) *
        scale;
    map_row(g.size(), [&](int64_t i) {
      store(a.out[0].template ptr<S>(), g.at(job, i),
            r * (dy(i) - of_mean - xhat(i) * of_xhat));
    });
  });
}

// Inputs dy, x, mean, r; sums over the pixels of each image and channel.
template <class S>
FASTNN_DEVICE void group_norm_parameters(const Args<4, 2, 4>& a) {
  using T = Computed<S>;
  const Group g(a.number);
  const int64_t all = g.groups * g.channels;
  for_elements(g.images * all, [&](int64_t at) {
    const int64_t image = at / all, c = at % all;
    const int64_t group = image * g.groups + c / g.channels;
    const T mean = value_at<S>(a.in[2], group), r = value_at<S>(a.in[3], group);
    T gamma = T(0), beta = T(0);
    for (int64_t p = 0; p < g.pixels; ++p) {
      const int64_t i = (image * g.pixels + p) * all + c;
      const T dy = value_at<S>(a.in[0], i);
      gamma = gamma + dy * ((value_at<S>(a.in[1], i) - mean) * r);
      beta = beta + dy;
    }
    store(a.out[0].template ptr<S>(), at, gamma);
    store(a.out[1].template ptr<S>(), at, beta);
  });
}

}  // namespace fastnn::device
