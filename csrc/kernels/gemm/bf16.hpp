// SPDX-License-Identifier: Apache-2.0
// Products of bfloat16 matrices: with the CPU's instruction or without.
#pragma once

#include "kernels/gemm/half_product.hpp"
#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

template <class T>
inline constexpr bool kIsBFloat16 = false;
template <>
inline constexpr bool kIsBFloat16<BFloat16> = true;

template <class T>
HalfProduct half_product(const Product<T>& p) {
  const auto bits = [](const T* at) { return reinterpret_cast<const uint16_t*>(at); };
  const Epilogue<T>& e = p.epilogue;
  HalfProduct h = {};
  h.m = p.m, h.n = p.n, h.k = p.k;
  h.a = bits(p.a), h.rsa = p.rsa, h.csa = p.csa;
  h.b = bits(p.b), h.rsb = p.rsb, h.csb = p.csb;
  h.c = reinterpret_cast<uint16_t*>(p.c), h.ldc = p.ldc;
  h.bias = e.bias ? bits(e.bias + p.col * e.bias_step) : nullptr;
  h.bias_step = e.bias_step;
  h.y = e.y ? bits(e.y + p.row * e.rsy + p.col * e.csy) : nullptr;
  h.rsy = e.rsy, h.csy = e.csy;
  h.activation = e.activation, h.alpha = e.alpha;
  return h;
}

// Computes a part of a product.
void run_half(const HalfProduct& p);

FASTNN_END_NAMESPACE
