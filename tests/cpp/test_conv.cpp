// SPDX-License-Identifier: Apache-2.0
// The convolution kernels against a plain loop in double over a grid of shapes,
// strides, dilations, pads, groups and layouts; outputs are poisoned first.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernel_test.hpp"

namespace {

using namespace kernel_test;

using Ints = std::vector<int64_t>;

// One convolution with D, H, W axes; `spatial` of them exist for the kernel.
struct Case {
  int spatial;
  Ints in, kernel, stride, dilation, pad, out;
  int64_t images, groups, c, oc;  // channels per group

  std::string name() const {
    std::string s;
    const auto add = [&](const char* what, const Ints& v) {
      s += what;
      for (const int64_t x : v)
        s += std::to_string(x) + " ";
    };
    add("axes ", {spatial});
    add("in ", in), add("kernel ", kernel), add("stride ", stride);
    add("dilation ", dilation), add("pad ", pad), add("out ", out);
    add("n g c oc ", {images, groups, c, oc});
    return s;
  }
  Ints shape(int64_t first, const Ints& size, int64_t last) const {
    Ints s = {first};
    s.insert(s.end(), size.end() - spatial, size.end());
    s.push_back(last);
    return s;
  }
  Ints x_shape() const { return shape(images, in, c * groups); }
  Ints y_shape() const { return shape(images, out, oc * groups); }
  Ints w_shape() const {
    Ints s(kernel.end() - spatial, kernel.end());
    s.push_back(c), s.push_back(oc * groups);
    return s;
  }
  Ints tail(const Ints& v) const { return Ints(v.end() - spatial, v.end()); }
};

// f(x index, w index, y index) for every product of the convolution.
template <class F>
void for_products(const Case& q, F f) {
  const Ints &I = q.in, &O = q.out, &K = q.kernel;
  for (int64_t n = 0; n < q.images; ++n)
    for (int64_t o = 0; o < O[0] * O[1] * O[2]; ++o)
      for (int64_t k = 0; k < K[0] * K[1] * K[2]; ++k) {
        const int64_t at[3] = {o / (O[1] * O[2]), o / O[2] % O[1], o % O[2]};
        const int64_t tap[3] = {k / (K[1] * K[2]), k / K[2] % K[1], k % K[2]};
        int64_t i = n;
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          const int64_t p = at[a] * q.stride[a] + tap[a] * q.dilation[a] - q.pad[a];
          inside = inside && p >= 0 && p < I[a];
          i = i * I[a] + p;
        }
        if (!inside) continue;
        const int64_t pixel = n * O[0] * O[1] * O[2] + o;
        for (int64_t g = 0; g < q.groups; ++g)
          for (int64_t c = 0; c < q.c; ++c)
            for (int64_t j = 0; j < q.oc; ++j) {
              const int64_t col = g * q.oc + j;
              f((i * q.groups + g) * q.c + c, (k * q.c + c) * q.groups * q.oc + col,
                pixel * q.groups * q.oc + col);
            }
      }
}

// The sum and the sum of magnitudes, which bounds the rounding error.
struct Exact {
  std::vector<double> sum, magnitude;
  explicit Exact(int64_t size) : sum(size), magnitude(size) {}
  void add(int64_t i, double a, double b) {
    sum[i] += a * b;
    magnitude[i] += std::fabs(a * b);
  }
};

template <class T>
void require_result(const Array<T>& got, const Exact& want, const std::string& where) {
  const double eps = std::numeric_limits<T>::epsilon();
  for (int64_t i = 0; i < got.size(); ++i) {
    const double bound = eps * (300 * want.magnitude[i] + 4);
    REQUIRE_MSG(std::fabs(static_cast<double>(got[i]) - want.sum[i]) <= bound,
                where + " at " + std::to_string(i) + ": " + show(got[i], want.sum[i]));
  }
}

// The same values with the channels before the spatial axes, or backwards in memory.
enum Layout { kDense, kChannelsFirst, kBackwards, kLayouts };

template <class T>
struct Moved {
  std::vector<T> memory;
  TensorView view;

  Moved(const Array<T>& a, Layout layout) : memory(a.data), view(a.view) {
    view.data = memory.data();
    const int last = view.ndim - 1;
    if (layout == kDense || a.size() == 0) return;
    if (layout == kBackwards) {
      std::vector<T> reversed(memory.rbegin(), memory.rend());
      memory = reversed;
      view.data = memory.data() + memory.size() - 1;
      for (int d = 0; d <= last; ++d)
        view.stride[d] = -view.stride[d];
      return;
    }
    const int64_t channels = view.shape[last], inner = a.size() / view.shape[0];
    const int64_t pixels = inner / channels;
    for (int64_t i = 0; i < a.size(); ++i) {
      const int64_t n = i / inner, p = i % inner / channels, c = i % channels;
      memory[n * inner + c * pixels + p] = a[i];
    }
    for (int d = 1; d < last; ++d)
      view.stride[d] /= channels;
    view.stride[last] = pixels;
  }
};

