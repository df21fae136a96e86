// SPDX-License-Identifier: Apache-2.0
// Pooling against loops over every window in double, on a grid of shapes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

using Sizes = std::vector<int64_t>;

// Two spatial axes; the kernels treat one and three alike (tests/ops).
struct Case {
  int64_t batch, height, width, channels;
  Sizes window, strides, low, out;
};

int64_t first(const Case& c, int axis, int64_t o) {
  const auto a = static_cast<size_t>(axis);
  const int64_t n = axis ? c.width : c.height;
  return c.strides[a] ? o * c.strides[a] - c.low[a] : o * n / c.out[a];
}
int64_t last(const Case& c, int axis, int64_t o) {
  const auto a = static_cast<size_t>(axis);
  const int64_t n = axis ? c.width : c.height;
  const int64_t stop = c.strides[a] ? first(c, axis, o) + c.window[a]
                                    : ((o + 1) * n + c.out[a] - 1) / c.out[a];
  return std::min(stop, n);
}

// Calls f(output, input, number of the input in the window, inputs in the window) for
// every output and every input that its window covers.
template <class F>
void for_pairs(const Case& c, F f) {
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t p = 0; p < c.out[0]; ++p)
      for (int64_t q = 0; q < c.out[1]; ++q) {
        const int64_t top = std::max<int64_t>(first(c, 0, p), 0);
        const int64_t left = std::max<int64_t>(first(c, 1, q), 0);
        const int64_t count = (last(c, 0, p) - top) * (last(c, 1, q) - left);
        for (int64_t i = top; i < last(c, 0, p); ++i)
          for (int64_t j = left; j < last(c, 1, q); ++j)
            for (int64_t k = 0; k < c.channels; ++k)
              f(((n * c.out[0] + p) * c.out[1] + q) * c.channels + k,
                ((n * c.height + i) * c.width + j) * c.channels + k,
                (i - first(c, 0, p)) * c.window[1] + j - first(c, 1, q), count);
      }
}

Attrs attrs_of(const Case& c) {
  Attrs attrs(3);
  attrs[0].ints = c.window.data();
  attrs[1].ints = c.strides.data();
  attrs[2].ints = c.low.data();
  return attrs;
}

template <class T>
void check_close(const Array<T>& got, const std::vector<double>& want,
                 const std::string& what) {
  for (int64_t i = 0; i < got.size(); ++i) {
    const double w = want[static_cast<size_t>(i)];
    REQUIRE_MSG(close(got[i], w, sizeof(T) == 4 ? 2e-6 : 1e-14, 1e-6),
                what + " " + show(static_cast<double>(got[i]), w));
  }
}

template <class T>
void check_max(const Case& c, const Array<T>& x, const Array<T>& dy) {
  const T poison = std::numeric_limits<T>::quiet_NaN();
  const Attrs attrs = attrs_of(c);
  std::vector<double> want(dy.data.size(), -HUGE_VAL), grad(x.data.size());
  std::vector<int64_t> winner(dy.data.size()), number(dy.data.size());
  for_pairs(c, [&](int64_t o, int64_t i, int64_t place, int64_t) {
    const auto at = static_cast<size_t>(o);
    const auto v = static_cast<double>(x[i]);
    if (v > want[at]) want[at] = v, winner[at] = i, number[at] = place;
  });
  for (size_t o = 0; o < want.size(); ++o)
    grad[static_cast<size_t>(winner[o])] += static_cast<double>(dy.data[o]);
  Array<T> y(dy.shape, poison), z(dy.shape, poison), dx(x.shape, poison);
  Array<T> back(dy.shape, poison);
  Array<uint8_t> index(dy.shape, 0xee);
  run("max_pool", {x.view}, {y.view}, attrs);
  run("max_pool_with_index", {x.view}, {z.view, index.view}, attrs);
  run("max_pool_grad", {dy.view, index.view}, {dx.view}, attrs);
  run("max_pool_take", {x.view, index.view}, {back.view}, attrs);
  for (int64_t o = 0; o < y.size(); ++o) {
    const auto at = static_cast<size_t>(o);
    REQUIRE_MSG(static_cast<double>(y[o]) == want[at],
                show(static_cast<double>(y[o]), want[at]));
    REQUIRE(z[o] == y[o] && back[o] == y[o]);
    REQUIRE_MSG(index[o] == number[at], std::to_string(index[o]));
  }
  check_close(dx, grad, "max_pool_grad");
  require_same_for_all_parts("max_pool", {x.view}, {y.view}, attrs);
  require_same_for_all_parts("max_pool_with_index", {x.view}, {y.view, index.view},
                             attrs);
  require_same_for_all_parts("max_pool_grad", {dy.view, index.view}, {dx.view}, attrs);
}

