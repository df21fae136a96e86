// SPDX-License-Identifier: Apache-2.0
// Normalization and softmax kernels beside plain loops in double, in 1, 3 and 7 parts
// into poisoned memory, over sizes around vectors, blocks of rows and chunks.
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

struct Statistics {
  double mean = 0, variance = 0;
};
template <class Get>
Statistics statistics(int64_t n, Get get) {
  Statistics s;
  for (int64_t i = 0; i < n; ++i)
    s.mean += get(i) / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i)
    s.variance += (get(i) - s.mean) * (get(i) - s.mean) / static_cast<double>(n);
  return s;
}

template <class T>
double tolerance() {
  return sizeof(T) == 4 ? 2e-5 : 1e-12;
}

template <class T>
void require_close(T got, double want, const std::string& what) {
  REQUIRE_MSG(close(got, want, tolerance<T>(), tolerance<T>()),
              what + " " + show(double(got), want));
}

constexpr double kEpsilon = 1e-2;

// x as (outer, channels, inner), a mean per channel.
template <class T>
void check_batch(int64_t outer, int64_t channels, int64_t inner) {
  const bool last = inner == 1;
  const std::vector<int64_t> shape = last
                                         ? std::vector<int64_t>{outer, channels}
                                         : std::vector<int64_t>{outer, channels, inner};
  const Array<T> x = uniform<T>(shape, 3, 5, 1), dy = uniform<T>(shape, -1, 1, 2);
  const Array<T> gamma = uniform<T>({channels}, 0.5, 2, 3);
  const Array<T> beta = uniform<T>({channels}, -1, 1, 4);
  Array<T> y(shape), mean({channels}), variance({channels});
  const Attrs attrs = {attr(1), attr(kEpsilon)};
  const Views in = {x.view, gamma.view, beta.view};
  run("batch_norm", in, {y.view, mean.view, variance.view}, attrs);
  Array<T> dx(shape), dgamma({channels}), dbeta({channels});
  const Views grad_in = {dy.view, x.view, gamma.view, mean.view, variance.view};
  run("batch_norm_grad", grad_in, {dx.view, dgamma.view, dbeta.view}, attrs);
  const int64_t n = outer * inner;
  for (int64_t c = 0; c < channels; ++c) {
    const auto place = [&](int64_t i) {
      return (i / inner * channels + c) * inner + i % inner;
    };
    const Statistics s = statistics(n, [&](int64_t i) { return double(x[place(i)]); });
    require_close(mean[c], s.mean, "mean");
    require_close(variance[c], s.variance, "variance");
    const double r = 1 / std::sqrt(s.variance + kEpsilon);
    double sum = 0, sum_xhat = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double xhat = (x[place(i)] - s.mean) * r;
      require_close(y[place(i)], xhat * gamma[c] + beta[c], "y");
      sum += dy[place(i)];
      sum_xhat += dy[place(i)] * xhat;
    }
    require_close(dbeta[c], sum, "dbeta");
    require_close(dgamma[c], sum_xhat, "dgamma");
    for (int64_t i = 0; i < n; ++i) {
      const double xhat = (x[place(i)] - s.mean) * r;
      const double want = (dy[place(i)] - (sum + xhat * sum_xhat) / double(n)) * r;
      require_close(dx[place(i)], want * gamma[c], "dx");
    }
  }
  require_same_for_all_parts("batch_norm", in, {y.view, mean.view, variance.view},
                             attrs);
  require_same_for_all_parts("batch_norm_grad", grad_in,
                             {dx.view, dgamma.view, dbeta.view}, attrs);
  const Views given = {x.view, mean.view, variance.view, gamma.view, beta.view};
  require_same_for_all_parts("batch_norm_apply", given, {y.view}, attrs);
}

template <class T>
void check_layer(int64_t rows, int64_t n, bool centered) {
  const Array<T> x = uniform<T>({rows, n}, 3, 5, 1),
                 dy = uniform<T>({rows, n}, -1, 1, 2);
  const Array<T> gamma = uniform<T>({n}, 0.5, 2, 3), beta = uniform<T>({n}, -1, 1, 4);
  Array<T> y({rows, n}), mean({rows}), r({rows});
  const Attrs attrs = {attr(1), attr(kEpsilon), attr(int(centered))};
  const Views in = {x.view, gamma.view, beta.view};
  const Views out = {y.view, mean.view, r.view};
  run("layer_norm", in, out, attrs);
  const int64_t chunks = (rows + 7) / 8;
  Array<T> dx({rows, n}), dgamma({chunks, n}), dbeta({chunks, n});
  const Views grad_in = {dy.view, x.view, gamma.view, mean.view, r.view};
  const Views grad_out = {dx.view, dgamma.view, dbeta.view};
  const Attrs grad_attrs = {attr(1), attr(int(centered))};
  run("layer_norm_grad", grad_in, grad_out, grad_attrs);
  std::vector<double> sums(static_cast<size_t>(n)), sums_xhat(sums);
  for (int64_t i = 0; i < rows; ++i) {
    Statistics s = statistics(n, [&](int64_t j) { return double(x[i * n + j]); });
    if (!centered) s = {0, s.variance + s.mean * s.mean};
    const double scale = 1 / std::sqrt(s.variance + kEpsilon);
    require_close(mean[i], s.mean, "mean");
    double sum = 0, sum_xhat = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double xhat = (x[i * n + j] - s.mean) * scale, g = dy[i * n + j];
      require_close(y[i * n + j], xhat * gamma[j] + beta[j], "y");
      sum += g * gamma[j];
      sum_xhat += g * gamma[j] * xhat;
      sums[static_cast<size_t>(j)] += g;
      sums_xhat[static_cast<size_t>(j)] += g * xhat;
    }
    if (!centered) sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double xhat = (x[i * n + j] - s.mean) * scale;
      const double want =
          (dy[i * n + j] * gamma[j] - (sum + xhat * sum_xhat) / double(n)) * scale;
      require_close(dx[i * n + j], want, "dx");
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    double b = 0, g = 0;
    for (int64_t k = 0; k < chunks; ++k)
      b += dbeta[k * n + j], g += dgamma[k * n + j];
    require_close(static_cast<T>(b), sums[static_cast<size_t>(j)], "dbeta");
    require_close(static_cast<T>(g), sums_xhat[static_cast<size_t>(j)], "dgamma");
  }
  require_same_for_all_parts("layer_norm", in, out, attrs);
  require_same_for_all_parts("layer_norm_grad", grad_in, grad_out, grad_attrs);
}

