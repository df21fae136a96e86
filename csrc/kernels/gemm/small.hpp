// SPDX-License-Identifier: Apache-2.0
// Small products, where the choices of plan.hpp, each a division or two of 25 to 40
// cycles, take longer than the multiply-adds: 32x8x30 with bias and ReLU 553 -> 372 ns.
#pragma once

#include "kernels/gemm/plan.hpp"

FASTNN_BEGIN_NAMESPACE

// B read where it lies, tiles of full height, no copy and nothing fetched ahead.
template <class T>
void run_small(const Product<T>& p) {
  constexpr int n = lanes<T>;
  const Epilogue<T>& e = p.epilogue;
  const int64_t width = tile_width(p.m);
  const bool second_pass = e.second_pass();
  const bool relu_gradient = e.y && e.activation == kRelu && !second_pass;
  Tile<T> t = {};
  t.k = p.k;
  t.rsa = p.rsa, t.csa = p.csa;
  t.segments = 1, t.jump = &kNoJump;
  t.ldb = p.rsb, t.ldc = p.ldc;
  t.relu = !e.y && e.activation == kRelu;
  for (int64_t j = 0; j < p.n;) {
    const int64_t vectors = min_of(width, (p.n - j + n - 1) / n);
    const int64_t cols = min_of(vectors * n, p.n - j), most = kTileRows[vectors];
    t.tail = static_cast<int>(cols - (vectors - 1) * n);
    t.b = p.b + j;
    t.bias = !e.y && e.bias ? e.bias + p.col + j : nullptr;
    for (int64_t i = 0; i < p.m; i += most) {
      const int64_t rows = min_of(most, p.m - i);
      t.a = p.a + i * p.rsa;
      t.c = p.c + i * p.ldc + j;
      if (relu_gradient) {
        t.y = e.y + (p.row + i) * e.rsy + p.col + j, t.ldy = e.rsy;
      }
      tile_table<T>().fn[kInPlace][vectors][rows](t);
      if (second_pass)
        finish<T>({t.c, t.ldc, p.row + i, p.col + j, rows, cols}, e, false);
    }
    j += cols;
  }
}

FASTNN_END_NAMESPACE
