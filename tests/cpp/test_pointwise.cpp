// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

// Elementwise results must not depend on layout: run contiguous, then every operand
// through a strided or broadcast view holding the same values, and compare bits.
template <class T>
void require_layout_independent(const std::string& name, int n_in, const Attrs& attrs) {
  for (const int64_t columns : {1, 3, 15, 16, 17, 70}) {
    const int64_t rows = 37;
    std::vector<Array<T>> plain, across, wide;
    Views contiguous, transposes, strided;
    for (int k = 0; k < n_in; ++k) {
      plain.push_back(uniform<T>({rows, columns}, 0.5, 3, 10 + k));
      across.push_back(Array<T>({columns, rows}));
      wide.push_back(Array<T>({rows, 2 * columns - 1}));
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
          const T x = plain[k][r * columns + c];
          across[k][c * rows + r] = x;
          wide[k][r * (2 * columns - 1) + 2 * (columns - 1 - c)] = x;
        }
      }
    }
    for (int k = 0; k < n_in; ++k) {
      plain[k].rewind(), across[k].rewind(), wide[k].rewind();
      contiguous.push_back(plain[k].view);
      transposes.push_back(transposed(across[k].view));
      strided.push_back(backwards_by_two(wide[k].view));
    }
    Array<T> y({rows, columns}), y2({rows, columns}), y3({rows, columns});
    run(name, contiguous, {y.view}, attrs);
    run(name, transposes, {y2.view}, attrs);
    run(name, strided, {y3.view}, attrs);
    REQUIRE_MSG(y.data == y2.data, name);
    REQUIRE_MSG(y.data == y3.data, name);
    require_same_for_all_parts(name, contiguous, {y.view}, attrs);
    require_same_for_all_parts(name, transposes, {y.view}, attrs);
    run(name, contiguous, {contiguous[0]}, attrs);  // in place
    REQUIRE_MSG(plain[0].data == y.data, name + " in place");
  }
}

const char* const kUnary[] = {
    "negative", "abs",      "sign",  "square", "exp",       "expm1", "log",
    "log1p",    "sqrt",     "rsqrt", "sin",    "cos",       "tanh",  "erf",
    "silu",     "relu",     "selu",  "floor",  "ceil",      "round", "sigmoid",
    "softplus", "softsign", "elu",   "gelu",   "leaky_relu"};
const char* const kBinary[] = {
    "add",       "subtract",      "multiply",        "divide",
    "power",     "maximum",       "minimum",         "floor_divide",
    "mod",       "relu_grad",     "selu_grad",       "sigmoid_grad",
    "tanh_grad", "softplus_grad", "softsign_grad",   "silu_grad",
    "gelu_grad", "elu_grad",      "leaky_relu_grad", "sigmoid_cross_entropy"};

template <class T, class F>
void check_unary(const std::string& name, F exact, double rtol, double low = -4,
                 double high = 4, const Attrs& attrs = {}) {
  const Array<T> x = uniform<T>({501}, low, high);
  Array<T> y({501});
  run(name, {x.view}, {y.view}, attrs);
  for (int64_t i = 0; i < x.size(); ++i) {
    const double want = static_cast<double>(exact(static_cast<double>(x[i])));
    REQUIRE_MSG(close(y[i], want, rtol, 1e-6), name + " " + show(double(y[i]), want));
  }
}

