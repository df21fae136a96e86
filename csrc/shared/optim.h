// SPDX-License-Identifier: Apache-2.0
// Optimizer updates of one element, on a value type V. Formulas are those of Keras 3.
// A functor holds the scalars of one step, computed once in double.
#pragma once

#include "shared/hd.h"

FASTNN_BEGIN_NAMESPACE

// w -= lr g
struct Sgd {
  double lr;
  template <class V>
  FASTNN_HD void operator()(V& w, V g) const {
    w = w - constant<V>(lr) * g;
  }
};

// m = momentum m - lr g; w += m, or momentum m - lr g with Nesterov.
struct SgdMomentum {
  double lr, momentum;
  bool nesterov;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V& m) const {
    const V step = constant<V>(lr) * g;
    m = constant<V>(momentum) * m - step;
    w = w + (nesterov ? constant<V>(momentum) * m - step : m);
  }
};

// v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon)
struct RmsProp {
  double lr, rho, epsilon;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V& v) const {
    v = constant<V>(rho) * v + constant<V>(1 - rho) * (g * g);
    w = w - constant<V>(lr) * g / sqrt(v + constant<V>(epsilon));
  }
};

// Kingma & Ba 2015; the bias corrections of both moments are in alpha.
struct Adam {
  double alpha, beta_1, beta_2, epsilon;
  FASTNN_HD static Adam at_step(double lr, int64_t step, double beta_1, double beta_2,
                                double epsilon) {
    const double t = static_cast<double>(step);
    const double correction = ::sqrt(1 - ::pow(beta_2, t)) / (1 - ::pow(beta_1, t));
    return {lr * correction, beta_1, beta_2, epsilon};
  }
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V& m, V& v) const {
    m = m + (g - m) * constant<V>(1 - beta_1);
    v = v + (g * g - v) * constant<V>(1 - beta_2);
    w = w - constant<V>(alpha) * m / (sqrt(v) + constant<V>(epsilon));
  }
};

FASTNN_END_NAMESPACE
