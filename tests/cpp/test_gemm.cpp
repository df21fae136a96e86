// SPDX-License-Identifier: Apache-2.0
// The matrix products against a plain loop in double, for every tile edge, layout and
// activation, and the same bits for every partition.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "kernels/table.hpp"
#include "matrix.hpp"

namespace {

using namespace fastnn;
using namespace matrix_test;

// a[i, :] . b[:, j] and the sum of the magnitudes, which bounds the rounding error.
template <class T>
double dot(Matrix<T>& a, bool ta, Matrix<T>& b, bool tb, int64_t i, int64_t j,
           int64_t k, double* magnitude) {
  double sum = 0;
  *magnitude = 0;
  for (int64_t p = 0; p < k; ++p) {
    const double term =
        double{ta ? a.at(p, i) : a.at(i, p)} * double{tb ? b.at(j, p) : b.at(p, j)};
    sum += term;
    *magnitude += std::fabs(term);
  }
  return sum;
}

template <class T>
void require_close(T got, double want, double magnitude, int64_t k,
                   const std::string& where) {
  const double eps = std::numeric_limits<T>::epsilon();
  const double tolerance = eps * ((0.5 * static_cast<double>(k) + 4) * magnitude + 8);
  REQUIRE_MSG(
      std::fabs(static_cast<double>(got) - want) <= tolerance,
      where + ": got " + std::to_string(got) + ", expected " + std::to_string(want));
}

template <class T>
void test_matmul(const Case& t, Random& random) {
  Matrix<T> a(t.m, t.k, t.a, &random), b(t.k, t.n, t.b, &random);
  const std::string where = show("matmul", t);
  const auto got =
      run<T>("matmul", {a.view(), b.view()}, {output<T>({t.m, t.n})}, 0, where);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < t.n; ++j) {
      double size;
      const double want = dot(a, false, b, false, i, j, t.k, &size);
      require_close(got[0][kGuard + i * t.n + j], want, size, t.k, where);
    }
  }
}

template <class T>
void test_linear(const Case& t, Random& random) {
  Matrix<T> x(t.m, t.k, t.a, &random), w(t.k, t.n, t.b, &random);
  Matrix<T> b(1, t.n, t.c, &random);
  const std::string where = show("linear", t);
  const auto got = run<T>("linear", {x.view(), w.view(), b.vector_view()},
                          {output<T>({t.m, t.n})}, t.activation, where);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < t.n; ++j) {
      double size;
      const double z = dot(x, false, w, false, i, j, t.k, &size) + double{b.at(0, j)};
      require_close(got[0][kGuard + i * t.n + j], act(t.activation, z), 2 * size + 2,
                    t.k, where);
    }
  }
}

// m x n is the shape of dx, k the columns of dy.
template <class T>
void test_grad_input(const Case& t, Random& random) {
  Matrix<T> dy(t.m, t.k, t.a, &random), w(t.n, t.k, t.b, &random);
  Matrix<T> y(t.m, t.n, t.c, &random);
  const std::string where = show("linear_grad_input", t);
  const auto got = run<T>("linear_grad_input", {dy.view(), w.view(), y.view()},
                          {output<T>({t.m, t.n})}, t.activation, where);
  for (int64_t i = 0; i < t.m; ++i) {
    for (int64_t j = 0; j < t.n; ++j) {
      double size;
      const double g = dot(dy, false, w, true, i, j, t.k, &size);
      const double want = g * act_gradient(t.activation, double{y.at(i, j)});
      require_close(got[0][kGuard + i * t.n + j], want, 3 * size, t.k, where);
    }
  }
}

// m x n is the shape of dw, k the rows of the batch.
template <class T>
void test_all(const Case& t, Random& random) {
  test_matmul<T>(t, random);
  test_linear<T>(t, random);
  Case gradient = t;
  gradient.activation %= kGradients;
  test_grad_input<T>(gradient, random);
}

Layout any_layout(Random& random) {
  return static_cast<Layout>(random.below(kLayouts));
}

constexpr int64_t kEdges[] = {0,  1,  2,  3,  4,  7,  8,  9,  15, 16,
                              17, 25, 31, 32, 33, 47, 48, 49, 65, 70};

}  // namespace

TEST("gemm: every pair of edge sizes, float32 and float64") {
  Random random(1);
  for (int64_t m : kEdges) {
    for (int64_t n : kEdges) {
      Case t = {m, n, kEdges[random.below(std::size(kEdges))]};
      t.activation = random.below(kActivations);
      test_all<float>(t, random);
      test_all<double>(t, random);
    }
  }
}

TEST("gemm: any layout of any operand") {
  Random random(2);
  for (int i = 0; i < 400; ++i) {
    Case t = {int64_t(random.below(71)), int64_t(random.below(71)),
              int64_t(random.below(71))};
    t.a = any_layout(random), t.b = any_layout(random), t.c = any_layout(random);
    t.activation = random.below(kActivations);
    test_all<float>(t, random);
    test_all<double>(t, random);
  }
}

