// SPDX-License-Identifier: Apache-2.0
// Matrix products: matmul, linear and its input gradient.
//
// Every output element is one chain of multiply-adds over k in ascending order, so the
// bits depend neither on the partition nor on the tiles (kernels/gemm/product.hpp).
#include "base/error.hpp"
#include "kernels/gemm/product.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

template <class F>
FASTNN_INLINE void for_float(const char* op, DType dtype, F f) {
  if (dtype == DType::kFloat32) return f.template operator()<float>();
  if (dtype == DType::kFloat64) return f.template operator()<double>();
  fail("[%s] dtype %s is not supported (float32, float64)", op, dtype_name(dtype));
}

void check_operands(const char* op, const TensorView* in, int count, int ndim) {
  for (int i = 0; i < count; ++i) {
    FASTNN_CHECK(in[i].dtype == in[0].dtype, "[%s] operand %d is %s, operand 0 is %s",
                 op, i, dtype_name(in[i].dtype), dtype_name(in[0].dtype));
    FASTNN_CHECK(in[i].ndim == ndim, "[%s] operand %d has rank %d, expected %d", op, i,
                 in[i].ndim, ndim);
  }
}

// `what` names the two sizes that must be equal.
void check_equal(const char* op, const char* what, int64_t a, int64_t b) {
  FASTNN_CHECK(a == b, "[%s] %s differ: %lld and %lld", op, what,
               static_cast<long long>(a), static_cast<long long>(b));
}

int64_t activation_of(const char* op, AttrValue attr) {
  FASTNN_CHECK(attr.i >= 0 && attr.i < kActivations,
               "[%s] activation is %lld, expected 0 to %d", op,
               static_cast<long long>(attr.i), static_cast<int>(kActivations) - 1);
  return attr.i;
}

// C[m, n] = A[m, k] B[k, n] for the last two dimensions of the views; `b_transposed`
// exchanges those of b.
template <class T>
Product<T> product_of(const TensorView& a, const TensorView& b, bool a_transposed,
                      bool b_transposed, const TensorView& out) {
  const int ra = a.ndim - 2 + a_transposed, ca = a.ndim - 1 - a_transposed;
  const int rb = b.ndim - 2 + b_transposed, cb = b.ndim - 1 - b_transposed;
  Product<T> p = {};
  p.m = a.shape[ra], p.k = a.shape[ca], p.n = b.shape[cb];
  p.a = a.ptr<const T>(), p.rsa = a.stride[ra], p.csa = a.stride[ca];
  p.b = b.ptr<const T>(), p.rsb = b.stride[rb], p.csb = b.stride[cb];
  p.c = out.ptr<T>(), p.ldc = p.n;
  normalise(p);
  return p;
}

// Rows [begin, end) of C.
template <class T>
void take_rows(Product<T>& p, Range rows) {
  p.m = rows.end - rows.begin;
  p.a += rows.begin * p.rsa;
  p.row += rows.begin;
  p.c += rows.begin * p.ldc;
}

template <class T>
T* scratch_for(const Product<T>& whole, bool transposed, int64_t extra = 0) {
  const int64_t elements = scratch_elements<T>(whole.k, transposed) + extra;
  return static_cast<T*>(scratch(elements * sizeof(T)));
}

// The rows of this part. The form is chosen on the whole product.
template <class T>
void run_owned_rows(Product<T> p, Range rows, T* buffer) {
  const bool transposed = prefers_transposed(p);
  take_rows(p, rows);
  if (transposed) transpose_operands(p);
  run_product(p, transposed, buffer);
}