template <class T>
void check_softmax(int64_t outer, int64_t n, int64_t inner) {
  const Array<T> x = uniform<T>({outer, n, inner}, -4, 4, 1);
  const Array<T> dy = uniform<T>({outer, n, inner}, -1, 1, 2);
  Array<T> y({outer, n, inner}), dx({outer, n, inner}), log_y({outer, n, inner});
  const Attrs attrs = {attr(1)};
  run("softmax", {x.view}, {y.view}, attrs);
  run("softmax_grad", {dy.view, y.view}, {dx.view}, attrs);
  run("log_softmax", {x.view}, {log_y.view}, attrs);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t c = 0; c < inner; ++c) {
      const auto place = [&](int64_t i) { return (o * n + i) * inner + c; };
      double sum = 0, dot = 0;
      for (int64_t i = 0; i < n; ++i)
        sum += std::exp(double(x[place(i)]));
      for (int64_t i = 0; i < n; ++i)
        dot += dy[place(i)] * std::exp(double(x[place(i)])) / sum;
      for (int64_t i = 0; i < n; ++i) {
        const double p = std::exp(double(x[place(i)])) / sum;
        require_close(y[place(i)], p, "softmax");
        require_close(log_y[place(i)], std::log(p), "log_softmax");
        require_close(dx[place(i)], p * (dy[place(i)] - dot), "softmax_grad");
      }
    }
  }
  require_same_for_all_parts("softmax", {x.view}, {y.view}, attrs);
  require_same_for_all_parts("log_softmax", {x.view}, {y.view}, attrs);
  require_same_for_all_parts("softmax_grad", {dy.view, y.view}, {dx.view}, attrs);
  require_same_for_all_parts("log_softmax_grad", {dy.view, log_y.view}, {dx.view},
                             attrs);
}

template <class T>
void check_all() {
  for (const int64_t channels : {1, 3, 16, 19, 70}) {
    for (const int64_t outer : {1, 7, 8, 9, 270})
      check_batch<T>(outer, channels, 1);
    check_batch<T>(3, channels, 30);
  }
  check_batch<T>(2, 3, 2500);
  for (const bool centered : {true, false}) {
    for (const int64_t n : {1, 10, 16, 33, 600, 2100}) {
      for (const int64_t rows : {1, 7, 13, 70})
        check_layer<T>(rows, n, centered);
    }
  }
  for (const int64_t inner : {1, 3, 16, 70, 150}) {
    for (const int64_t n : {1, 10, 33, 600})
      check_softmax<T>(3, n, inner);
  }
  check_softmax<T>(40, 10, 1);
  check_softmax<T>(1, 10, 200);
}

}  // namespace

TEST("norm: batch, layer and softmax kernels, float32") { check_all<float>(); }
TEST("norm: batch, layer and softmax kernels, float64") { check_all<double>(); }

TEST("norm: group norm of one group is layer norm, of all channels batch norm") {
  const Array<float> x = uniform<float>({1, 9, 6}, 3, 5);
  const Array<float> gamma({6}, 1.0f), beta({6}, 0.0f);
  const Array<float> wide({9, 6}, 1.0f), zero({9, 6}, 0.0f);
  Array<float> y({1, 9, 6}), want({1, 9, 6}), a({1}), b({1}), c({6}), d({6});
  run("group_norm", {x.view, gamma.view, beta.view}, {y.view, a.view, b.view},
      {attr(1), attr(kEpsilon)});
  run("layer_norm", {x.view, wide.view, zero.view}, {want.view, a.view, b.view},
      {attr(1), attr(kEpsilon), attr(1)});
  for (int64_t i = 0; i < y.size(); ++i)
    require_close(y[i], want[i], "one group");
  run("group_norm", {x.view, gamma.view, beta.view}, {y.view, c.view, d.view},
      {attr(6), attr(kEpsilon)});
  run("batch_norm", {x.view, gamma.view, beta.view}, {want.view, c.view, d.view},
      {attr(2), attr(kEpsilon)});
  for (int64_t i = 0; i < y.size(); ++i)
    require_close(y[i], want[i], "a group per channel");
}
