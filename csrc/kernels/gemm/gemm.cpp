// SPDX-License-Identifier: Apache-2.0
// Matrix products: matmul, linear and its input gradient.
//
// Every output element is one chain of multiply-adds over k in ascending order, so the
// bits depend neither on the partition nor on the tiles (kernels/gemm/product.hpp).
#include "base/error.hpp"
#include "kernels/gemm/bf16.hpp"
#include "kernels/gemm/product.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

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

// The elements of C that a part computes.
struct Share {
  Range rows, cols;
};

// Whole tiles of columns, as long as every part gets one.
template <class T>
Range column_range(int64_t n, int index, int count) {
  const int64_t tile = kMainWidth * lanes<T>;
  const int64_t unit = n >= count * tile ? tile : lanes<T>, units = ceil_div(n, unit);
  const int64_t end = units * (index + 1) / count * unit;
  return {units * index / count * unit, min_of(end, n)};
}

// Whole vectors.
template <class T>
int64_t round_up(int64_t n) {
  return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

int64_t size_of(Range range) {
  return range.end > range.begin ? range.end - range.begin : 0;
}

// Rows where the scheduler relies on it. Else a grid of whole tiles whose largest part
// is least, with what a part does along its edges: every row and column of tiles is
// fetched, and columns are copied. 512 columns in whole tiles are 240 and 272 for two:
// rows are level there.
template <class T>
Share share_of(int64_t m, int64_t n, Part part) {
  const bool owned = owns_rows(m, part, kMinRows);
  if (owned && !part.alone) return {row_range(m, part), {0, n}};
  int cols = owned ? 1 : part.count;
  int64_t least = 0;
  for (int c = 1; owned && c <= part.count; ++c) {
    const int r = part.count / c;
    if (r * c != part.count || m < int64_t{kMinRows} * r) continue;
    // The last parts are the largest, but for a tile that is not full.
    const int64_t rows = size_of(row_range(m, {r - 1, r}));
    const int64_t wide = max_of(size_of(column_range<T>(n, c - 1, c)),
                                c > 1 ? size_of(column_range<T>(n, c - 2, c)) : 0);
    const int64_t work = (rows + kCopyRows) * (round_up<T>(wide) + kFetchColumns);
    if (c == 1 || work < least) cols = c, least = work;
  }
  const int rows = part.count / cols;
  return {row_range(m, {part.index / cols, rows}),
          column_range<T>(n, part.index % cols, cols)};
}

template <class T>
void take_share(Product<T>& p, const Share& share) {
  const Range rows = share.rows, cols = share.cols;
  p.m = rows.end - rows.begin;
  p.n = cols.end > cols.begin ? cols.end - cols.begin : 0;
  p.a += rows.begin * p.rsa;
  p.b += cols.begin * p.csb;
  p.c += rows.begin * p.ldc + cols.begin;
  p.row += rows.begin;
  p.col += cols.begin;
}

// The form of the loops; bfloat16 has one.
template <class T>
bool takes_transposed(const Product<T>& p) {
  if constexpr (kIsBFloat16<T>) {
    return false;
  } else {
    return prefers_transposed(p);
  }
}

template <class T>
T* scratch_for(const Product<T>& whole, bool transposed, int64_t extra = 0) {
  if constexpr (kIsBFloat16<T>) {
    return nullptr;  // run_half takes its own
  } else {
    const int64_t elements = scratch_elements(whole, transposed) + extra;
    return static_cast<T*>(scratch(elements * sizeof(T)));
  }
}

// Sums of products of integers, modulo 2^32 or 2^64 as in NumPy.
template <class T>
void multiply_integers(const Product<T>& p) {
  constexpr int n = lanes<T>;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; j += n) {
      const int valid = clip<T>(p.n - j);
      Vec<T> sum = {};
      for (int64_t k = 0; k < p.k; ++k) {
        const T* b = p.b + k * p.rsb + j * p.csb;
        Vec<T> v = {};
        if (p.csb == 1) {
          v = load_up_to(b, valid);
        } else {
          for (int q = 0; q < valid; ++q)
            v[q] = b[q * p.csb];
        }
        sum += v * p.a[i * p.rsa + k * p.csa];
      }
      store_n(p.c + i * p.ldc + j, sum, valid);
    }
  }
}