template <class T, class F>
void check_binary(const std::string& name, F exact, double rtol, double low = -4,
                  double high = 4, const Attrs& attrs = {}) {
  const Array<T> a = uniform<T>({501}, low, high, 3),
                 b = uniform<T>({501}, low, high, 4);
  Array<T> y({501});
  run(name, {a.view, b.view}, {y.view}, attrs);
  for (int64_t i = 0; i < a.size(); ++i) {
    const double want = static_cast<double>(exact(double(a[i]), double(b[i])));
    REQUIRE_MSG(close(y[i], want, rtol, 5e-6), name + " " + show(double(y[i]), want));
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh(double x) {
  const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(u));
}
// The derivative of f by central differences.
template <class F>
auto slope(F f) {
  return [f](double dy, double x) { return dy * (f(x + 1e-5) - f(x - 1e-5)) / 2e-5; };
}

template <class T>
void check_formulas() {
  const double e = sizeof(T) == 4 ? 1e-6 : 1e-9;
  check_unary<T>("sigmoid", sigmoid, e);
  check_unary<T>("silu", [](double x) { return x * sigmoid(x); }, e);
  check_unary<T>("softplus", [](double x) { return std::log1p(std::exp(x)); }, e);
  check_unary<T>("softsign", [](double x) { return x / (1 + std::fabs(x)); }, e);
  check_unary<T>("gelu", gelu, e, -4, 4, {attr(0)});
  check_unary<T>("gelu", gelu_tanh, e, -4, 4, {attr(1)});
  check_unary<T>("relu", [](double x) { return x > 0 ? x : 0; }, e);
  check_unary<T>("elu", [](double x) { return x > 0 ? x : 0.7 * std::expm1(x); }, e, -4,
                 4, {attr(0.7)});
  check_unary<T>("leaky_relu", [](double x) { return x > 0 ? x : 0.3 * x; }, e, -4, 4,
                 {attr(0.3)});
  const auto selu = [](double x) {
    const double scale = 1.0507009873554805, alpha = 1.6732632423543772;
    return scale * (x > 0 ? x : alpha * std::expm1(x));
  };
  check_unary<T>("selu", selu, e);
  // Gradients from the input.
  check_binary<T>("silu_grad", slope([](double x) { return x * sigmoid(x); }), 1e-5);
  check_binary<T>("gelu_grad", slope(gelu), 1e-5, -4, 4, {attr(0)});
  check_binary<T>("gelu_grad", slope(gelu_tanh), 1e-5, -4, 4, {attr(1)});
  check_binary<T>("softsign_grad",
                  slope([](double x) { return x / (1 + std::fabs(x)); }), 1e-4);
  // Gradients from the output y, which must be in the range of the function.
  const auto at = [](auto f, auto inverse) {
    return [=](double dy, double y) { return slope(f)(dy, inverse(y)); };
  };
  check_binary<T>("sigmoid_grad",
                  at(sigmoid, [](double y) { return std::log(y / (1 - y)); }), 1e-4,
                  0.05, 0.95);
  check_binary<T>(
      "tanh_grad",
      at([](double x) { return std::tanh(x); }, [](double y) { return std::atanh(y); }),
      1e-4, -0.95, 0.95);
  check_binary<T>("softplus_grad",
                  at([](double x) { return std::log1p(std::exp(x)); },
                     [](double y) { return std::log(std::expm1(y)); }),
                  1e-5, 0.05, 4);
  check_binary<T>("relu_grad", [](double dy, double y) { return y > 0 ? dy : 0; }, e);
  check_binary<T>("elu_grad",
                  [](double dy, double y) { return y > 0 ? dy : dy * (y + 0.7); }, e,
                  -0.7, 3, {attr(0.7)});
  check_binary<T>(
      "selu_grad",
      at(selu,
         [](double y) { return y > 0 ? y / 1.05070098 : std::log1p(y / 1.75809934); }),
      1e-4, -1.7, 3);
  check_binary<T>("leaky_relu_grad",
                  [](double dy, double y) { return y > 0 ? dy : 0.3 * dy; }, e, -4, 4,
                  {attr(0.3)});
  check_binary<T>(
      "sigmoid_cross_entropy",
      [](double x, double t) {
        return -t * std::log(sigmoid(x)) - (1 - t) * std::log(sigmoid(-x));
      },
      1e-5, 0, 1);
}

// NumPy's floor division and remainder.
template <class T>
void check_division() {
  const std::vector<T> a = {7, -7, 7, -7, 0, 6, -6, 5, 1, -1},
                       b = {3, 3, -3, -3, 5, 3, 3, -5, 7, 7};
  const std::vector<T> quotient = {2, -3, -3, 2, 0, 2, -2, -1, 0, -1};
  const std::vector<T> rest = {1, 2, -2, -1, 0, 0, 0, 0, 1, 6};
  const int64_t n = static_cast<int64_t>(a.size());
  Array<T> x({n}, a), y({n}, b), q({n}), r({n});
  run("floor_divide", {x.view, y.view}, {q.view});
  run("mod", {x.view, y.view}, {r.view});
  REQUIRE(q.data == quotient);
  REQUIRE(r.data == rest);
}

template <class T>
void check_comparisons() {
  Array<T> a({103}), b({103});
  for (int64_t i = 0; i < 103; ++i)
    a[i] = T(i % 2), b[i] = T(i / 2 % 2);
  const auto check = [&](const char* name, bool (*exact)(T, T)) {
    std::vector<uint8_t> out(103, 7);
    TensorView y = a.view;
    y.dtype = DType::kBool;
    y.data = out.data();
    run(name, {a.view, b.view}, {y});
    for (int64_t i = 0; i < 103; ++i) {
      REQUIRE_MSG(out[static_cast<size_t>(i)] == uint8_t(exact(a[i], b[i])), name);
    }
  };
  check("equal", [](T x, T y) { return x == y; });
  check("not_equal", [](T x, T y) { return x != y; });
  check("greater", [](T x, T y) { return x > y; });
  check("greater_equal", [](T x, T y) { return x >= y; });
  check("less", [](T x, T y) { return x < y; });
  check("less_equal", [](T x, T y) { return x <= y; });
}

}  // namespace

