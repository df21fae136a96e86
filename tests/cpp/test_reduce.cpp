// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

// Value of x at flat position i, whatever its strides.
template <class T>
T at(const TensorView& x, int64_t i) {
  const T* p = x.ptr<T>();
  for (int d = x.ndim - 1; d >= 0; --d) {
    p += i % x.shape[d] * x.stride[d];
    i /= x.shape[d];
  }
  return *p;
}

// For each output, the flat input positions that are reduced into it, in order.
std::vector<std::vector<int64_t>> groups(const TensorView& x, uint64_t axes) {
  int64_t outputs = 1;
  for (int d = 0; d < x.ndim; ++d)
    outputs *= axes >> d & 1 ? 1 : x.shape[d];
  std::vector<std::vector<int64_t>> result(static_cast<size_t>(outputs));
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t rest = i, out = 0, stride = 1;
    for (int d = x.ndim - 1; d >= 0; --d) {
      const int64_t c = rest % x.shape[d];
      rest /= x.shape[d];
      if (axes >> d & 1) continue;
      out += c * stride;
      stride *= x.shape[d];
    }
    result[static_cast<size_t>(out)].push_back(i);
  }
  return result;
}

template <class T>
void check_all(const TensorView& x, uint64_t axes) {
  const auto members = groups(x, axes);
  const int64_t n = static_cast<int64_t>(members.size());
  const Attrs attrs = {attr(static_cast<int>(axes)), attr(0)};
  Array<T> y({n});
  const double eps = std::is_integral_v<T> ? 0 : sizeof(T) == 4 ? 1e-6 : 1e-14;
  const auto check = [&](const char* name, double start, auto combine) {
    run(name, {x}, {y.view}, attrs);
    for (int64_t o = 0; o < n; ++o) {
      double want = start, scale = 0;
      for (const int64_t i : members[static_cast<size_t>(o)]) {
        want = combine(want, static_cast<double>(at<T>(x, i)));
        scale += std::fabs(static_cast<double>(at<T>(x, i)));
      }
      REQUIRE_MSG(close(y[o], want, 4 * eps, eps * scale),
                  std::string(name) + " " + show(double(y[o]), want));
    }
    require_same_for_all_parts(name, {x}, {y.view}, attrs);
  };
  check("sum", 0, [](double a, double b) { return a + b; });
  check("prod", 1, [](double a, double b) { return a * b; });
  if (x.numel() == 0) return;
  check("max", -HUGE_VAL, [](double a, double b) { return a > b ? a : b; });
  check("min", HUGE_VAL, [](double a, double b) { return a < b ? a : b; });
}

template <class T>
void check_dtype() {
  const std::vector<std::vector<int64_t>> shapes = {
      {}, {1}, {7}, {70}, {0, 3}, {3, 5}, {2, 70}, {70, 33}, {3, 4, 19}, {5, 1, 130}};
  for (const auto& shape : shapes) {
    // A product of a few numbers of size 1 stays in range.
    const Array<T> x = std::is_integral_v<T> ? uniform<T>(shape, -1.9, 1.9)
                                             : uniform<T>(shape, 0.9, 1.1);
    for (uint64_t axes = 0; axes < uint64_t{1} << shape.size(); ++axes) {
      check_all<T>(x.view, axes);
      if (shape.empty() || shape[0] == 0) continue;
      check_all<T>(backwards_by_two(x.view), axes);
      if (shape.size() > 1) check_all<T>(transposed(x.view), axes);
      std::vector<int64_t> wide = shape;
      wide.insert(wide.begin(), 3);
      check_all<T>(broadcast(x.view, wide), axes << 1 | 1);
      check_all<T>(broadcast(x.view, wide), axes << 1);
    }
  }
}