template <class F>
void for_product(const char* op, DType dtype, F f) {
  dispatch(op, dtype, Types<float, double, BFloat16>{},
           [&](auto tag) { f.template operator()<typename decltype(tag)::type>(); });
}

// A share of a product. The form is chosen on the whole product.
template <class T>
void run_share(Product<T> p, bool transposed, const Share& share, T* buffer) {
  take_share(p, share);
  if constexpr (kIsBFloat16<T>) {
    run_half(half_product(p));
  } else if constexpr (kIsFloat<T>) {
    if (transposed) transpose_operands(p);
    run_product(p, transposed, buffer);
  } else {
    multiply_integers(p);
  }
}

// The leading dimensions of a batch of products.
struct Batch {
  int ndim;
  int64_t count = 1, shape[kMaxRank], a[kMaxRank], b[kMaxRank];
};

Batch batch_of(const TensorView& a, const TensorView& b) {
  Batch batch;
  batch.ndim = a.ndim - 2;
  for (int d = 0; d < batch.ndim; ++d) {
    check_equal("matmul", "batch dimensions", a.shape[d], b.shape[d]);
    batch.count *= a.shape[d];
    batch.shape[d] = a.shape[d], batch.a[d] = a.stride[d], batch.b[d] = b.stride[d];
  }
  return batch;
}

// All products share one B and their rows follow each other: one product, (rows of
// a layer's input with a time axis) times (a kernel).
template <class T>
bool merge_batch(const Batch& batch, Product<T>& p) {
  int64_t expect = p.m * p.rsa;
  for (int d = batch.ndim - 1; d >= 0; --d) {
    if (batch.shape[d] == 1) continue;
    if (batch.b[d] != 0 || batch.a[d] != expect) return false;
    expect *= batch.shape[d];
  }
  p.m *= batch.count;
  return true;
}

// Products [begin, end) of the batch, an odometer instead of divisions.
template <class T>
void run_batch(const Batch& batch, const Product<T>& p, Range range, Part inside,
               T* buffer) {
  const bool transposed = takes_transposed(p);
  const Share share = share_of<T>(p.m, p.n, inside);
  Product<T> q = p;
  int64_t at[kMaxRank], rest = range.begin;
  for (int d = batch.ndim - 1; d >= 0; --d) {
    at[d] = rest % batch.shape[d];
    rest /= batch.shape[d];
    q.a += at[d] * batch.a[d];
    q.b += at[d] * batch.b[d];
  }
  q.c += range.begin * p.m * p.n;
  for (int64_t i = range.begin; i < range.end; ++i) {
    run_share(q, transposed, share, buffer);
    q.c += p.m * p.n;
    for (int d = batch.ndim - 1; d >= 0; --d) {
      q.a += batch.a[d];
      q.b += batch.b[d];
      if (++at[d] < batch.shape[d]) break;
      q.a -= at[d] * batch.a[d];
      q.b -= at[d] * batch.b[d];
      at[d] = 0;
    }
  }
}

// Which products of a batch a part computes, and the part of each.
struct BatchShare {
  Range range;
  Part inside;
};

BatchShare share_of_batch(const Batch& batch, int64_t rows, Part part) {
  const int64_t per_row = batch.count / rows, parts = part.count;
  if (owns_rows(rows, part, kMinRows)) {
    const Range owned = row_range(rows, part);
    return {{owned.begin * per_row, owned.end * per_row}, {}};
  }
  if (batch.count >= parts) {
    return {{batch.count * part.index / parts, batch.count * (part.index + 1) / parts},
            {}};
  }
  return {{0, batch.count}, {part.index, part.count, true}};
}