TEST("pointwise: the same bits for every layout, position and number of parts") {
  const Attrs attrs = {attr(0.5)};
  for (const char* name : kUnary) {
    require_layout_independent<float>(name, 1, attrs);
    require_layout_independent<double>(name, 1, attrs);
  }
  for (const char* name : kBinary) {
    require_layout_independent<float>(name, 2, attrs);
    require_layout_independent<double>(name, 2, attrs);
  }
  require_layout_independent<float>("sigmoid_cross_entropy_grad", 3, {});
  for (const char* name : {"add", "multiply", "maximum", "floor_divide", "mod"}) {
    require_layout_independent<int32_t>(name, 2, {});
    require_layout_independent<int64_t>(name, 2, {});
  }
}

TEST("pointwise: formulas and gradients, float32") { check_formulas<float>(); }
TEST("pointwise: formulas and gradients, float64") { check_formulas<double>(); }

TEST("pointwise: broadcasting by stride 0") {
  const Array<float> x = uniform<float>({5, 40}, -1, 1),
                     row = uniform<float>({40}, -1, 1, 2),
                     column = uniform<float>({5, 1}, -1, 1, 3), scalar({}, {2.5f});
  Array<float> y({5, 40});
  const auto check = [&](const TensorView& b, auto value) {
    run("add", {x.view, b}, {y.view});
    for (int64_t i = 0; i < 200; ++i)
      REQUIRE(y[i] == x[i] + value(i));
    require_same_for_all_parts("add", {x.view, b}, {y.view});
    run("subtract", {b, x.view}, {y.view});
    for (int64_t i = 0; i < 200; ++i)
      REQUIRE(y[i] == value(i) - x[i]);
  };
  check(broadcast(row.view, {5, 40}), [&](int64_t i) { return row[i % 40]; });
  check(broadcast(column.view, {5, 40}), [&](int64_t i) { return column[i / 40]; });
  check(broadcast(scalar.view, {5, 40}), [&](int64_t) { return 2.5f; });
}

