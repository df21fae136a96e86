// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution against loops over every output and tap in double, on a grid of
// shapes.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

struct Case {
  int64_t height, width, channels, multiplier;
  std::vector<int64_t> window, strides, dilation, low, out;
};
constexpr int64_t kBatch = 2;

// Calls f(input, weight, output) for every product of a convolution.
template <class F>
void for_products(const Case& c, F f) {
  const int64_t m = c.multiplier;
  for (int64_t n = 0; n < kBatch; ++n)
    for (int64_t p = 0; p < c.out[0]; ++p)
      for (int64_t q = 0; q < c.out[1]; ++q)
        for (int64_t a = 0; a < c.window[0]; ++a)
          for (int64_t b = 0; b < c.window[1]; ++b) {
            const int64_t i = p * c.strides[0] - c.low[0] + a * c.dilation[0];
            const int64_t j = q * c.strides[1] - c.low[1] + b * c.dilation[1];
            if (i < 0 || i >= c.height || j < 0 || j >= c.width) continue;
            for (int64_t k = 0; k < c.channels * m; ++k)
              f(((n * c.height + i) * c.width + j) * c.channels + k / m,
                (a * c.window[1] + b) * c.channels * m + k,
                ((n * c.out[0] + p) * c.out[1] + q) * c.channels * m + k);
          }
}

template <class T>
void check_close(const Array<T>& got, const std::vector<double>& want,
                 const std::string& what) {
  for (int64_t i = 0; i < got.size(); ++i) {
    const double w = want[static_cast<size_t>(i)];
    const double atol = sizeof(T) == 4 ? 1e-5 : 1e-13;
    REQUIRE_MSG(close(got[i], w, sizeof(T) == 4 ? 1e-5 : 1e-13, atol),
                what + " " + show(static_cast<double>(got[i]), w));
  }
}

template <class T>
void check_case(const Case& c) {
  const T poison = std::numeric_limits<T>::quiet_NaN();
  const std::vector<int64_t> image = {kBatch, c.height, c.width, c.channels};
  const std::vector<int64_t> outputs = {kBatch, c.out[0], c.out[1],
                                        c.channels * c.multiplier};
  const std::vector<int64_t> filter = {c.window[0], c.window[1], c.channels,
                                       c.multiplier};
  const Array<T> x = uniform<T>(image, -1, 1, 3), dy = uniform<T>(outputs, -1, 1, 4);
  const Array<T> w = uniform<T>(filter, -1, 1, 5);
  Array<T> y(outputs, poison), dx(image, poison), dw(filter, poison);
  std::vector<double> want_y(y.data.size()), want_dx(x.data.size());
  std::vector<double> want_dw(w.data.size());
  for_products(c, [&](int64_t i, int64_t k, int64_t o) {
    const auto g = static_cast<double>(dy[o]);
    want_y[static_cast<size_t>(o)] +=
        static_cast<double>(x[i]) * static_cast<double>(w[k]);
    want_dx[static_cast<size_t>(i)] += g * static_cast<double>(w[k]);
    want_dw[static_cast<size_t>(k)] += g * static_cast<double>(x[i]);
  });
  // With a bias and ReLU, which the other two do not know.
  const Array<T> bias = uniform<T>({outputs[3]}, -1, 1, 6);
  for (size_t o = 0; o < want_y.size(); ++o) {
    const int64_t channel = static_cast<int64_t>(o) % outputs[3];
    want_y[o] = std::max(want_y[o] + static_cast<double>(bias[channel]), 0.0);
  }
  Attrs attrs(5);
  attrs[3].i = 1, attrs[4].f = 1;
  attrs[0].ints = c.strides.data();
  attrs[1].ints = c.dilation.data();
  attrs[2].ints = c.low.data();
  run("depthwise_conv", {x.view, w.view, bias.view}, {y.view}, attrs);
  run("depthwise_conv_grad_input", {dy.view, w.view}, {dx.view}, attrs);
  run("depthwise_conv_grad_kernel", {x.view, dy.view}, {dw.view}, attrs);
  check_close(y, want_y, "depthwise_conv");
  check_close(dx, want_dx, "depthwise_conv_grad_input");
  check_close(dw, want_dw, "depthwise_conv_grad_kernel");
  require_same_for_all_parts("depthwise_conv", {x.view, w.view, bias.view}, {y.view},
                             attrs);
  require_same_for_all_parts("depthwise_conv_grad_input", {dy.view, w.view}, {dx.view},
                             attrs);
  require_same_for_all_parts("depthwise_conv_grad_kernel", {x.view, dy.view}, {dw.view},
                             attrs);
}

Case make_case(int64_t n, int64_t channels, int64_t multiplier, int64_t size,
               int64_t stride, int64_t dilation, bool same) {
  Case c = {n,
            n + 5,
            channels,
            multiplier,
            {size, size},
            {stride, stride},
            {dilation, dilation},
            {0, 0},
            {}};
  const int64_t span = (size - 1) * dilation + 1;
  for (size_t a = 0; a < 2; ++a) {
    const int64_t in = a ? c.width : c.height;
    const int64_t out = same        ? (in + stride - 1) / stride
                        : in < span ? 0
                                    : (in - span) / stride + 1;
    const int64_t pads = std::max<int64_t>((out - 1) * stride + span - in, 0);
    c.out.push_back(out);
    c.low[a] = same ? pads / 2 : 0;
  }
  return c;
}

template <class T>
void check_grid() {
  for (const int64_t channels : {1, 7, 16, 40})
    for (const int64_t size : {1, 2, 3, 5, 7})
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t dilation : {1, 2})
          for (const bool same : {false, true})
            for (const int64_t n : {5, 12})
              check_case<T>(make_case(n, channels, 1, size, stride, dilation, same));
}

}  // namespace

TEST("depthwise: windows, strides, dilation and padding, float32") {
  check_grid<float>();
}
TEST("depthwise: windows, strides, dilation and padding, float64") {
  check_grid<double>();
}
TEST("depthwise: several filters per channel") {
  for (const int64_t multiplier : {2, 3})
    for (const int64_t stride : {1, 2}) {
      check_case<float>(make_case(6, 5, multiplier, 3, stride, 1, true));
    }
}
