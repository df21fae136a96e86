// SPDX-License-Identifier: Apache-2.0
// Kernels that work on whole rows: softmax and the losses.
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

const std::vector<std::vector<int64_t>> kShapes = {{1, 1},  {5, 3},    {4, 10}, {9, 16},
                                                   {3, 70}, {2, 1500}, {33, 2}};

template <class T>
constexpr double kTolerance = sizeof(T) == 4 ? 2e-6 : 1e-13;

template <class T>
std::vector<double> softmax_row(const T* x, int64_t n) {
  double top = -HUGE_VAL, sum = 0;
  for (int64_t i = 0; i < n; ++i)
    top = std::fmax(top, double(x[i]));
  std::vector<double> p;
  for (int64_t i = 0; i < n; ++i)
    p.push_back(std::exp(double(x[i]) - top));
  for (const double e : p)
    sum += e;
  for (double& e : p)
    e /= sum;
  return p;
}

template <class T>
void require_close(const Array<T>& got, const std::vector<double>& want,
                   const std::string& name, double atol = 1e-12) {
  REQUIRE(got.size() == static_cast<int64_t>(want.size()));
  for (int64_t i = 0; i < got.size(); ++i) {
    const double w = want[static_cast<size_t>(i)];
    REQUIRE_MSG(close(got[i], w, kTolerance<T>, atol), name + " " + show(got[i], w));
  }
}

// The same values behind a transposed view.
template <class T>
Array<T> across(const Array<T>& x) {
  Array<T> r({x.shape[1], x.shape[0]});
  for (int64_t i = 0; i < x.size(); ++i) {
    r[i % x.shape[1] * x.shape[0] + i / x.shape[1]] = x[i];
  }
  return r;
}

// Result, layout and partition of one kernel with matrix operands.
template <class T>
void check(const std::string& name, const std::vector<Array<T>>& in,
           const Array<T>& like, const std::vector<double>& want, double atol,
           int in_place = -1, const Attrs& attrs = {}) {
  Views plain, turned;
  std::vector<Array<T>> copies;
  for (const Array<T>& a : in) {
    plain.push_back(a.view);
    copies.push_back(a.shape.size() == 2 ? across(a) : a);
  }
  for (size_t k = 0; k < in.size(); ++k) {
    copies[k].rewind();
    turned.push_back(copies[k].shape.size() == 2 ? transposed(copies[k].view)
                                                 : copies[k].view);
  }
  Array<T> y(like.shape), y2(like.shape);
  run(name, plain, {y.view}, attrs);
  require_close(y, want, name, atol);
  run(name, turned, {y2.view}, attrs);
  REQUIRE_MSG(y.data == y2.data, name + " transposed");
  require_same_for_all_parts(name, plain, {y.view}, attrs);
  require_same_for_all_parts(name, turned, {y.view}, attrs);
  if (in_place < 0) return;
  Array<T> both = in[size_t(in_place)];
  plain[size_t(in_place)] = both.view;
  run(name, plain, {both.view}, attrs, 2);
  REQUIRE_MSG(both.data == y.data, name + " in place");
}

template <class T>
void check_softmax() {
  for (const auto& shape : kShapes) {
    const int64_t rows = shape[0], n = shape[1];
    const Array<T> x = uniform<T>(shape, -5, 5), dy = uniform<T>(shape, -1, 1, 2);
    Array<T> p(shape), logp(shape);
    std::vector<double> want, want_log, want_grad, want_log_grad;
    for (int64_t r = 0; r < rows; ++r) {
      const std::vector<double> row = softmax_row(&x[r * n], n);
      double dot = 0, sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        p[r * n + i] = static_cast<T>(row[size_t(i)]);
        logp[r * n + i] = static_cast<T>(std::log(row[size_t(i)]));
        dot += double(dy[r * n + i]) * row[size_t(i)];
        sum += double(dy[r * n + i]);
      }
      for (int64_t i = 0; i < n; ++i) {
        const double q = row[size_t(i)], g = double(dy[r * n + i]);
        want.push_back(q);
        want_log.push_back(std::log(q));
        want_grad.push_back(q * (g - dot));
        want_log_grad.push_back(g - q * sum);
      }
    }
    const double atol =
        sizeof(T) == 4 ? 2e-6 * std::sqrt(double(n)) : 1e-13 * double(n);
    const Attrs last = {attr(1)};
    check<T>("softmax", {x}, x, want, 0, 0, last);
    check<T>("log_softmax", {x}, x, want_log, atol, 0, last);
    check<T>("softmax_grad", {dy, p}, x, want_grad, atol, 0, last);
    check<T>("log_softmax_grad", {dy, logp}, x, want_log_grad, atol, 0, last);
  }
}

