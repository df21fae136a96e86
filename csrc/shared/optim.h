// SPDX-License-Identifier: Apache-2.0
// Optimizer updates of one element, on a value type V. Formulas are those of Keras 3.
// A functor holds the scalars of one step, computed once in double; it is given the
// weight, the gradient and the element's `kSlots` slots. Options are template
// arguments: a branch inside may change which products the compiler fuses with sums,
// and the last elements of an array, which are another copy of the code, must get the
// same bits.
#pragma once

#include "shared/math.h"

FASTNN_BEGIN_NAMESPACE

// w -= lr g
struct Sgd {
  static constexpr int kSlots = 0;
  double lr;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V*) const {
    w = w - constant<V>(lr) * g;
  }
};

// m = momentum m - lr g; w += m, or momentum m - lr g with Nesterov.
template <bool nesterov>
struct SgdMomentum {
  static constexpr int kSlots = 1;
  double lr, momentum;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    const V step = constant<V>(lr) * g;
    s[0] = constant<V>(momentum) * s[0] - step;
    if constexpr (nesterov) {
      w = w + (constant<V>(momentum) * s[0] - step);
    } else {
      w = w + s[0];
    }
  }
};

// The moving average: a = rate a + (1 - rate) x.
template <class V>
FASTNN_HD V average(V a, V x, double rate) {
  return constant<V>(rate) * a + constant<V>(1 - rate) * x;
}
// The same, written as Adam's family does.
template <class V>
FASTNN_HD V moved(V a, V x, double beta) {
  return a + (x - a) * constant<V>(1 - beta);
}

// Statistics of batch normalization: w = rate w + (1 - rate) x.
struct MovingAverage {
  static constexpr int kSlots = 0;
  double rate;
  template <class V>
  FASTNN_HD void operator()(V& w, V x, V*) const {
    w = average(w, x, rate);
  }
};

// v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon). `centered` subtracts the
// square of the average gradient from v; `with_momentum` adds up the steps.
template <bool centered, bool with_momentum>
struct RmsProp {
  static constexpr int kSlots = 1 + centered + with_momentum;
  double lr, rho, epsilon, momentum;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = average(s[0], g * g, rho);
    V denominator = s[0] + constant<V>(epsilon);
    if constexpr (centered) {
      s[1] = average(s[1], g, rho);
      denominator = s[0] - s[1] * s[1] + constant<V>(epsilon);
    }
    V step = constant<V>(lr) * g / sqrt(denominator);
    if constexpr (with_momentum) {
      step = constant<V>(momentum) * s[kSlots - 1] + step;
      s[kSlots - 1] = step;
    }
    w = w - step;
  }
};

// 1 - beta^t
FASTNN_HD double bias_correction(double beta, int64_t step) {
  return 1 - ::pow(beta, static_cast<double>(step));
}

// Kingma & Ba 2015; the bias corrections of both moments are in alpha. AMSGrad (Reddi
// et al. 2018) divides by the largest v so far.
template <bool amsgrad>
struct Adam {
  static constexpr int kSlots = 2 + amsgrad;
  double alpha, beta_1, beta_2, epsilon;
  FASTNN_HD static Adam at_step(double lr, int64_t step, double beta_1, double beta_2,
                                double epsilon) {
    const double correction =
        ::sqrt(bias_correction(beta_2, step)) / bias_correction(beta_1, step);
    return {lr * correction, beta_1, beta_2, epsilon};
  }
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = moved(s[0], g, beta_1);
    s[1] = moved(s[1], g * g, beta_2);
    if constexpr (amsgrad) s[2] = maximum(s[2], s[1]);
    w = w - constant<V>(alpha) * s[0] / (sqrt(s[kSlots - 1]) + constant<V>(epsilon));
  }
};

// Kingma & Ba 2015, section 7: u = max(beta_2 u, |g|).
struct Adamax {
  static constexpr int kSlots = 2;
  double alpha, beta_1, beta_2, epsilon;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = moved(s[0], g, beta_1);
    s[1] = maximum(constant<V>(beta_2) * s[1], absolute(g));
    w = w - constant<V>(alpha) * s[0] / (s[1] + constant<V>(epsilon));
  }
};