TEST("pointwise: empty arrays and scalars") {
  Array<float> none({0, 3}), empty({4, 0});
  run("exp", {none.view}, {none.view});
  run("add", {empty.view, empty.view}, {empty.view}, {}, 3);
  const Array<float> x({}, {2.0f});
  Array<float> y({});
  run("square", {x.view}, {y.view}, {}, 3);
  REQUIRE(y[0] == 4);
}

TEST("pointwise: NaN propagates through relu, maximum and minimum") {
  const Array<float> a({3}, {NAN, 1.0f, NAN}), b({3}, {1.0f, NAN, NAN});
  for (const char* name : {"maximum", "minimum"}) {
    Array<float> y({3});
    run(name, {a.view, b.view}, {y.view});
    for (int64_t i = 0; i < 3; ++i)
      REQUIRE_MSG(std::isnan(y[i]), name);
  }
  Array<float> y({3});
  run("relu", {a.view}, {y.view});
  REQUIRE(std::isnan(y[0]) && y[1] == 1 && std::isnan(y[2]));
}

TEST("pointwise: integer arithmetic wraps, division follows NumPy") {
  check_division<int32_t>();
  check_division<int64_t>();
  check_division<float>();
  check_division<double>();
  const int32_t low = INT32_MIN, high = INT32_MAX;
  Array<int32_t> a({3}, {low, low, high}), b({3}, {-1, 0, 1}), y({3});
  run("floor_divide", {a.view, b.view}, {y.view});
  REQUIRE((y.data == std::vector<int32_t>{low, 0, high}));
  run("add", {a.view, b.view}, {y.view});
  REQUIRE((y.data == std::vector<int32_t>{high, low, low}));
  run("negative", {a.view}, {y.view});
  REQUIRE(y[0] == low);
}

TEST("pointwise: comparisons of every dtype") {
  check_comparisons<float>();
  check_comparisons<double>();
  check_comparisons<int32_t>();
  check_comparisons<int64_t>();
  check_comparisons<uint8_t>();
}

TEST("pointwise: logic, tests of floats, where") {
  Array<uint8_t> a({70}), b({70}), y({70});
  for (int64_t i = 0; i < 70; ++i)
    a[i] = i & 1, b[i] = i >> 1 & 1;
  a.view.dtype = b.view.dtype = y.view.dtype = DType::kBool;
  run("logical_xor", {a.view, b.view}, {y.view});
  for (int64_t i = 0; i < 70; ++i)
    REQUIRE(y[i] == (a[i] ^ b[i]));
  run("logical_and", {a.view, b.view}, {y.view});
  for (int64_t i = 0; i < 70; ++i)
    REQUIRE(y[i] == (a[i] & b[i]));
  run("logical_not", {a.view}, {y.view});
  for (int64_t i = 0; i < 70; ++i)
    REQUIRE(y[i] == 1 - a[i]);
  const Array<double> x = uniform<double>({70}, -1, 1),
                      z = uniform<double>({70}, -1, 1, 2);
  Array<double> w({70});
  run("where", {a.view, x.view, z.view}, {w.view});
  for (int64_t i = 0; i < 70; ++i)
    REQUIRE(w[i] == (a[i] ? x[i] : z[i]));
  const Array<float> f({4}, {NAN, HUGE_VALF, -HUGE_VALF, 1.0f});
  Array<uint8_t> t({4});
  t.view.dtype = DType::kBool;
  run("isnan", {f.view}, {t.view});
  REQUIRE((t.data == std::vector<uint8_t>{1, 0, 0, 0}));
  run("isinf", {f.view}, {t.view});
  REQUIRE((t.data == std::vector<uint8_t>{0, 1, 1, 0}));
  run("isfinite", {f.view}, {t.view});
  REQUIRE((t.data == std::vector<uint8_t>{0, 0, 0, 1}));
}

TEST("pointwise: an unsupported dtype is named") {
  Array<int8_t> x({3});
  REQUIRE_THROWS(run("exp", {x.view}, {x.view}),
                 "[exp] dtype int8 is not supported (float32, float64)");
}
