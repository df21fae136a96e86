// SPDX-License-Identifier: Apache-2.0
// Matrices of any layout with poison around them, the activations of an epilogue, and
// calls of a kernel in parts that must agree.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "kernels/table.hpp"

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

template <class T>
T poison() {
  return static_cast<T>(std::numeric_limits<float>::quiet_NaN());
}

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
    storage_.assign(span, poison<T>());
    if (layout == kReversed && rows) first += (rows - 1) * rs, rs = -rs;
    view_.data = storage_.data() + first;
    view_.ndim = 2;
    view_.shape[0] = rows, view_.shape[1] = cols;
    view_.stride[0] = rs, view_.stride[1] = cs;
    view_.dtype = dtype_of<T>();
    if (!random) return;
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j)
        at(i, j) = static_cast<T>(static_cast<float>(random->value()));
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

inline constexpr double kAlpha = 0.4;  // of elu, the slope of leaky_relu
inline constexpr int kActivations = 14, kGradients = 9;

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

inline void launch(const char* name, const std::vector<TensorView>& in,
                   const std::vector<TensorView>& out, int64_t option, int parts,
                   bool alone = false) {
  const KernelEntry* entry = find_kernel(name);
  REQUIRE_MSG(entry, name);
  AttrValue attrs[2];
  attrs[0].i = option, attrs[1].f = kAlpha;
  for (int index = 0; index < parts; ++index) {
    entry->fn({in.data(), out.data(), attrs, {index, parts, alone}});
  }
}

inline constexpr int64_t kGuard =
    16;  // elements around an output, NaN before and after

// The outputs of one part; 2, 3 and 7 parts must give the same bits, and so must parts
// that are alone (negative), which may share columns. Nothing outside
// the outputs may change, and all of the inside must.
template <class T>
std::vector<std::vector<T>> run(const char* name, const std::vector<TensorView>& in,
                                std::vector<TensorView> out, int64_t option,
                                const std::string& where) {
  std::vector<std::vector<T>> first;
  for (int parts : {1, 2, 3, 7, -2, -6}) {
    std::vector<std::vector<T>> memory;
    for (TensorView& o : out) {
      memory.emplace_back(o.numel() + 2 * kGuard, poison<T>());
      o.data = memory.back().data() + kGuard;
    }
    launch(name, in, out, option, std::abs(parts), parts < 0);
    if (parts == 1) first = memory;
    for (size_t i = 0; i < out.size(); ++i) {
      const int64_t end = kGuard + out[i].numel();
      for (int64_t q = 0; q < end + kGuard && parts == 1; ++q) {
        const bool inside = q >= kGuard && q < end;
        REQUIRE_MSG(inside == !std::isnan(static_cast<float>(memory[i][q])),
                    where + " writes outside");
      }
      REQUIRE_MSG(
          !std::memcmp(memory[i].data(), first[i].data(), memory[i].size() * sizeof(T)),
          where + " differs with parts=" + std::to_string(parts));
    }
  }
  return first;
}

template <class T>
TensorView output(std::initializer_list<int64_t> shape) {
  TensorView v;
  v.dtype = dtype_of<T>();
  for (int64_t size : shape)
    v.shape[v.ndim++] = size;
  int64_t stride = 1;
  for (int d = v.ndim - 1; d >= 0; --d)
    v.stride[d] = stride, stride *= v.shape[d];
  return v;
}

struct Case {
  int64_t m, n, k;
  Layout a = kRowMajor, b = kRowMajor, c = kRowMajor;
  int64_t activation = 0;
};

inline std::string show(const char* name, const Case& t) {
  return std::string(name) + " m=" + std::to_string(t.m) + " n=" + std::to_string(t.n) +
         " k=" + std::to_string(t.k) + " layouts " + std::to_string(t.a) +
         std::to_string(t.b) + std::to_string(t.c) +
         " activation=" + std::to_string(t.activation);
}

}  // namespace matrix_test