template <class T>
void check_cross_entropy() {
  for (const auto& shape : kShapes) {
    const int64_t rows = shape[0], n = shape[1];
    const Array<T> z = uniform<T>(shape, -5, 5), t = uniform<T>(shape, 0, 0.5, 2),
                   dloss = uniform<T>({rows}, -1, 1, 3);
    Array<int64_t> labels({rows});
    std::vector<double> loss, sparse, probs, grad, sparse_grad;
    for (int64_t r = 0; r < rows; ++r) {
      labels[r] = (r * 7 + 1) % n;
      const std::vector<double> p = softmax_row(&z[r * n], n);
      double total = 0, weight = 0;
      for (int64_t i = 0; i < n; ++i) {
        total -= double(t[r * n + i]) * std::log(p[size_t(i)]);
        weight += double(t[r * n + i]);
      }
      loss.push_back(total);
      sparse.push_back(-std::log(p[size_t(labels[r])]));
      for (int64_t i = 0; i < n; ++i) {
        const double d = dloss[r];
        probs.push_back(p[size_t(i)]);
        grad.push_back(d * (p[size_t(i)] * weight - double(t[r * n + i])));
        sparse_grad.push_back(d * (p[size_t(i)] - (i == labels[r])));
      }
    }
    const double atol = sizeof(T) == 4 ? 4e-6 : 1e-13;
    Array<T> y({rows}), p(shape), dz(shape);
    run("softmax_cross_entropy", {z.view, t.view}, {y.view, p.view});
    require_close(y, loss, "softmax_cross_entropy", atol);
    require_close(p, probs, "softmax_cross_entropy probs", 0);
    require_same_for_all_parts("softmax_cross_entropy", {z.view, t.view},
                               {y.view, p.view});
    run("sparse_softmax_cross_entropy", {z.view, labels.view}, {y.view, p.view});
    require_close(y, sparse, "sparse_softmax_cross_entropy", atol);
    require_close(p, probs, "sparse probs", 0);
    require_same_for_all_parts("sparse_softmax_cross_entropy", {z.view, labels.view},
                               {y.view, p.view});
    check<T>("softmax_cross_entropy_grad", {dloss, p, t}, p, grad, atol * double(n), 1);
    run("sparse_softmax_cross_entropy_grad", {dloss.view, p.view, labels.view},
        {dz.view});
    require_close(dz, sparse_grad, "sparse grad", atol);
    Array<T> both = p;
    run("sparse_softmax_cross_entropy_grad", {dloss.view, both.view, labels.view},
        {both.view}, {}, 2);
    REQUIRE(both.data == dz.data);
    require_same_for_all_parts("sparse_softmax_cross_entropy_grad",
                               {dloss.view, p.view, labels.view}, {dz.view});
  }
}