template <class T>
void matmul_of(const KernelArgs& args) {
  const TensorView &a = args.in[0], &b = args.in[1], &out = args.out[0];
  Product<T> p = product_of<T>(a, b, false, false, out);
  const Batch batch = batch_of(a, b);
  if (batch.count == 0 || p.m == 0 || p.n == 0) return;
  if (batch.ndim == 0) {
    const bool transposed = takes_transposed(p);
    T* buffer = scratch_for(p, transposed);
    return run_share(p, transposed, share_of<T>(p.m, p.n, args.part), buffer);
  }
  const BatchShare share = share_of_batch(batch, out.rows(), args.part);
  if (share.inside.count == 1) {
    const Range range = share.range;
    Product<T> merged = p;
    if (merge_batch(batch, merged)) {
      const bool transposed = takes_transposed(merged);
      T* buffer = scratch_for(merged, transposed);
      const Range rows = {range.begin * p.m, range.end * p.m};
      return run_share(merged, transposed, {rows, {0, p.n}}, buffer);
    }
  }
  run_batch(batch, p, share.range, share.inside, scratch_for(p, takes_transposed(p)));
}

void matmul(const KernelArgs& args) {
  const TensorView &a = args.in[0], &b = args.in[1];
  FASTNN_CHECK(a.ndim >= 2, "[matmul] operand 0 has rank %d, expected 2 or more",
               a.ndim);
  check_operands("matmul", args.in, 2, a.ndim);
  check_equal("matmul", "the inner dimensions", a.shape[a.ndim - 1],
              b.shape[a.ndim - 2]);
  if (a.dtype == DType::kInt32) return matmul_of<uint32_t>(args);
  if (a.dtype == DType::kInt64) return matmul_of<uint64_t>(args);
  for_product("matmul", a.dtype, [&]<class T>() { matmul_of<T>(args); });
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
  for_product("linear", x.dtype, [&]<class T>() {
    Product<T> p = product_of<T>(x, w, false, false, args.out[0]);
    const bool unit = b.stride[0] == 1 || kIsBFloat16<T>;
    const bool transposed = takes_transposed(p);
    T* buffer = scratch_for(p, transposed, unit ? 0 : p.n);
    p.epilogue.activation = activation;
    p.epilogue.alpha = args.attrs[1].f;
    p.epilogue.bias = b.ptr<const T>(), p.epilogue.bias_step = b.stride[0];
    if (!unit) {
      T* bias = buffer + scratch_elements(p, transposed);
      for (int64_t j = 0; j < p.n; ++j)
        bias[j] = b.ptr<const T>()[j * b.stride[0]];
      p.epilogue.bias = bias;
    }
    run_share(p, transposed, share_of<T>(p.m, p.n, args.part), buffer);
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
  const int64_t activation =
      activation_of("linear_grad_input", args.attrs[0], kGradients);
  for_product("linear_grad_input", dy.dtype, [&]<class T>() {
    Product<T> p = product_of<T>(dy, w, false, true, args.out[0]);
    p.epilogue.activation = activation;
    p.epilogue.alpha = args.attrs[1].f;
    p.epilogue.y = y.ptr<const T>();
    p.epilogue.rsy = y.stride[0], p.epilogue.csy = y.shape[1] == 1 ? 1 : y.stride[1];
    const bool transposed = takes_transposed(p);
    T* buffer = scratch_for(p, transposed);
    run_share(p, transposed, share_of<T>(p.m, p.n, args.part), buffer);
  });
}

constexpr KernelEntry kEntries[] = {
    {"matmul", matmul, Split::kRows, "ra", 1, "", kMinRows, false, Halves::kBFloat16},
    {"linear", linear, Split::kRows, "raa", 1, "activation alpha", kMinRows, false,
     Halves::kBFloat16},
    {"linear_grad_input", linear_grad_input, Split::kRows, "rar", 1, "activation alpha",
     kMinRows, false, Halves::kBFloat16},
};

}  // namespace

extern const KernelFamily kFamily_gemm;
const KernelFamily kFamily_gemm = {"gemm", kEntries, 3};

FASTNN_END_NAMESPACE
