// SPDX-License-Identifier: Apache-2.0
// Fused losses on (rows, n) operands: one loss per row, each gradient below.
#include "shared/math.h"

#include "base/scratch.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Element i of a rank-1 operand of any stride.
template <class T>
FASTNN_INLINE T element(const TensorView& x, int64_t i) {
  return x.ptr<const T>()[i * x.stride[0]];
}

// A class index, -1 where it is not one.
FASTNN_INLINE int64_t read_label(const TensorView& labels, int64_t i, int64_t classes) {
  int64_t k;
  if (labels.dtype == DType::kInt64) {
    k = element<int64_t>(labels, i);
  } else if (labels.dtype == DType::kInt32) {
    k = element<int32_t>(labels, i);
  } else {
    k = element<uint8_t>(labels, i);
  }
  return k >= 0 && k < classes ? k : -1;
}

FASTNN_INLINE void check_labels(const char* name, const TensorView& labels) {
  const DType d = labels.dtype;
  FASTNN_CHECK(d == DType::kInt32 || d == DType::kInt64 || d == DType::kUInt8,
               "[%s] labels of dtype %s are not supported (int32, int64, uint8)", name,
               dtype_name(d));
}

// probs = e^(z - max); returns what log-sum-exp is made of.
template <class T>
struct Exponentials {
  T top, sum, log_sum;
};
template <class T>
FASTNN_INLINE Exponentials<T> exponentials(int64_t n, const T* z, T* probs) {
  using V = Vec<T>;
  const T top = reduce_contiguous<MaxOp>(z, n);
  const T sum = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
    const V e = exp(load_part(z + i, count) - splat<V>(top));
    store_part(probs + i, e, count);
    return e;
  });
  return {top, sum, static_cast<T>(::log(static_cast<double>(sum)))};
}

// Runs f(Tag<T>, rows, columns, scratch for two rows).
template <class F>
FASTNN_INLINE void run_rows(const char* name, const KernelArgs& args,
                            const TensorView& matrix, F f) {
  const Range rows = row_range(args.out[0].rows(), args.part);
  const int64_t n = matrix.shape[1];
  if (rows.begin >= rows.end) return;
  dispatch(name, matrix.dtype, Floats{}, [&](auto tag) {
    f(tag, rows, n, scratch(2 * n * dtype_size(matrix.dtype)));
  });
}

// loss = sum_k t_k (logsumexp(z) - z_k), probs = softmax(z)
void softmax_cross_entropy(const KernelArgs& args) {
  run_rows(
      "softmax_cross_entropy", args, args.in[0],
      [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
        using T = typename decltype(tag)::type;
        using V = Vec<T>;
        T* buffer = static_cast<T*>(space);
        const RowReader<T> logits(args.in[0], buffer), target(args.in[1], buffer + n);
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          const T *z = logits[r], *t = target[r];
          T* probs = args.out[1].ptr<T>() + r * n;
          const Exponentials<T> e = exponentials(n, z, probs);
          const V scale = splat<V>(T(1) / e.sum), shift = splat<V>(e.log_sum);
          const T loss = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
            store_part(probs + i, load_part(probs + i, count) * scale, count);
            const V x = load_part(z + i, count), weight = load_part(t + i, count);
            const V zero = constant<V>(0);
            // A class of weight 0 adds nothing, even where its logit is -infinity.
            return select(weight == zero, zero,
                          weight * (shift - (x - splat<V>(e.top))));
          });
          args.out[0].ptr<T>()[r] = loss;
        }
      });
}

// dloss (p sum(t) - t)
void softmax_cross_entropy_grad(const KernelArgs& args) {
  run_rows("softmax_cross_entropy_grad", args, args.out[0],
           [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
             using T = typename decltype(tag)::type;
             using V = Vec<T>;
             T* buffer = static_cast<T*>(space);
             const RowReader<T> probs(args.in[1], buffer),
                 target(args.in[2], buffer + n);
             for (int64_t r = rows.begin; r < rows.end; ++r) {
               const T *p = probs[r], *t = target[r];
               const V total = splat<V>(reduce_contiguous<SumOp>(t, n));
               const V d = splat<V>(element<T>(args.in[0], r));
               map_row(args.out[0].ptr<T>() + r * n, n,
                       [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                         return d * (load_part(p + i, count) * total -
                                     load_part(t + i, count));
                       });
             }
           });
}

// loss = logsumexp(z) - z[label], NaN where the label is no class.
void sparse_softmax_cross_entropy(const KernelArgs& args) {
  check_labels("sparse_softmax_cross_entropy", args.in[1]);
  run_rows("sparse_softmax_cross_entropy", args, args.in[0],
           [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
             using T = typename decltype(tag)::type;
             using V = Vec<T>;
             const RowReader<T> logits(args.in[0], static_cast<T*>(space));
             for (int64_t r = rows.begin; r < rows.end; ++r) {
               const T* z = logits[r];
               T* probs = args.out[1].ptr<T>() + r * n;
               const int64_t label = read_label(args.in[1], r, n);
               const Exponentials<T> e = exponentials(n, z, probs);
               args.out[0].ptr<T>()[r] = label < 0 ? static_cast<T>(__builtin_nan(""))
                                                   : e.log_sum - (z[label] - e.top);
               const V scale = splat<V>(T(1) / e.sum);
               map_row(probs, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                 return load_part(probs + i, count) * scale;
               });
             }
           });
}

