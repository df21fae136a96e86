// SPDX-License-Identifier: Apache-2.0
// The loops of bfloat16 products with operands packed as vdpbf16ps takes them, run with
// a function that does what Intel defines for the instruction. So all but the
// instruction itself is tested on CPUs without it.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "kernels/gemm/pairs.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Two multiply-adds per lane, that of the high halves first.
FASTNN_INLINE Vec<float> dot_pairs(Vec<float> sum, uint32_t a, Vec<uint32_t> b) {
  const auto high = __builtin_bit_cast(float, a & 0xffff0000u);
  const auto low = __builtin_bit_cast(float, a << 16);
  sum = WidenedDot::add(sum, high, WidenedDot::operand<0>(b));
  return WidenedDot::add(sum, low, WidenedDot::operand<1>(b));
}

struct Operands {
  std::vector<uint16_t> a, b, c, bias, y;
  HalfProduct p;
};

// Any strides: `form` & 1: A in columns, & 2: B in columns, & 4: gaps.
Operands operands(int64_t m, int64_t n, int64_t k, int form) {
  Operands o;
  const int64_t gap = form & 4 ? 3 : 0;
  uint32_t state = static_cast<uint32_t>(m * 131 + n * 17 + k * 7 + form);
  const auto fill = [&](std::vector<uint16_t>& v, int64_t size) {
    for (int64_t i = 0; i < size; ++i) {
      state = state * 1664525u + 1013904223u;
      const float x = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
      v.push_back(BFloat16(x).bits);
    }
  };
  fill(o.a, (m + gap) * (k + gap) + 1);
  fill(o.b, (k + gap) * (n + gap) + 1);
  fill(o.bias, n + 1);
  fill(o.y, m * n + 1);
  o.c.assign(static_cast<size_t>(m * n + 1), 0x7fc1);
  HalfProduct& p = o.p;
  p = {};
  p.m = m, p.n = n, p.k = k;
  p.a = o.a.data(), p.rsa = form & 1 ? 1 : k + gap, p.csa = form & 1 ? m + gap : 1;
  p.b = o.b.data(), p.rsb = form & 2 ? 1 : n + gap, p.csb = form & 2 ? k + gap : 1;
  p.c = o.c.data(), p.ldc = n;
  p.alpha = 0.3;
  if (form % 3 == 1) p.bias = o.bias.data(), p.bias_step = 1, p.activation = kGelu;
  if (form % 3 == 2) {
    p.y = o.y.data(), p.rsy = n, p.csy = 1;
    p.activation = kLeakyRelu;
  }
  return o;
}

void check(int64_t m, int64_t n, int64_t k, int form) {
  Operands one = operands(m, n, k, form), two = operands(m, n, k, form);
  multiply_pairs<WidenedDot>(one.p);
  multiply_pairs<PairedDot<dot_pairs>>(two.p);
  const std::string where = std::to_string(m) + "x" + std::to_string(k) + "x" +
                            std::to_string(n) + " form " + std::to_string(form);
  REQUIRE_MSG(one.c == two.c, where + ": the two kinds of pairs differ");
  REQUIRE_MSG(one.c.back() == 0x7fc1, where + ": wrote behind the end");
  for (int64_t i = 0; i < m * n; ++i)
    REQUIRE_MSG(one.c[static_cast<size_t>(i)] != 0x7fc1, where + ": not written");
}

}  // namespace
FASTNN_END_NAMESPACE

TEST("pairs: both kinds give the same bits for every m, n and k around a tile") {
  using fastnn::FASTNN_ISA::check;
  for (int64_t m : {1, 2, 5, 8, 9, 19})
    for (int64_t n : {1, 3, 16, 17, 48, 53, 100})
      for (int64_t k = 1; k <= 40; ++k)
        check(m, n, k, static_cast<int>((m + n + k) % 8));
}

TEST("pairs: both kinds give the same bits for long k and many rows") {
  using fastnn::FASTNN_ISA::check;
  for (int form = 0; form < 8; ++form) {
    check(17, 50, 1601, form);
    check(11, 20, 3299, form);
    check(900, 20, 333, form);
  }
}
