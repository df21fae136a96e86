// SPDX-License-Identifier: Apache-2.0
// Matrices of any layout with poison around them, and the activations of an epilogue.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/tensor_view.hpp"

namespace matrix_test {

using namespace fastnn;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t below(uint64_t n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % n;
  }
  double value() { return static_cast<double>(below(2001)) / 1000.0 - 1.0; }

 private:
  uint64_t state_;
};

enum Layout { kRowMajor, kTransposed, kPadded, kEveryOther, kReversed, kLayouts };

// A matrix in memory of its own. Every byte around its elements is NaN or a canary.
template <class T>
class Matrix {
 public:
  Matrix(int64_t rows, int64_t cols, Layout layout, Random* random) {
    const int64_t pad = layout == kRowMajor || layout == kTransposed ? 0 : 5;
    const int64_t step = layout == kEveryOther ? 2 : 1;
    int64_t rs = cols * step + pad, cs = step, first = random ? random->below(16) : 16;
    if (layout == kTransposed) rs = 1, cs = rows;
    const int64_t span = (rows + 1) * (cols + 1) * step + (rows + 1) * pad + first + 64;
    storage_.assign(span, std::numeric_limits<T>::quiet_NaN());
    if (layout == kReversed && rows) first += (rows - 1) * rs, rs = -rs;
    view_.data = storage_.data() + first;
    view_.ndim = 2;
    view_.shape[0] = rows, view_.shape[1] = cols;
    view_.stride[0] = rs, view_.stride[1] = cs;
    view_.dtype = dtype_of<T>();
    if (!random) return;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j)
        at(i, j) = static_cast<T>(random->value());
    }
  }
  T& at(int64_t i, int64_t j) {
    return view_.ptr<T>()[i * view_.stride[0] + j * view_.stride[1]];
  }
  const TensorView& view() const { return view_; }
  int64_t rows() const { return view_.shape[0]; }
  int64_t cols() const { return view_.shape[1]; }
  TensorView vector_view() const {  // the single row of a 1 x n matrix
    TensorView v = view_;
    v.ndim = 1;
    v.shape[0] = view_.shape[1], v.stride[0] = view_.stride[1];
    return v;
  }

 private:
  std::vector<T> storage_;
  TensorView view_;
};

constexpr double kAlpha = 0.4;  // of elu, the slope of leaky_relu
constexpr int kActivations = 14, kGradients = 9;

inline double act(int64_t kind, double x) {
  const double alpha = 1.67326324235437728481, scale = 1.05070098735548049342;
  const double cubic = 0.797884560802865356 * (x + 0.044715 * x * x * x);
  switch (kind) {
    case 1:
      return x > 0 ? x : 0;
    case 2:
      return 1 / (1 + std::exp(-x));
    case 3:
      return std::tanh(x);
    case 4:
      return x > 0 ? x : kAlpha * std::expm1(x);
    case 5:
      return scale * (x > 0 ? x : alpha * std::expm1(x));
    case 6:
      return x > 0 ? x : kAlpha * x;
    case 7:
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    case 8:
      return std::fmin(std::fmax(x, 0), 6);
    case 9:
      return std::fmin(std::fmax(x + 3, 0), 6) / 6;
    case 10:
      return x * std::fmin(std::fmax(x + 3, 0), 6) / 6;
    case 11:
      return x / (1 + std::exp(-x));
    case 12:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case 13:
      return 0.5 * x * (1 + std::tanh(cubic));
  }
  return x;
}

inline double act_gradient(int64_t kind, double y) {
  const double alpha = 1.67326324235437728481, scale = 1.05070098735548049342;
  switch (kind) {
    case 1:
      return y > 0;
    case 2:
      return y * (1 - y);
    case 3:
      return 1 - y * y;
    case 4:
      return y > 0 ? 1 : y + kAlpha;
    case 5:
      return y > 0 ? scale : y + scale * alpha;
    case 6:
      return y > 0 ? 1 : kAlpha;
    case 7:
      return -std::expm1(-y);
    case 8:
      return y > 0 && y < 6;
  }
  return 1;
}

}  // namespace matrix_test
