// SPDX-License-Identifier: Apache-2.0
// Products of bfloat16 matrices against a plain loop in double on the rounded operands,
// and against the float32 kernels: the same sums, rounded once.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/cpu.hpp"
#include "matrix.hpp"

namespace {

using namespace fastnn;
using namespace matrix_test;

Matrix<float> widened(Matrix<BFloat16>& a) {
  Matrix<float> wide(a.rows(), a.cols(), kRowMajor, nullptr);
  for (int64_t i = 0; i < a.rows(); ++i) {
    for (int64_t j = 0; j < a.cols(); ++j)
      wide.at(i, j) = a.at(i, j);
  }
  return wide;
}

// Without AVX512_BF16 the bits are those of the float32 kernels. With it, denormals are
// flushed and a CPU may round once per pair.
bool same_bits() {
  return !cpu_supports("avx512bf16") || active_isa() != std::string("avx512");
}

void compare(const std::vector<BFloat16>& got, const std::vector<float>& want,
             const std::string& where) {
  for (size_t i = 0; i < got.size(); ++i) {
    if (same_bits()) {
      REQUIRE_MSG(got[i].bits == BFloat16(want[i]).bits,
                  where + " element " + std::to_string(i) + ": " +
                      std::to_string(static_cast<float>(got[i])) + ", float32 gives " +
                      std::to_string(want[i]));
    } else if (!std::isfinite(want[i])) {
      const float value = got[i];
      REQUIRE_MSG(std::isnan(want[i]) ? std::isnan(value) : value == want[i], where);
    } else {
      const float most = 0x1p-7f * std::fabs(want[i]) + 1e-5f;
      REQUIRE_MSG(std::fabs(static_cast<float>(got[i]) - want[i]) <= most, where);
    }
  }
}

void check_against(const char* name, const Case& t, std::vector<Matrix<BFloat16>*> in,
                   int vector) {
  std::vector<TensorView> half, single;
  std::vector<Matrix<float>> wide;
  for (Matrix<BFloat16>* m : in)
    wide.push_back(widened(*m));
  for (size_t i = 0; i < in.size(); ++i) {
    const bool flat = static_cast<int>(i) == vector;
    half.push_back(flat ? in[i]->vector_view() : in[i]->view());
    single.push_back(flat ? wide[i].vector_view() : wide[i].view());
  }
  const std::string where = show(name, t);
  const auto got =
      run<BFloat16>(name, half, {output<BFloat16>({t.m, t.n})}, t.activation, where);
  const auto want =
      run<float>(name, single, {output<float>({t.m, t.n})}, t.activation, where);
  compare(got[0], want[0], where);
}

void check_all(const Case& t, Random& random) {
  Matrix<BFloat16> a(t.m, t.k, t.a, &random), b(t.k, t.n, t.b, &random);
  Matrix<BFloat16> bias(1, t.n, t.c, &random), w(t.n, t.k, t.b, &random);
  Matrix<BFloat16> y(t.m, t.n, t.c, &random);
  check_against("matmul", t, {&a, &b}, -1);
  check_against("linear", t, {&a, &b, &bias}, 2);
  Case gradient = t;
  gradient.activation %= kGradients;
  check_against("linear_grad_input", gradient, {&a, &w, &y}, -1);
}

Layout any_layout(Random& random) {
  return static_cast<Layout>(random.below(kLayouts));
}

constexpr int64_t kEdges[] = {0,  1,  2,  3,  4,  7,  8,  9,  15, 16,
                              17, 25, 31, 32, 33, 47, 48, 49, 65, 70};

}  // namespace

TEST("bf16 gemm: every pair of edge sizes, any layout and activation") {
  Random random(1);
  for (int64_t m : kEdges) {
    for (int64_t n : kEdges) {
      Case t = {m, n, kEdges[random.below(std::size(kEdges))]};
      t.a = any_layout(random), t.b = any_layout(random), t.c = any_layout(random);
      t.activation = static_cast<int64_t>(random.below(kActivations));
      check_all(t, random);
    }
  }
}

TEST("bf16 gemm: every k up to 70, row-major and transposed") {
  Random random(2);
  for (int64_t k = 1; k <= 70; ++k) {
    for (Layout a : {kRowMajor, kTransposed}) {
      for (Layout b : {kRowMajor, kTransposed}) {
        check_all({1 + int64_t(random.below(70)), 1 + int64_t(random.below(70)), k, a,
                   b, kRowMajor, 1},
                  random);
      }
    }
  }
}

TEST("bf16 gemm: k in several blocks, many rows") {
  Random random(3);
  check_all({9, 50, 1601, kRowMajor, kTransposed}, random);
  check_all({20, 17, 3300, kTransposed, kRowMajor, kRowMajor, 3}, random);
  check_all({700, 33, 500, kRowMajor, kRowMajor, kRowMajor, 12}, random);
  check_all({1000, 20, 301, kTransposed, kTransposed}, random);
}

// The error bound of a chain of k roundings in float32 and one to bfloat16.
TEST("bf16 gemm: sums are those of float32, within k eps of the exact ones") {
  Random random(4);
  for (int64_t k : {3, 64, 785, 2001}) {
    Matrix<BFloat16> a(13, k, kRowMajor, &random), b(k, 37, kPadded, &random);
    const Case t = {13, 37, k};
    const auto got = run<BFloat16>("matmul", {a.view(), b.view()},
                                   {output<BFloat16>({13, 37})}, 0, show("matmul", t));
    for (int64_t i = 0; i < 13; ++i) {
      for (int64_t j = 0; j < 37; ++j) {
        double sum = 0, size = 0;
        for (int64_t p = 0; p < k; ++p) {
          const double term = double{float{a.at(i, p)}} * double{float{b.at(p, j)}};
          sum += term, size += std::fabs(term);
        }
        const double most =
            0x1p-24 * static_cast<double>(k) * size + 0x1p-8 * std::fabs(sum) + 1e-30;
        const double result = float{got[0][kGuard + i * 37 + j]};
        REQUIRE_MSG(std::fabs(result - sum) <= most, show("matmul", t));
      }
    }
  }
}

TEST("bf16 gemm: an infinity reaches exactly its row") {
  Random random(5);
  Matrix<BFloat16> a(6, 5, kRowMajor, &random), b(5, 4, kRowMajor, &random);
  a.at(1, 2) = BFloat16(INFINITY);
  check_against("matmul", {6, 4, 5}, {&a, &b}, -1);
}