void matmul(const KernelArgs& args) {
  const TensorView &a = args.in[0], &b = args.in[1], &out = args.out[0];
  FASTNN_CHECK(a.ndim >= 2, "[matmul] operand 0 has rank %d, expected 2 or more",
               a.ndim);
  check_operands("matmul", args.in, 2, a.ndim);
  const int batch_dims = a.ndim - 2;
  check_equal("matmul", "the inner dimensions", a.shape[a.ndim - 1],
              b.shape[batch_dims]);
  int64_t batches = 1;
  for (int d = 0; d < batch_dims; ++d) {
    check_equal("matmul", "batch dimensions", a.shape[d], b.shape[d]);
    batches *= a.shape[d];
  }
  const Range owned = row_range(out.rows(), args.part);
  if (owned.begin == owned.end || batches == 0) return;
  for_float("matmul", a.dtype, [&]<class T>() {
    Product<T> p = product_of<T>(a, b, false, false, out);
    T* buffer = scratch_for(p, prefers_transposed(p));
    if (batch_dims == 0) return run_owned_rows(p, owned, buffer);
    const int64_t per_row = batches / a.shape[0];
    for (int64_t i = owned.begin * per_row; i < owned.end * per_row; ++i) {
      Product<T> q = p;
      int64_t rest = i;
      for (int d = batch_dims - 1; d >= 0; --d) {
        const int64_t index = rest % a.shape[d];
        rest /= a.shape[d];
        q.a += index * a.stride[d];
        q.b += index * b.stride[d];
      }
      q.c += i * p.m * p.n;
      run_owned_rows(q, {0, p.m}, buffer);
    }
  });
}

void linear(const KernelArgs& args) {
  const TensorView &x = args.in[0], &w = args.in[1], &b = args.in[2];
  check_operands("linear", args.in, 2, 2);
  FASTNN_CHECK(b.dtype == x.dtype && b.ndim == 1,
               "[linear] the bias is %s of rank %d, expected %s of rank 1",
               dtype_name(b.dtype), b.ndim, dtype_name(x.dtype));
  check_equal("linear", "the columns of x and the rows of w", x.shape[1], w.shape[0]);
  check_equal("linear", "the columns of w and the size of b", w.shape[1], b.shape[0]);
  const int64_t activation = activation_of("linear", args.attrs[0]);
  const Range owned = row_range(args.out[0].rows(), args.part);
  if (owned.begin == owned.end) return;
  for_float("linear", x.dtype, [&]<class T>() {
    Product<T> p = product_of<T>(x, w, false, false, args.out[0]);
    const bool unit = b.stride[0] == 1;
    T* buffer = scratch_for(p, prefers_transposed(p), unit ? 0 : p.n);
    p.epilogue.activation = activation;
    p.epilogue.bias = b.ptr<const T>();
    if (!unit) {
      T* bias = buffer + scratch_elements<T>(p.k, prefers_transposed(p));
      for (int64_t j = 0; j < p.n; ++j)
        bias[j] = b.ptr<const T>()[j * b.stride[0]];
      p.epilogue.bias = bias;
    }
    run_owned_rows(p, owned, buffer);
  });
}

void linear_grad_input(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &w = args.in[1], &y = args.in[2];
  check_operands("linear_grad_input", args.in, 3, 2);
  check_equal("linear_grad_input", "the columns of dy and of w", dy.shape[1],
              w.shape[1]);
  check_equal("linear_grad_input", "the rows of dy and of y", dy.shape[0], y.shape[0]);
  check_equal("linear_grad_input", "the rows of w and the columns of y", w.shape[0],
              y.shape[1]);
  const int64_t activation = activation_of("linear_grad_input", args.attrs[0]);
  const Range owned = row_range(args.out[0].rows(), args.part);
  if (owned.begin == owned.end) return;
  for_float("linear_grad_input", dy.dtype, [&]<class T>() {
    Product<T> p = product_of<T>(dy, w, false, true, args.out[0]);
    p.epilogue.activation = activation;
    p.epilogue.y = y.ptr<const T>();
    p.epilogue.rsy = y.stride[0], p.epilogue.csy = y.shape[1] == 1 ? 1 : y.stride[1];
    run_owned_rows(p, owned, scratch_for(p, prefers_transposed(p)));
  });
}

constexpr KernelEntry kEntries[] = {
    {"matmul", matmul, Split::kRows, "ra", 1, ""},
    {"linear", linear, Split::kRows, "raa", 1, "activation"},
    {"linear_grad_input", linear_grad_input, Split::kRows, "rar", 1, "activation"},
};

}  // namespace

extern const KernelFamily kFamily_gemm;
const KernelFamily kFamily_gemm = {"gemm", kEntries, 3};

FASTNN_END_NAMESPACE