template <class T>
void check_average(const Case& c, const Array<T>& x, const Array<T>& dy) {
  const T poison = std::numeric_limits<T>::quiet_NaN();
  const Attrs attrs = attrs_of(c);
  std::vector<double> want(dy.data.size()), grad(x.data.size());
  for_pairs(c, [&](int64_t o, int64_t i, int64_t, int64_t count) {
    const double part = 1.0 / static_cast<double>(count);
    want[static_cast<size_t>(o)] += static_cast<double>(x[i]) * part;
    grad[static_cast<size_t>(i)] += static_cast<double>(dy[o]) * part;
  });
  Array<T> y(dy.shape, poison), dx(x.shape, poison);
  run("average_pool", {x.view}, {y.view}, attrs);
  run("average_pool_grad", {dy.view}, {dx.view}, attrs);
  check_close(y, want, "average_pool");
  check_close(dx, grad, "average_pool_grad");
  require_same_for_all_parts("average_pool", {x.view}, {y.view}, attrs);
  require_same_for_all_parts("average_pool_grad", {dy.view}, {dx.view}, attrs);
}

template <class T>
void check_case(const Case& c) {
  const Array<T> x = uniform<T>({c.batch, c.height, c.width, c.channels}, -1, 1, 3);
  const Array<T> dy = uniform<T>({c.batch, c.out[0], c.out[1], c.channels}, -1, 1, 5);
  check_max(c, x, dy);
  check_average(c, x, dy);
}

template <class T>
void check_grid() {
  for (const int64_t channels : {1, 7, 16, 33, 64, 100})
    for (const int64_t size : {1, 2, 3, 5})
      for (const int64_t stride : {1, 2, 3, 4})
        for (const bool same : {false, true})
          for (const int64_t n : {5, 8}) {
            const int64_t wide = n + 3;
            Case c = {2, n, wide, channels, {size, size}, {stride, stride}, {0, 0}, {}};
            for (int a = 0; a < 2; ++a) {
              const int64_t in = a ? wide : n;
              const int64_t out =
                  same ? (in + stride - 1) / stride : (in - size) / stride + 1;
              const int64_t pads = std::max<int64_t>((out - 1) * stride + size - in, 0);
              c.out.push_back(out);
              c.low[static_cast<size_t>(a)] = same ? pads / 2 : 0;
            }
            check_case<T>(c);
          }
}

}  // namespace

TEST("pool: windows, strides and padding, float32") { check_grid<float>(); }
TEST("pool: windows, strides and padding, float64") { check_grid<double>(); }

TEST("pool: adaptive windows") {
  for (const int64_t n : {1, 4, 7, 12})
    for (const int64_t m : {1, 3, 5, 8}) {
      const int64_t window = (n + m - 1) / m + 1;
      check_case<float>({2, n, 6, 20, {window, 3}, {0, 0}, {0, 0}, {m, 4}});
    }
}

TEST("pool: the first of equals wins, NaN wins over all") {
  const Case c = {1, 1, 4, 1, {1, 2}, {1, 2}, {0, 0}, {1, 2}};
  const Array<float> x({1, 1, 4, 1}, {2, 2, NAN, HUGE_VALF});
  Array<float> y({1, 1, 2, 1});
  Array<uint8_t> index({1, 1, 2, 1}, 9);
  run("max_pool_with_index", {x.view}, {y.view, index.view}, attrs_of(c));
  REQUIRE(y[0] == 2 && index[0] == 0);
  REQUIRE(std::isnan(y[1]) && index[1] == 0);
}
