// SPDX-License-Identifier: Apache-2.0
// What happens to a tile of C between the last multiply-add and its readers: bias,
// ReLU and its gradient in the microkernel's registers, everything else in a second
// pass over the tile while it is in L1.
#pragma once

#include "base/error.hpp"
#include "kernels/gemm/pack.hpp"
#include "kernels/simd/dtypes.hpp"
#include "shared/pointwise.h"

FASTNN_BEGIN_NAMESPACE

// The values of the attribute `activation`, in the order of fastnn/opset/gemm.py. Up to
// kRelu6 the derivative is a function of the output, so gradients can have it too.
enum Activation : int64_t {
  kLinear,
  kRelu,
  kSigmoid,
  kTanh,
  kElu,
  kSelu,
  kLeakyRelu,
  kSoftplus,
  kRelu6,
  kHardSigmoid,
  kHardSilu,
  kSilu,
  kGelu,
  kGeluTanh,
};
inline constexpr int64_t kGradients = kRelu6 + 1;
inline constexpr int64_t kActivations = kGeluTanh + 1;

FASTNN_INLINE int64_t activation_of(const char* op, AttrValue attr,
                                    int64_t count = kActivations) {
  FASTNN_CHECK(attr.i >= 0 && attr.i < count,
               "[%s] activation is %lld, expected 0 to %d", op,
               static_cast<long long>(attr.i), static_cast<int>(count) - 1);
  return attr.i;
}

struct Identity {
  template <class V>
  FASTNN_HD V operator()(V x) const {
    return x;
  }
};

template <class T>
struct Epilogue {
  const T* bias = nullptr;       // one per column of C
  int64_t bias_step = 1;         // anything else in bfloat16 only
  int64_t activation = kLinear;  // applied to C + bias, or with y: C * act'(y)
  double alpha = 1;              // of elu, the slope of leaky_relu
  const T* y = nullptr;          // element (i, j) at y[i * rsy + j * csy]
  int64_t rsy = 0, csy = 0;

  bool is_none() const { return !bias && !y && activation == kLinear; }
  // What the microkernel does not do in registers.
  bool second_pass() const {
    return activation > kRelu || (y && activation == kRelu && csy != 1);
  }
};

template <class T>
struct Region {
  T* c;
  int64_t ldc;
  int64_t row, col;  // of c[0] in the whole C: where bias and y begin
  int64_t rows, cols;
};

// c = f(c, j) for the vectors of the region; j is the column within it.
template <class T, class F>
FASTNN_INLINE void map_region(const Region<T>& r, F f) {
  constexpr int n = lanes<T>;
  for (int64_t i = 0; i < r.rows; ++i) {
    T* c = r.c + i * r.ldc;
    int64_t j = 0;
    for (; j + n <= r.cols; j += n)
      store(c + j, f(load(c + j), i, j, n));
    const int tail = static_cast<int>(r.cols - j);
    if (tail) store_n(c + j, f(load_n(c + j, tail), i, j, tail), tail);
  }
}

template <class T>
FASTNN_INLINE Vec<T> load_up_to(const T* p, int valid) {
  return valid == lanes<T> ? load(p) : load_n(p, valid);
}

// c = f(c [+ bias]); `bias` points at the region's first column or is nullptr.
template <class T, class F>
void map_forward(const Region<T>& r, const T* bias, F f) {
  map_region(r, [=](Vec<T> v, int64_t, int64_t j, int valid) {
    return f(bias ? v + load_up_to(bias + j, valid) : v);
  });
}

// c = f(c, y)
template <class T, class F>
void map_gradient(const Region<T>& r, const Epilogue<T>& e, F f) {
  const T* first = e.y + r.row * e.rsy + r.col * e.csy;
  map_region(r, [&](Vec<T> v, int64_t i, int64_t j, int valid) {
    const T* y = first + i * e.rsy + j * e.csy;
    if (e.csy == 1) return f(v, load_up_to(y, valid));
    Vec<T> gathered = {};
    for (int q = 0; q < valid; ++q)
      gathered[q] = y[q * e.csy];
    return f(v, gathered);
  });
}

template <class T>
void finish_gradient(const Region<T>& r, const Epilogue<T>& e) {
  switch (e.activation) {
    case kRelu:
      return map_gradient(r, e, ReluGrad{});
    case kSigmoid:
      return map_gradient(r, e, SigmoidGrad{});
    case kTanh:
      return map_gradient(r, e, TanhGrad{});
    case kElu:
      return map_gradient(r, e, EluGrad{e.alpha});
    case kSelu:
      return map_gradient(r, e, SeluGrad{});
    case kLeakyRelu:
      return map_gradient(r, e, LeakyReluGrad{e.alpha});
    case kSoftplus:
      return map_gradient(r, e, SoftplusGrad{});
    case kRelu6:
      return map_gradient(r, e, Relu6Grad{});
  }
}

// The second pass. `with_bias`: the bias was not added in registers.
template <class T>
void finish(const Region<T>& r, const Epilogue<T>& e, bool with_bias) {
  if (e.y) return finish_gradient(r, e);
  const T* bias = with_bias && e.bias ? e.bias + r.col : nullptr;
  switch (e.activation) {
    case kLinear:
      return bias ? map_forward(r, bias, Identity{}) : void();
    case kRelu:
      return map_forward(r, bias, Relu{});
    case kSigmoid:
      return map_forward(r, bias, Sigmoid{});
    case kTanh:
      return map_forward(r, bias, Tanh{});
    case kElu:
      return map_forward(r, bias, Elu{e.alpha});
    case kSelu:
      return map_forward(r, bias, Selu{});
    case kLeakyRelu:
      return map_forward(r, bias, LeakyRelu{e.alpha});
    case kSoftplus:
      return map_forward(r, bias, Softplus{});
    case kRelu6:
      return map_forward(r, bias, Relu6{});
    case kHardSigmoid:
      return map_forward(r, bias, HardSigmoid{});
    case kHardSilu:
      return map_forward(r, bias, HardSilu{});
    case kSilu:
      return map_forward(r, bias, Silu{});
    case kGelu:
      return map_forward(r, bias, Gelu{0});
    case kGeluTanh:
      return map_forward(r, bias, Gelu{1});
  }
}

FASTNN_END_NAMESPACE