fastnn::AttrValue list(const Ints& v) {
  fastnn::AttrValue a;
  a.ints = v.data();
  return a;
}

template <class T>
void run_case(const Case& q, Layout layout) {
  const std::string where = q.name() + " layout " + std::to_string(layout);
  const Array<T> x = uniform<T>(q.x_shape(), -1, 1, 1);
  const Array<T> w = uniform<T>(q.w_shape(), -1, 1, 2);
  const Array<T> dy = uniform<T>(q.y_shape(), -1, 1, 3);
  const Array<T> b = uniform<T>({q.oc * q.groups}, -1, 1, 4);
  const Array<T> none({0});
  const T nan = std::numeric_limits<T>::quiet_NaN();
  Array<T> y(q.y_shape(), nan), dx(q.x_shape(), nan), dw(q.w_shape(), nan);
  Exact ey(y.size()), ex(x.size()), ew(w.size());
  for (int64_t i = 0; i < y.size(); ++i)
    ey.add(i, b[i % b.size()], 1);
  for_products(q, [&](int64_t i, int64_t k, int64_t o) {
    ey.add(o, x[i], w[k]);
    ex.add(i, dy[o], w[k]);
    ew.add(k, x[i], dy[o]);
  });
  const Ints stride = q.tail(q.stride), dilation = q.tail(q.dilation);
  const Ints pad = q.tail(q.pad);
  Attrs attrs = {list(stride), list(dilation),
                 list(pad),    attr(static_cast<int>(q.groups)),
                 attr(0),      attr(1.0)};
  const Attrs filter(attrs.begin(), attrs.end() - 2);
  const Moved<T> mx(x, layout), mw(w, layout == kChannelsFirst ? kBackwards : layout);
  const Moved<T> mdy(dy, layout);
  run("conv", {mx.view, mw.view, b.view}, {y.view}, attrs);
  require_result(y, ey, "conv " + where);
  run("conv_transpose", {mdy.view, mw.view, none.view}, {dx.view}, attrs);
  require_result(dx, ex, "conv_transpose " + where);
  run("conv_grad_kernel", {mx.view, mdy.view}, {dw.view}, filter);
  require_result(dw, ew, "conv_grad_kernel " + where);
  // The activation gradient: where y (here x) is positive.
  Array<T> masked(q.x_shape(), nan);
  attrs[4] = attr(1);
  run("conv_grad_input", {mdy.view, mw.view, mx.view}, {masked.view}, attrs);
  for (int64_t i = 0; i < x.size(); ++i) {
    const T expected = x[i] > 0 ? dx[i] : T(0);
    REQUIRE_MSG(masked[i] == expected, "conv_grad_input " + where);
  }
  require_same_for_all_parts("conv", {mx.view, mw.view, b.view}, {y.view}, attrs);
  require_same_for_all_parts("conv_transpose", {mdy.view, mw.view, none.view},
                             {dx.view}, attrs);
  require_same_for_all_parts("conv_grad_kernel", {mx.view, mdy.view}, {dw.view},
                             filter);
}

Case make(int spatial, Ints in, Ints kernel, Ints stride, Ints dilation, Ints pad,
          Ints high, int64_t images, int64_t groups, int64_t c, int64_t oc) {
  Case q = {spatial, in, kernel, stride, dilation, pad, {}, images, groups, c, oc};
  for (int a = 0; a < 3; ++a) {
    const int64_t reach = (kernel[a] - 1) * dilation[a] + 1;
    q.out.push_back((in[a] + pad[a] + high[a] - reach) / stride[a] + 1);
  }
  return q;
}

template <class T>
void run_layouts(const Case& q) {
  for (int layout = 0; layout < kLayouts; ++layout)
    run_case<T>(q, static_cast<Layout>(layout));
}

}  // namespace

TEST("conv: kernels, strides and dilations of two axes") {
  for (const int64_t k : {1, 2, 3, 5})
    for (const int64_t s : {1, 2, 3})
      for (const int64_t d : {1, 2}) {
        const Ints stride = {1, s, s == 2 ? 1 : s}, dilation = {1, d, d};
        const int64_t pad = (k - 1) * d / 2;
        run_layouts<float>(make(2, {1, 9, 10}, {1, k, k}, stride, dilation,
                                {0, pad, pad}, {0, pad, pad}, 2, 1, 3, 5));
        run_layouts<double>(make(2, {1, 11, 9}, {1, k, 1}, stride, dilation, {0, 0, 0},
                                 {0, 0, 0}, 1, 1, 4, 3));
      }
}