template <class T>
void check_squared_error() {
  for (const auto& shape : kShapes) {
    const int64_t rows = shape[0], n = shape[1];
    const Array<T> t = uniform<T>(shape, -5, 5), p = uniform<T>(shape, -5, 5, 2),
                   dloss = uniform<T>({rows}, -1, 1, 3), one({}, T(0.25));
    std::vector<double> loss, grad, same_grad;
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t i = r * n; i < (r + 1) * n; ++i) {
        const double d = double(p[i]) - double(t[i]);
        sum += d * d;
        grad.push_back(double(dloss[r]) * 2 * d / double(n));
        same_grad.push_back(0.25 * 2 * d / double(n));
      }
      loss.push_back(sum / double(n));
    }
    check<T>("mean_squared_error", {t, p}, dloss, loss, 0);
    check<T>("mean_squared_error_grad", {dloss, t, p}, p, grad, 1e-6, 2);
    Array<T> dp(shape);
    run("mean_squared_error_grad", {broadcast(one.view, {rows}), t.view, p.view},
        {dp.view});
    require_close(dp, same_grad, "mean_squared_error_grad of a broadcast", 1e-6);
  }
}

}  // namespace

TEST("rows: softmax float32") { check_softmax<float>(); }
TEST("rows: softmax float64") { check_softmax<double>(); }
TEST("rows: cross-entropy float32") { check_cross_entropy<float>(); }
TEST("rows: cross-entropy float64") { check_cross_entropy<double>(); }
TEST("rows: squared error float32") { check_squared_error<float>(); }
TEST("rows: squared error float64") { check_squared_error<double>(); }

TEST("rows: softmax of one vector, of rank 3 and of nothing") {
  const Array<float> x = uniform<float>({7}, -1, 1),
                     z = uniform<float>({2, 3, 19}, -1, 1);
  Array<float> y({7}), w({2, 3, 19}), none({0, 3}), empty({4, 0});
  run("softmax", {x.view}, {y.view}, {attr(0)}, 3);
  const std::vector<double> want = softmax_row(x.data.data(), 7);
  require_close(y, want, "softmax");
  require_same_for_all_parts("softmax", {z.view}, {w.view}, {attr(2)});
  run("softmax", {z.view}, {w.view}, {attr(2)});
  const std::vector<double> last = softmax_row(&z[5 * 19], 19);
  for (int64_t i = 0; i < 19; ++i)
    REQUIRE(close(w[5 * 19 + i], last[size_t(i)], 1e-6));
  run("softmax", {none.view}, {none.view}, {attr(1)});
  run("log_softmax", {empty.view}, {empty.view}, {attr(1)}, 2);
}

TEST("rows: large logits do not overflow, a masked class costs nothing") {
  const Array<float> z({1, 3}, {1000.0f, 999.0f, -HUGE_VALF}),
      t({1, 3}, {1.0f, 0.0f, 0.0f});
  Array<float> loss({1}), p({1, 3});
  run("softmax_cross_entropy", {z.view, t.view}, {loss.view, p.view});
  REQUIRE_MSG(close(loss[0], std::log1p(std::exp(-1.0)), 1e-5),
              std::to_string(loss[0]));
  REQUIRE(p[2] == 0);
}

TEST("rows: a label that is no class gives NaN in its own row only") {
  const Array<float> z = uniform<float>({3, 4}, -1, 1), dloss({3}, 1.0f);
  const Array<int32_t> labels({3}, {1, 4, -1});
  Array<float> loss({3}), p({3, 4}), dz({3, 4});
  run("sparse_softmax_cross_entropy", {z.view, labels.view}, {loss.view, p.view});
  REQUIRE(!std::isnan(loss[0]) && std::isnan(loss[1]) && std::isnan(loss[2]));
  run("sparse_softmax_cross_entropy_grad", {dloss.view, p.view, labels.view},
      {dz.view});
  for (int64_t i = 0; i < 12; ++i)
    REQUIRE(std::isnan(dz[i]) == (i >= 4));
  const Array<uint8_t> small({3}, {1, 0, 3});
  run("sparse_softmax_cross_entropy", {z.view, small.view}, {loss.view, p.view});
  REQUIRE(!std::isnan(loss[2]));
  const Array<float> wrong({3});
  REQUIRE_THROWS(
      run("sparse_softmax_cross_entropy", {z.view, wrong.view}, {loss.view, p.view}),
      "labels of dtype float32");
}