// Dozat 2016. `product` is that of the momenta u_1 .. u_t,
// u_t = beta_1 (1 - 0.96^t / 2).
struct Nadam {
  static constexpr int kSlots = 2;
  double of_m, of_g, root, beta_1, beta_2, epsilon;
  FASTNN_HD static double momentum(double beta_1, int64_t step) {
    return beta_1 * (1 - 0.5 * ::pow(0.96, static_cast<double>(step)));
  }
  FASTNN_HD static Nadam at_step(double lr, int64_t step, double product, double beta_1,
                                 double beta_2, double epsilon) {
    const double now = momentum(beta_1, step), next = momentum(beta_1, step + 1);
    return {lr * next / (1 - product * next),
            lr * (1 - now) / (1 - product),
            1 / ::sqrt(bias_correction(beta_2, step)),
            beta_1,
            beta_2,
            epsilon};
  }
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = moved(s[0], g, beta_1);
    s[1] = moved(s[1], g * g, beta_2);
    const V step = constant<V>(of_m) * s[0] + constant<V>(of_g) * g;
    w = w - step / (constant<V>(root) * sqrt(s[1]) + constant<V>(epsilon));
  }
};

// Duchi et al. 2011: a += g^2; w -= lr g / sqrt(a + epsilon)
struct Adagrad {
  static constexpr int kSlots = 1;
  double lr, epsilon;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = s[0] + g * g;
    w = w - constant<V>(lr) * g / sqrt(s[0] + constant<V>(epsilon));
  }
};

// Zeiler 2012: averages of squared gradients and of squared steps.
struct Adadelta {
  static constexpr int kSlots = 2;
  double lr, rho, epsilon;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    const V eps = constant<V>(epsilon);
    s[0] = average(s[0], g * g, rho);
    const V step = sqrt(s[1] + eps) * g / sqrt(s[0] + eps);
    s[1] = average(s[1], step * step, rho);
    w = w - constant<V>(lr) * step;
  }
};

// FTRL-Proximal (McMahan et al. 2013): slots accumulator and linear. `root`: the power
// is 1/2.
template <bool root>
struct Ftrl {
  static constexpr int kSlots = 2;
  double lr, power, l1, l2, shrinkage;  // l2 includes beta / (2 lr)
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    const V grown = s[0] + g * g, rate = constant<V>(lr), high = constant<V>(l1);
    V after, growth;  // of accumulator^power
    if constexpr (root) {
      after = sqrt(grown);
      growth = g * g / (after + sqrt(s[0]));  // without the cancellation
      growth = select(after > constant<V>(0), growth, after);
    } else {
      after = pow(grown, constant<V>(power));
      growth = after - pow(s[0], constant<V>(power));
    }
    s[0] = grown;
    s[1] = s[1] + (g + constant<V>(2 * shrinkage) * w - growth / rate * w);
    const V clipped = minimum(maximum(s[1], -high), high);
    w = (clipped - s[1]) / (after / rate + constant<V>(2 * l2));
  }
};

// Chen et al. 2023: the sign of an interpolated momentum.
struct Lion {
  static constexpr int kSlots = 1;
  double lr, beta_1, beta_2;
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    const V zero = constant<V>(0), rate = constant<V>(lr);
    const V c = average(s[0], g, beta_1);
    s[0] = average(s[0], g, beta_2);
    const V step = select(c > zero, rate, select(c < zero, -rate, c));
    w = w - step;
  }
};

// You et al. 2020: Adam's direction, without weights: it replaces `w`.
struct LambDirection {
  static constexpr int kSlots = 2;
  double of_m, root, beta_1, beta_2, epsilon;
  FASTNN_HD static LambDirection at_step(int64_t step, double beta_1, double beta_2,
                                         double epsilon) {
    return {1 / bias_correction(beta_1, step),
            1 / ::sqrt(bias_correction(beta_2, step)), beta_1, beta_2, epsilon};
  }
  template <class V>
  FASTNN_HD void operator()(V& w, V g, V* s) const {
    s[0] = moved(s[0], g, beta_1);
    s[1] = moved(s[1], g * g, beta_2);
    w = constant<V>(of_m) * s[0] /
        (constant<V>(root) * sqrt(s[1]) + constant<V>(epsilon));
  }
};

FASTNN_END_NAMESPACE
