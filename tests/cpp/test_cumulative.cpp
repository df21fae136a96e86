// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

struct Case {
  std::vector<int64_t> shape;
  int axis;
};
const Case kCases[] = {{{1}, 0},       {{7}, 0},        {{16}, 0},      {{600}, 0},
                       {{5, 33}, 1},   {{3, 1100}, 1},  {{9, 5}, 0},    {{4, 300}, 0},
                       {{3, 1500}, 0}, {{2, 6, 40}, 1}, {{2, 6, 1}, 1}, {{3, 0}, 0}};

// The scan in double; out[i] sees what lies before i in the order of the scan.
template <class T>
std::vector<double> scanned(const Array<T>& x, int axis, bool product, bool reverse,
                            bool exclusive) {
  int64_t outer = 1, n = 1, inner = 1;
  for (int d = 0; d < x.view.ndim; ++d)
    (d < axis ? outer : d == axis ? n : inner) *= x.shape[size_t(d)];
  std::vector<double> y(x.data.size());
  for (int64_t line = 0; line < outer * inner; ++line) {
    double state = product ? 1 : 0;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t k = reverse ? n - 1 - i : i;
      const int64_t at = line / inner * n * inner + k * inner + line % inner;
      const double v = static_cast<double>(x[at]);
      const double next = product ? state * v : state + v;
      y[size_t(at)] = exclusive ? state : next;
      state = next;
    }
  }
  return y;
}

template <class T>
void check_scan(const Case& c, bool product) {
  const bool integer = std::is_integral_v<T>;
  Array<T> x = uniform<T>(c.shape, integer ? -9 : 0.5, integer ? 9 : 1.5);
  if (integer && product) {
    for (T& v : x.data)
      v = v > 0 ? T(1) : T(-1);
  }
  const std::string name = product ? "cumprod" : "cumsum";
  for (const int flags : {0, 1, 2, 3}) {
    const Attrs attrs = {attr(c.axis), attr(flags & 1), attr(flags >> 1)};
    Array<T> y(c.shape, T(77));
    run(name, {x.view}, {y.view}, attrs, 2);
    const std::vector<double> want = scanned(x, c.axis, product, flags & 1, flags >> 1);
    const double rtol = integer ? 0 : sizeof(T) == 4 ? 2e-4 : 1e-12;
    for (int64_t i = 0; i < y.size(); ++i) {
      const double w = want[size_t(i)];
      if (std::fabs(w) > 1e30 || (w != 0 && std::fabs(w) < 1e-30)) continue;
      REQUIRE_MSG(close(y[i], w, rtol), show(double(y[i]), w));
    }
    require_same_for_all_parts(name, {x.view}, {y.view}, attrs);
  }
}

}  // namespace

TEST("cumulative: sums and products, both directions, with and without the element") {
  for (const Case& c : kCases) {
    for (const bool product : {false, true}) {
      check_scan<float>(c, product);
      check_scan<double>(c, product);
      check_scan<int32_t>(c, product);
      check_scan<int64_t>(c, product);
    }
  }
}

TEST("cumulative: strides do not change a bit") {
  const Array<float> x = uniform<float>({600, 5}, -1, 1);
  Array<float> plain({5, 600}), y({5, 600}, NAN), z({5, 600}, NAN);
  for (int64_t i = 0; i < x.size(); ++i)
    plain[i % 5 * 600 + i / 5] = x[i];
  for (const int flags : {0, 1, 2, 3}) {
    const Attrs attrs = {attr(1), attr(flags & 1), attr(flags >> 1)};
    run("cumsum", {transposed(x.view)}, {y.view}, attrs, 2);
    run("cumsum", {plain.view}, {z.view}, attrs);
    REQUIRE(y.data == z.data);
  }
}

TEST("cumulative: the linear recurrence and its transpose") {
  for (const Case& c : kCases) {
    const Array<double> a = uniform<double>(c.shape, -1, 1),
                        b = uniform<double>(c.shape, -1, 1, 2);
    int64_t outer = 1, n = 1, inner = 1;
    for (int d = 0; d < a.view.ndim; ++d)
      (d < c.axis ? outer : d == c.axis ? n : inner) *= c.shape[size_t(d)];
    for (const int reverse : {0, 1}) {
      Array<double> y(c.shape, NAN);
      const Attrs attrs = {attr(c.axis), attr(reverse)};
      run("linear_recurrence", {a.view, b.view}, {y.view}, attrs, 2);
      for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t k = i / inner % n, at = reverse ? i + inner : i - inner;
        const bool first = reverse ? k == n - 1 : k == 0;
        const double slope = first ? 0 : a[reverse ? at : i];
        const double want = first ? b[i] : b[i] + slope * y[at];
        REQUIRE_MSG(close(y[i], want, 1e-14, 1e-15), show(y[i], want));
      }
      require_same_for_all_parts("linear_recurrence", {a.view, b.view}, {y.view},
                                 attrs);
    }
  }
}