// dloss (p - onehot(label)), a row of NaN where the label is no class.
void sparse_softmax_cross_entropy_grad(const KernelArgs& args) {
  check_labels("sparse_softmax_cross_entropy_grad", args.in[2]);
  run_rows("sparse_softmax_cross_entropy_grad", args, args.out[0],
           [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
             using T = typename decltype(tag)::type;
             const RowReader<T> probs(args.in[1], static_cast<T*>(space));
             for (int64_t r = rows.begin; r < rows.end; ++r) {
               const T* p = probs[r];
               T* dx = args.out[0].ptr<T>() + r * n;
               const int64_t label = read_label(args.in[2], r, n);
               T d = element<T>(args.in[0], r);
               if (label < 0) d = static_cast<T>(__builtin_nan(""));
               const T at_label = label < 0 ? d : d * (p[label] - T(1));
               map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                 return load_part(p + i, count) * d;
               });
               if (label >= 0) dx[label] = at_label;
             }
           });
}

// A single column is one vector over the rows: 32 rows take 10 ns instead of 300.
FASTNN_INLINE bool is_column(const TensorView& x, int64_t n) {
  return n == 1 && x.contiguous();
}

void mean_squared_error(const KernelArgs& args) {
  run_rows(
      "mean_squared_error", args, args.in[0],
      [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
        using T = typename decltype(tag)::type;
        using V = Vec<T>;
        T *buffer = static_cast<T*>(space), *loss = args.out[0].ptr<T>();
        if (is_column(args.in[0], n) && is_column(args.in[1], n)) {
          const T* t = args.in[0].ptr<T>() + rows.begin;
          const T* p = args.in[1].ptr<T>() + rows.begin;
          return map_row(loss + rows.begin, rows.end - rows.begin,
                         [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                           const V d =
                               load_part(p + i, count) - load_part(t + i, count);
                           return d * d;
                         });
        }
        const RowReader<T> y_true(args.in[0], buffer), y_pred(args.in[1], buffer + n);
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          const T *t = y_true[r], *p = y_pred[r];
          const T sum = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
            const V d = load_part(p + i, count) - load_part(t + i, count);
            return d * d;
          });
          loss[r] = sum / static_cast<T>(n);
        }
      });
}

// dloss 2 (y_pred - y_true) / n
void mean_squared_error_grad(const KernelArgs& args) {
  run_rows(
      "mean_squared_error_grad", args, args.out[0],
      [&](auto tag, Range rows, int64_t n, void* space) FASTNN_LAMBDA_INLINE {
        using T = typename decltype(tag)::type;
        using V = Vec<T>;
        T *buffer = static_cast<T*>(space), *dx = args.out[0].ptr<T>();
        const V scale = constant<V>(n > 0 ? 2.0 / static_cast<double>(n) : 0.0);
        const int64_t step = args.in[0].stride[0];  // 0: the same dloss for all rows
        if (is_column(args.in[1], n) && is_column(args.in[2], n) && (step & ~1) == 0) {
          const T* dy = args.in[0].ptr<T>() + rows.begin * step;
          const T* t = args.in[1].ptr<T>() + rows.begin;
          const T* p = args.in[2].ptr<T>() + rows.begin;
          return map_row(dx + rows.begin, rows.end - rows.begin,
                         [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
                           const V d =
                               load_part(p + i, count) - load_part(t + i, count);
                           const V g = step ? load_part(dy + i, count) : splat<V>(*dy);
                           return g * d * scale;
                         });
        }
        const RowReader<T> y_true(args.in[1], buffer), y_pred(args.in[2], buffer + n);
        for (int64_t r = rows.begin; r < rows.end; ++r) {
          const T *t = y_true[r], *p = y_pred[r];
          const V dy = splat<V>(element<T>(args.in[0], r));
          map_row(dx + r * n, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
            return dy * (load_part(p + i, count) - load_part(t + i, count)) * scale;
          });
        }
      });
}

constexpr KernelEntry kEntries[] = {
    {"softmax_cross_entropy", softmax_cross_entropy, Split::kRows, "rr", 2, ""},
    {"softmax_cross_entropy_grad", softmax_cross_entropy_grad, Split::kRows, "rrr", 1,
     ""},
    {"sparse_softmax_cross_entropy", sparse_softmax_cross_entropy, Split::kRows, "rr",
     2, ""},
    {"sparse_softmax_cross_entropy_grad", sparse_softmax_cross_entropy_grad,
     Split::kRows, "rrr", 1, ""},
    {"mean_squared_error", mean_squared_error, Split::kRows, "rr", 1, ""},
    {"mean_squared_error_grad", mean_squared_error_grad, Split::kRows, "rrr", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_loss;
const KernelFamily kFamily_loss = {"loss", kEntries,
                                   sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