template <class T>
void check_arg() {
  for (const auto& shape : {std::vector<int64_t>{70}, {3, 5}, {5, 1300}, {2, 3, 19}}) {
    const Array<T> x = uniform<T>(shape, -9, 9);
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const auto members = groups(x.view, uint64_t{1} << axis);
      Array<int32_t> y({static_cast<int64_t>(members.size())});
      const Attrs attrs = {attr(static_cast<int>(axis)), attr(0)};
      for (const bool largest : {true, false}) {
        const char* name = largest ? "argmax" : "argmin";
        run(name, {x.view}, {y.view}, attrs);
        for (size_t o = 0; o < members.size(); ++o) {
          int32_t want = 0;
          for (size_t i = 1; i < members[o].size(); ++i) {
            const T a = at<T>(x.view, members[o][i]);
            const T b = at<T>(x.view, members[o][static_cast<size_t>(want)]);
            if (largest ? a > b : a < b) want = static_cast<int32_t>(i);
          }
          REQUIRE_MSG(y[static_cast<int64_t>(o)] == want, name);
        }
        require_same_for_all_parts(name, {x.view}, {y.view}, attrs);
      }
    }
  }
}

}  // namespace

TEST("reduce: every set of axes, float32") { check_dtype<float>(); }
TEST("reduce: every set of axes, float64") { check_dtype<double>(); }
TEST("reduce: every set of axes, int32") { check_dtype<int32_t>(); }
TEST("reduce: every set of axes, int64") { check_dtype<int64_t>(); }

TEST("reduce: argmax and argmin find the first") {
  check_arg<float>();
  check_arg<double>();
  check_arg<int32_t>();
  check_arg<int64_t>();
}

TEST("reduce: NaN wins in max and argmax") {
  Array<float> x = uniform<float>({3000}, -1, 1), y({});
  Array<int32_t> index({});
  x[1999] = x[2500] = NAN;
  const Attrs attrs = {attr(1), attr(0)};
  for (const char* name : {"max", "min", "sum"}) {
    run(name, {x.view}, {y.view}, attrs);
    REQUIRE_MSG(std::isnan(y[0]), name);
  }
  for (const char* name : {"argmax", "argmin"}) {
    run(name, {x.view}, {index.view}, {attr(0), attr(0)});
    REQUIRE_MSG(index[0] == 1999, std::to_string(index[0]));
  }
}

TEST("reduce: argmax of rows that are all -infinity") {
  const Array<float> x({2, 3}, -HUGE_VALF);
  Array<int32_t> y({2}, 9);
  run("argmax", {x.view}, {y.view}, {attr(1), attr(0)});
  REQUIRE(y[0] == 0 && y[1] == 0);
}

TEST("reduce: any and all") {
  Array<uint8_t> x({4, 90});
  for (int64_t i = 0; i < 90; ++i)
    x[90 + i] = 1, x[180 + i] = i == 88, x[270 + i] = i != 88;
  x.view.dtype = DType::kBool;
  Array<uint8_t> y({4}), z({90});
  y.view.dtype = z.view.dtype = DType::kBool;
  run("any", {x.view}, {y.view}, {attr(2), attr(0)});
  REQUIRE((y.data == std::vector<uint8_t>{0, 1, 1, 1}));
  run("all", {x.view}, {y.view}, {attr(2), attr(0)});
  REQUIRE((y.data == std::vector<uint8_t>{0, 1, 0, 0}));
  run("any", {x.view}, {z.view}, {attr(1), attr(0)});
  for (int64_t i = 0; i < 90; ++i)
    REQUIRE(z[i] == 1);
}

TEST("reduce: a long float32 sum is accurate in both directions") {
  const int64_t n = 3000001;
  const Array<float> x({n}, 0.1f);
  const double want = static_cast<double>(0.1f) * static_cast<double>(n);
  Array<float> y({1});
  run("sum", {x.view}, {y.view}, {attr(1), attr(0)});
  REQUIRE_MSG(close(y[0], want, 5e-7), show(y[0], want));
  const Array<float> m({n / 3, 3}, 0.1f);
  Array<float> columns({3});
  run("sum", {m.view}, {columns.view}, {attr(1), attr(0)});
  const double third = static_cast<double>(0.1f) * static_cast<double>(n / 3);
  for (int64_t i = 0; i < 3; ++i) {
    REQUIRE_MSG(close(columns[i], third, 5e-7), show(columns[i], third));
  }
}

TEST("reduce: int32 sums wrap") {
  const Array<int32_t> x({2}, {INT32_MAX, 1});
  Array<int32_t> y({});
  run("sum", {x.view}, {y.view}, {attr(1), attr(0)});
  REQUIRE(y[0] == INT32_MIN);
}
