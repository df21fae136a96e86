// SPDX-License-Identifier: Apache-2.0
// Softmax and log-softmax over the last axis, each gradient below its forward.
#include "shared/math.h"

#include "base/scratch.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// The softmax rows of this part. A rank-1 array is one row, whose elements cannot be
// shared out: part 0 has it.
FASTNN_INLINE Range softmax_rows(const TensorView& y, Part part) {
  const int64_t n = y.shape[y.ndim - 1];
  if (y.ndim < 2) return {0, part.index == 0 && n > 0 ? 1 : 0};
  const Range rows = row_range(y.rows(), part);
  const int64_t each = n > 0 ? y.row_size() / n : 0;
  return {rows.begin * each, rows.end * each};
}

// Calls f(row index, n, input rows..., output row).
template <int n_in, class Row>
FASTNN_INLINE void for_rows(const char* name, const KernelArgs& args, Row f) {
  const TensorView& y = args.out[0];
  const Range rows = softmax_rows(y, args.part);
  if (rows.begin >= rows.end) return;
  const int64_t n = y.shape[y.ndim - 1];
  dispatch(name, y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* buffer = static_cast<T*>(scratch(2 * n * sizeof(T)));
    const RowReader<T> a(args.in[0], buffer), b(args.in[n_in - 1], buffer + n);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      if constexpr (n_in == 1) {
        f(n, a[r], y.ptr<T>() + r * n);
      } else {
        f(n, a[r], b[r], y.ptr<T>() + r * n);
      }
    }
  });
}

struct Softmax {
  template <class T>
  FASTNN_INLINE void operator()(int64_t n, const T* x, T* y) const {
    using V = Vec<T>;
    const V top = splat<V>(reduce_contiguous<MaxOp>(x, n));
    const auto exp_store = [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      const V e = exp(load_part(x + i, count) - top);
      store_part(y + i, e, count);
      return e;
    };
    const V scale = splat<V>(T(1) / sum_row<T>(n, exp_store));
    map_row(y, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(y + i, count) * scale;
    });
  }
};

struct SoftmaxGrad {
  template <class T>
  FASTNN_INLINE void operator()(int64_t n, const T* dy, const T* y, T* dx) const {
    using V = Vec<T>;
    const V dot =
        splat<V>(sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
          return load_part(dy + i, count) * load_part(y + i, count);
        }));
    map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(y + i, count) * (load_part(dy + i, count) - dot);
    });
  }
};

struct LogSoftmax {
  template <class T>
  FASTNN_INLINE void operator()(int64_t n, const T* x, T* y) const {
    using V = Vec<T>;
    const V top = splat<V>(reduce_contiguous<MaxOp>(x, n));
    const T sum = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return exp(load_part(x + i, count) - top);
    });
    const V shift = splat<V>(static_cast<T>(::log(static_cast<double>(sum))));
    map_row(y, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return (load_part(x + i, count) - top) - shift;
    });
  }
};

struct LogSoftmaxGrad {
  template <class T>
  FASTNN_INLINE void operator()(int64_t n, const T* dy, const T* y, T* dx) const {
    using V = Vec<T>;
    const V sum = splat<V>(reduce_contiguous<SumOp>(dy, n));
    map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(dy + i, count) - exp(load_part(y + i, count)) * sum;
    });
  }
};

void softmax(const KernelArgs& args) { for_rows<1>("softmax", args, Softmax{}); }
void softmax_grad(const KernelArgs& args) {
  for_rows<2>("softmax_grad", args, SoftmaxGrad{});
}
void log_softmax(const KernelArgs& args) {
  for_rows<1>("log_softmax", args, LogSoftmax{});
}
void log_softmax_grad(const KernelArgs& args) {
  for_rows<2>("log_softmax_grad", args, LogSoftmaxGrad{});
}

constexpr KernelEntry kEntries[] = {
    {"softmax", softmax, Split::kRows, "r", 1, ""},
    {"softmax_grad", softmax_grad, Split::kRows, "rr", 1, ""},
    {"log_softmax", log_softmax, Split::kRows, "r", 1, ""},
    {"log_softmax_grad", log_softmax_grad, Split::kRows, "rr", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_softmax;
const KernelFamily kFamily_softmax = {"softmax", kEntries,
                                      sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