// Every value of M, N and K from 1 to 70 with NN, NT and TN (the strides of A and B
// exchanged), odd leading dimensions and every alignment: one size runs through all
// values while the others are drawn, so each pair of a size and a layout occurs.
TEST("gemm: every M, N and K in 1..70") {
  Random random(8);
  const Layout forms[][2] = {{kRowMajor, kRowMajor},   {kRowMajor, kTransposed},
                             {kTransposed, kRowMajor}, {kPadded, kPadded},
                             {kPadded, kTransposed},   {kTransposed, kPadded}};
  for (int64_t size = 1; size <= 70; ++size) {
    for (int swept = 0; swept < 3; ++swept) {
      for (const auto& form : forms) {
        int64_t mnk[3];
        for (int64_t& other : mnk)
          other = 1 + static_cast<int64_t>(random.below(70));
        mnk[swept] = size;
        Case t = {mnk[0], mnk[1], mnk[2], form[0], form[1]};
        t.activation = static_cast<int64_t>(random.below(2));
        test_all<float>(t, random);
        if (size % 3 == swept) test_all<double>(t, random);
      }
    }
  }
}

TEST("gemm: blocks of k, packed operands and the transposed form") {
  Random random(3);
  const Case cases[] = {
      {9, 35, 1000},                             // three blocks of k
      {70, 300, 800},                            // packed B
      {70, 300, 800, kPadded, kTransposed},      // packed transposed B
      {80, 210, 1024},                           // packed A: rows 4 KiB apart
      {100, 401, 900},                           // blocks of n and k, B packed
      {97, 784, 97},                             // a last block one vector wider
      {130, 90, 450, kTransposed, kTransposed},  // both operands packed
      {300, 200, 512, kRowMajor, kRowMajor},     // two blocks of rows
      {256, 200, 300, kTransposed, kRowMajor},   // packed transposed A
      {120, 560, 820},                           // large: blocks of k and of columns
      {120, 560, 820, kPadded, kTransposed},     // and B packed
      {120, 590, 1024},                          // rows of A in one set: copied
      {2100, 200, 64, kTransposed, kRowMajor},   // two blocks of packed rows of A
      {17, 300, 100, kRowMajor, kTransposed},    // C^T, A packed
      {33, 20, 90, kTransposed, kTransposed},    // C^T, A in place
      {3, 5, 4100, kRowMajor, kTransposed},      // too long for C^T
      {1, 300, 784},
      {300, 1, 784},
      {784, 10, 32},
  };
  for (Case t : cases) {
    for (int64_t activation : {0, 1, 3, 6, 12}) {
      t.activation = activation;
      test_all<float>(t, random);
    }
    test_all<double>(t, random);
  }
}

TEST("matmul: batches, equal and broadcast") {
  Random random(4);
  const int64_t m = 7, n = 19, k = 11;
  Matrix<float> a(6 * m, k, kRowMajor, &random), b(2 * k, n, kRowMajor, &random);
  TensorView va = a.view(), vb = b.view();
  va.ndim = vb.ndim = 4;  // a (3, 2, m, k), b (3, 2, k, n) with stride 0 in front
  const int64_t a_shape[] = {3, 2, m, k}, a_stride[] = {2 * m * k, m * k, k, 1};
  const int64_t b_shape[] = {3, 2, k, n}, b_stride[] = {0, k * n, n, 1};
  for (int d = 0; d < 4; ++d) {
    va.shape[d] = a_shape[d], va.stride[d] = a_stride[d];
    vb.shape[d] = b_shape[d], vb.stride[d] = b_stride[d];
  }
  const auto got =
      run<float>("matmul", {va, vb}, {output<float>({3, 2, m, n})}, 0, "batched");
  for (int64_t q = 0; q < 6; ++q) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double want = 0;
        for (int64_t p = 0; p < k; ++p) {
          want += double{a.at(q * m + i, p)} * double{b.at(q % 2 * k + p, j)};
        }
        require_close(got[0][kGuard + (q * m + i) * n + j], want, k, k, "batched");
      }
    }
  }
}

TEST("matmul: batches of one shared B are one product") {
  Random random(9);
  const int64_t m = 7, n = 19, k = 11;
  Matrix<float> a(12 * m, k, kRowMajor, &random), b(k, n, kRowMajor, &random);
  TensorView va = a.view(), vb = b.view();
  va.ndim = vb.ndim = 4;
  const int64_t a_shape[] = {6, 2, m, k}, a_stride[] = {2 * m * k, m * k, k, 1};
  const int64_t b_shape[] = {6, 2, k, n}, b_stride[] = {0, 0, n, 1};
  for (int d = 0; d < 4; ++d) {
    va.shape[d] = a_shape[d], va.stride[d] = a_stride[d];
    vb.shape[d] = b_shape[d], vb.stride[d] = b_stride[d];
  }
  const auto got =
      run<float>("matmul", {va, vb}, {output<float>({6, 2, m, n})}, 0, "merged");
  for (int64_t i = 0; i < 12 * m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double size;
      const double want = dot(a, false, b, false, i, j, k, &size);
      require_close(got[0][kGuard + i * n + j], want, size, k, "merged");
    }
  }
}

