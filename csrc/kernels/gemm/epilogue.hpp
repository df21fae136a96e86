// SPDX-License-Identifier: Apache-2.0
// What happens to a tile of C between the last multiply-add and its readers: bias and
// ReLU in the microkernel's registers, everything else in a second pass over the tile
// while it is in L1.
#pragma once

#include "kernels/gemm/pack.hpp"
#include "shared/pointwise.h"

FASTNN_BEGIN_NAMESPACE

// The values of the attribute `activation`, in the order of fastnn/opset/gemm.py.
enum Activation : int64_t { kLinear, kRelu, kSigmoid, kTanh, kElu, kSelu };
inline constexpr int64_t kActivations = 6;

template <class T>
struct Epilogue {
  const T* bias = nullptr;       // one per column of C, unit stride
  int64_t activation = kLinear;  // applied to C + bias, or with y: C * act'(y)
  const T* y = nullptr;          // element (i, j) at y[i * rsy + j * csy]
  int64_t rsy = 0, csy = 0;

  bool second_pass() const { return y ? activation != kLinear : activation > kRelu; }
};

template <class T>
struct Region {
  T* c;
  int64_t ldc;
  int64_t row, col;  // of c[0] in the whole C: where bias and y begin
  int64_t rows, cols;
};

// c = f(c [+ bias]); `bias` points at the region's first column or is nullptr.
template <class T, class F>
void map_region(const Region<T>& r, const T* bias, F f) {
  for (int64_t i = 0; i < r.rows; ++i) {
    for (int64_t j = 0; j < r.cols; j += lanes<T>) {
      const int valid = clip<T>(r.cols - j);
      T* c = r.c + i * r.ldc + j;
      Vec<T> v = load_n(c, valid);
      if (bias) v += load_n(bias + j, valid);
      store_n(c, f(v), valid);
    }
  }
}

// c = f(c, y)
template <class T, class F>
void map_region_gradient(const Region<T>& r, const Epilogue<T>& e, F f) {
  for (int64_t i = 0; i < r.rows; ++i) {
    const T* y = e.y + (r.row + i) * e.rsy + r.col * e.csy;
    for (int64_t j = 0; j < r.cols; j += lanes<T>) {
      const int valid = clip<T>(r.cols - j);
      T* c = r.c + i * r.ldc + j;
      Vec<T> vy = {};
      if (e.csy == 1) {
        vy = load_n(y + j, valid);
      } else {
        for (int q = 0; q < valid; ++q) vy[q] = y[(j + q) * e.csy];
      }
      store_n(c, f(load_n(c, valid), vy), valid);
    }
  }
}

template <class T>
void finish_gradient(const Region<T>& r, const Epilogue<T>& e) {
  switch (e.activation) {
    case kRelu: return map_region_gradient(r, e, ReluGrad{});
    case kSigmoid: return map_region_gradient(r, e, SigmoidGrad{});
    case kTanh: return map_region_gradient(r, e, TanhGrad{});
    case kElu: return map_region_gradient(r, e, EluGrad{1.0});
    case kSelu: return map_region_gradient(r, e, SeluGrad{});
  }
}

struct Identity {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    return x;
  }
};

// The second pass. `with_bias`: the bias was not added in registers.
template <class T>
void finish(const Region<T>& r, const Epilogue<T>& e, bool with_bias) {
  if (e.y) return finish_gradient(r, e);
  const T* bias = with_bias && e.bias ? e.bias + r.col : nullptr;
  switch (e.activation) {
    case kLinear: return bias ? map_region(r, bias, Identity{}) : void();
    case kRelu: return map_region(r, bias, Relu{});
    case kSigmoid: return map_region(r, bias, Sigmoid{});
    case kTanh: return map_region(r, bias, Tanh{});
    case kElu: return map_region(r, bias, Elu{1.0});
    case kSelu: return map_region(r, bias, Selu{});
  }
}

FASTNN_END_NAMESPACE