TEST("conv: channels around the vector and the tile") {
  for (const int64_t c : {1, 7, 8, 17})
    for (const int64_t oc : {1, 15, 16, 33, 64}) {
      const Ints ones = {1, 1, 1}, pad = {0, 1, 1};
      run_case<float>(make(2, {1, 6, 7}, {1, 3, 3}, ones, ones, pad, pad, 2, 1, c, oc),
                      kDense);
      run_case<double>(
          make(2, {1, 3, 5}, {1, 1, 1}, ones, ones, {0, 0, 0}, {0, 0, 0}, 9, 1, c, oc),
          kChannelsFirst);
    }
}

TEST("conv: one and three axes, groups, uneven and negative pads") {
  const Ints ones = {1, 1, 1};
  run_layouts<float>(make(1, {1, 1, 40}, {1, 1, 4}, {1, 1, 2}, {1, 1, 3}, {0, 0, 9},
                          {0, 0, 0}, 3, 2, 3, 9));
  run_layouts<float>(make(3, {4, 5, 6}, {2, 3, 3}, {2, 1, 2}, {1, 1, 2}, {1, 0, 2},
                          {0, 1, 1}, 2, 1, 2, 18));
  run_layouts<double>(
      make(2, {1, 6, 7}, {1, 3, 2}, ones, ones, {0, -1, 2}, {0, 1, -1}, 2, 3, 2, 4));
  run_layouts<float>(
      make(2, {1, 4, 4}, {1, 1, 2}, {1, 3, 3}, ones, {0, 0, 0}, {0, 0, 0}, 1, 5, 1, 1));
}

TEST("conv: more than one window, block of k and image per window") {
  const Ints ones = {1, 1, 1}, pad = {0, 1, 1};
  run_case<float>(make(2, {1, 40, 41}, {1, 3, 3}, ones, ones, pad, pad, 1, 1, 70, 8),
                  kDense);
  run_case<float>(make(2, {1, 5, 4}, {1, 3, 3}, ones, ones, pad, pad, 3, 1, 256, 20),
                  kDense);
  run_case<double>(
      make(2, {1, 40, 30}, {1, 3, 3}, {1, 2, 2}, ones, pad, pad, 1, 1, 64, 9),
      kChannelsFirst);
  run_case<float>(
      make(3, {9, 20, 20}, {3, 3, 3}, ones, ones, {1, 1, 1}, {1, 1, 1}, 1, 1, 40, 3),
      kDense);
  run_case<float>(make(2, {1, 3, 3}, {1, 3, 3}, ones, ones, pad, pad, 70, 1, 40, 6),
                  kDense);
}

TEST("conv: rows of whole tiles, tall and flat ones too") {
  const Ints ones = {1, 1, 1}, two = {1, 2, 2}, pad = {0, 1, 1}, three = {0, 3, 3};
  for (const int64_t oc : {32, 64, 70}) {
    run_case<float>(make(2, {1, 14, 14}, {1, 3, 3}, ones, ones, pad, pad, 1, 1, 64, oc),
                    kDense);
    run_case<double>(make(2, {1, 7, 21}, {1, 3, 3}, ones, ones, pad, pad, 1, 1, 9, oc),
                     kDense);
    run_case<float>(
        make(2, {1, 6, 28}, {1, 7, 7}, ones, ones, three, three, 1, 1, 1, oc), kDense);
    run_case<double>(
        make(2, {1, 6, 28}, {1, 7, 7}, ones, ones, three, three, 1, 1, 1, oc), kDense);
    run_case<float>(make(2, {1, 29, 29}, {1, 3, 3}, two, ones, pad, pad, 1, 1, 5, oc),
                    kDense);
  }
}

TEST("conv: nothing to sum or to write") {
  const Ints ones = {1, 1, 1}, pad = {0, 1, 1};
  run_case<float>(make(2, {1, 4, 4}, {1, 3, 3}, ones, ones, pad, pad, 0, 1, 2, 3),
                  kDense);
  run_case<float>(make(2, {1, 4, 4}, {1, 3, 3}, ones, ones, pad, pad, 2, 1, 0, 3),
                  kDense);
}

TEST("conv: errors name the kernel and the sizes") {
  const Ints ones = {1, 1}, pads = {0, 0};
  const Attrs attrs = {list(ones), list(ones), list(pads), attr(1), attr(0), attr(1.0)};
  Array<float> x({1, 4, 4, 3}), w({3, 3, 2, 5}), b({0}), y({1, 2, 2, 5});
  REQUIRE_THROWS(run("conv", {x.view, w.view, b.view}, {y.view}, attrs),
                 "[conv] the channels of x is 3, expected 2");
}
