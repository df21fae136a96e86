// SPDX-License-Identifier: Apache-2.0
#include "kernel_test.hpp"

using namespace kernel_test;

namespace {

// One element in double: inputs and updated values.
struct Element {
  double w, g, a, b;
};

template <class T, class F>
void check(const std::string& name, int slots, const Attrs& attrs, F exact) {
  const Array<T> lr({}, T(0.01));
  const Array<int64_t> step({}, {3});
  for (const auto& shape : {std::vector<int64_t>{}, {0, 3}, {7}, {33, 19}}) {
    const Array<T> w = uniform<T>(shape, -2, 2), g = uniform<T>(shape, -2, 2, 2),
                   a = uniform<T>(shape, 0.1, 2, 3), b = uniform<T>(shape, 0.1, 2, 4);
    Array<T> w1(shape), a1(shape), b1(shape);
    Views in = {w.view, g.view}, out = {w1.view};
    if (slots > 0) in.push_back(a.view), out.push_back(a1.view);
    if (slots > 1) in.push_back(b.view), out.push_back(b1.view);
    in.push_back(lr.view);
    if (name == "adam") in.push_back(step.view);
    run(name, in, out, attrs);
    const double eps = sizeof(T) == 4 ? 2e-6 : 4e-15;
    for (int64_t i = 0; i < w.size(); ++i) {
      Element e = {double(w[i]), double(g[i]), double(a[i]), double(b[i])};
      exact(e, double(lr[0]));
      REQUIRE_MSG(close(w1[i], e.w, eps, eps), name + show(w1[i], e.w));
      if (slots > 0) REQUIRE_MSG(close(a1[i], e.a, eps, eps), name + show(a1[i], e.a));
      if (slots > 1) REQUIRE_MSG(close(b1[i], e.b, eps, eps), name + show(b1[i], e.b));
    }
    require_same_for_all_parts(name, in, out, attrs);
    // In place: weights and slots are overwritten.
    Array<T> w2 = w, a2 = a, b2 = b;
    Views in_place = in, targets = {w2.view};
    in_place[0] = w2.view;
    if (slots > 0) in_place[2] = a2.view, targets.push_back(a2.view);
    if (slots > 1) in_place[3] = b2.view, targets.push_back(b2.view);
    run(name, in_place, targets, attrs, 3);
    REQUIRE(w2.data == w1.data);
    if (slots > 0) REQUIRE(a2.data == a1.data);
    if (slots > 1) REQUIRE(b2.data == b1.data);
  }
}

template <class T>
void check_all() {
  check<T>("sgd", 0, {attr(0.0)}, [](Element& e, double lr) { e.w -= lr * e.g; });
  for (const bool nesterov : {false, true}) {
    check<T>("sgd_momentum", 1, {attr(0.9), attr(int(nesterov)), attr(0.0)},
             [=](Element& e, double lr) {
               e.a = 0.9 * e.a - lr * e.g;
               e.w += nesterov ? 0.9 * e.a - lr * e.g : e.a;
             });
  }
  check<T>("rmsprop", 1, {attr(0.9), attr(1e-7), attr(0.0)}, [](Element& e, double lr) {
    e.a = 0.9 * e.a + 0.1 * e.g * e.g;
    e.w -= lr * e.g / std::sqrt(e.a + 1e-7);
  });
  check<T>("adam", 2, {attr(0.9), attr(0.999), attr(1e-7), attr(0.5)},
           [](Element& e, double lr) {
             const double alpha =
                 lr * std::sqrt(1 - std::pow(0.999, 3)) / (1 - std::pow(0.9, 3));
             e.w -= e.w * lr * 0.5;  // weight decay
             e.a += (e.g - e.a) * (1 - 0.9);
             e.b += (e.g * e.g - e.b) * (1 - 0.999);
             e.w -= alpha * e.a / (std::sqrt(e.b) + 1e-7);
           });
}

}  // namespace

TEST("optim: one step of every optimizer, float32") { check_all<float>(); }
TEST("optim: one step of every optimizer, float64") { check_all<double>(); }

TEST("optim: a gradient of any strides") {
  const Array<float> w = uniform<float>({9, 20}, -1, 1),
                     g = uniform<float>({20, 9}, -1, 1), lr({}, 0.5f), flat({}, 1.0f);
  Array<float> y({9, 20});
  run("sgd", {w.view, transposed(g.view), lr.view}, {y.view}, {attr(0.0)});
  for (int64_t i = 0; i < w.size(); ++i) {
    REQUIRE(close(y[i], w[i] - 0.5 * double(g[i % 20 * 9 + i / 20]), 1e-6, 1e-7));
  }
  run("sgd", {w.view, broadcast(flat.view, {9, 20}), lr.view}, {y.view}, {attr(0.0)});
  for (int64_t i = 0; i < w.size(); ++i)
    REQUIRE(y[i] == w[i] - 0.5f);
}