TEST("matmul: integers wrap as in NumPy") {
  Random random(10);
  for (int64_t n : {1, 5, 37}) {
    const int64_t m = 6, k = 13;
    std::vector<int64_t> a(m * k), b(k * n), c(m * n);
    for (int64_t& v : a)
      v = static_cast<int64_t>(random.below(uint64_t{1} << 31) << 31);
    for (int64_t& v : b)
      v = -static_cast<int64_t>(random.below(uint64_t{1} << 31));
    TensorView va = output<int64_t>({m, k}), vb = output<int64_t>({k, n});
    TensorView vc = output<int64_t>({m, n});
    va.data = a.data(), vb.data = b.data(), vc.data = c.data();
    for (int parts : {1, 3}) {
      c.assign(c.size(), -1);
      launch("matmul", {va, vb}, {vc}, 0, parts);
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          uint64_t sum = 0;
          for (int64_t p = 0; p < k; ++p)
            sum += static_cast<uint64_t>(a[i * k + p]) *
                   static_cast<uint64_t>(b[p * n + j]);
          REQUIRE(static_cast<uint64_t>(c[i * n + j]) == sum);
        }
      }
    }
  }
}

// The same element, alone and inside any larger product: the order of summation may
// not depend on the tile, the block or the form that computes it.
TEST("matmul: an element has the same bits in every product") {
  Random random(5);
  const int64_t m = 90, n = 330, k = 700;
  Matrix<float> a(m, k, kRowMajor, &random), b(k, n, kRowMajor, &random);
  Matrix<float> bt(n, k, kRowMajor, &random);
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t j = 0; j < n; ++j)
      bt.at(j, p) = b.at(p, j);
  }
  const auto whole =
      run<float>("matmul", {a.view(), b.view()}, {output<float>({m, n})}, 0, "whole");
  for (int64_t rows : {1, 2, 5, 8, 17, 64, 90}) {
    for (int64_t cols : {1, 3, 16, 40, 65, 330}) {
      TensorView va = a.view(), vb = b.view(), vbt = bt.view();
      va.shape[0] = rows, vb.shape[1] = cols;
      vbt.shape[0] = k, vbt.shape[1] = cols;
      vbt.stride[0] = 1, vbt.stride[1] = k;
      for (const TensorView& v : {vb, vbt}) {
        const auto part = run<float>("matmul", {va, v}, {output<float>({rows, cols})},
                                     0, show("matmul", {rows, cols, k}));
        for (int64_t i = 0; i < rows; ++i) {
          REQUIRE(!std::memcmp(&part[0][kGuard + i * cols], &whole[0][kGuard + i * n],
                               cols * sizeof(float)));
        }
      }
    }
  }
}

TEST("linear: NaN and infinity reach exactly their row") {
  Random random(6);
  Matrix<float> x(20, 30, kRowMajor, &random), w(30, 20, kRowMajor, &random);
  Matrix<float> b(1, 20, kRowMajor, &random);
  x.at(3, 7) = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> out(400);
  TensorView view = output<float>({20, 20});
  view.data = out.data();
  launch("linear", {x.view(), w.view(), b.vector_view()}, {view}, 1, 1);
  for (int64_t i = 0; i < 400; ++i)
    REQUIRE(std::isnan(out[i]) == (i / 20 == 3));
}

TEST("gemm: wrong operands are refused") {
  Random random(7);
  Matrix<float> a(3, 4, kRowMajor, &random), b(5, 6, kRowMajor, &random);
  Matrix<double> d(4, 6, kRowMajor, &random);
  TensorView bytes = a.view();
  bytes.dtype = DType::kUInt8;
  const TensorView out = output<float>({3, 6});
  REQUIRE_THROWS(launch("matmul", {a.view(), b.view()}, {out}, 0, 1),
                 "[matmul] the inner dimensions differ: 4 and 5");
  REQUIRE_THROWS(launch("matmul", {a.view(), d.view()}, {out}, 0, 1),
                 "[matmul] operand 1 is float64, operand 0 is float32");
  TensorView bytes_b = b.view();
  bytes_b.shape[0] = 4, bytes_b.dtype = DType::kUInt8;
  REQUIRE_THROWS(launch("matmul", {bytes, bytes_b}, {out}, 0, 1),
                 "[matmul] dtype uint8 is not supported (float32, float64, bfloat16)");
  TensorView w = b.view();
  w.shape[0] = 4;
  REQUIRE_THROWS(launch("linear", {a.view(), w, b.view()}, {out}, 0, 1),
                 "[linear] the bias is float32 of rank 2, expected float32 of rank 1");
  REQUIRE_THROWS(launch("linear", {a.view(), w, b.vector_view()}, {out}, 14, 1),
                 "[linear] activation is 14, expected 0 to 13");
  Matrix<float> kernel(4, 6, kRowMajor, &random), dy(3, 6, kRowMajor, &random);
  REQUIRE_THROWS(launch("linear_grad_input", {dy.view(), kernel.view(), a.view()},
                        {output<float>({3, 4})}, 9, 1),
                 "[linear_grad_input] activation is 9, expected 0 to 8");
}
