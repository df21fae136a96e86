// SPDX-License-Identifier: Apache-2.0
// Softmax and log-softmax along an axis, each gradient below its forward. Along the
// last axis an op works row by row; along another it works on columns side by side,
// some vectors of them at a time.
#include "shared/math.h"

#include "base/scratch.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/flat_rows.hpp"
#include "kernels/simd/prefetch.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// The largest element; a NaN may be missed, since it makes the sum NaN anyway.
struct TopOp : MaxOp {
  template <class V>
  FASTNN_INLINE V operator()(V a, V b) const {
    return a > b ? a : b;
  }
};

// How gradients fetch: memory would else wait while a row is read again. Of rows of
// which two fit into L1, the next one is fetched then, and the result before (512 x
// 1000: 0.26 ms, without the next row 0.31). Longer rows are read a little ahead, and
// the result is fetched as it is written (64 x 32000: 1.48 ms; as short rows 1.83).
template <class T>
struct Fetching {
  static constexpr int64_t kAhead = 2048 / static_cast<int64_t>(sizeof(T));
  int64_t n;
  bool is_short = n * static_cast<int64_t>(sizeof(T)) <= 8192;

  FASTNN_INLINE void first(const T* dy, const T* y, const T* dx) const {
    if (is_short) return prefetch_to_write(dx);
    prefetch(dy + kAhead), prefetch(y + kAhead);
  }
  FASTNN_INLINE void second(const T* dy, const T* y, const T* dx) const {
    if (!is_short) return prefetch_to_write(dx + kAhead);
    prefetch(dy + n), prefetch(y + n);
  }
};

// Columns taken together: they stay in registers and each row gives whole cache lines.
constexpr int kVectors = 4;

// `vectors` vectors of neighbouring columns, each with `n` elements `stride` apart;
// only `count` lanes of a single one.
template <class T, int vectors>
struct Columns {
  using V = Vec<T>;
  static constexpr int kCount = vectors;
  int64_t n, stride;
  int count;

  FASTNN_INLINE V load_at(const T* p, int64_t at) const {
    return vectors > 1 ? load(p + at) : load_part(p + at, count);
  }
  FASTNN_INLINE void store_at(T* p, int64_t at, V v) const {
    if constexpr (vectors > 1) {
      store(p + at, v);
    } else {
      store_part(p + at, v, count);
    }
  }
  // Calls f(j, position of the elements of vector j) for every row.
  template <class F>
  FASTNN_INLINE void each(F f) const {
    for (int64_t r = 0; r < n; ++r) {
      for (int j = 0; j < vectors; ++j)
        f(j, r * stride + j * lanes<T>);
    }
  }
  FASTNN_INLINE void top(const T* x, V (&m)[vectors]) const {
    for (int j = 0; j < vectors; ++j)
      m[j] = splat<V>(TopOp::start<T>());
    each([&](int j, int64_t at)
             FASTNN_LAMBDA_INLINE { m[j] = TopOp{}(m[j], load_at(x, at)); });
  }
};

struct Softmax {
  template <class T>
  FASTNN_INLINE void row(int64_t n, const T* x, T* y) const {
    using V = Vec<T>;
    const V top = splat<V>(reduce_contiguous<TopOp>(x, n));
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
  template <class T, int k>
  FASTNN_INLINE void columns(const Columns<T, k>& c, const T* x, T* y) const {
    using V = Vec<T>;
    V top[k], sum[k] = {};
    c.top(x, top);
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      const V e = exp(c.load_at(x, at) - top[j]);
      c.store_at(y, at, e);
      sum[j] = sum[j] + e;
    });
    for (int j = 0; j < k; ++j)
      sum[j] = constant<V>(1) / sum[j];
    c.each([&](int j, int64_t at)
               FASTNN_LAMBDA_INLINE { c.store_at(y, at, c.load_at(y, at) * sum[j]); });
  }
};

struct SoftmaxGrad {
  template <class T>
  FASTNN_INLINE void row(int64_t n, const T* dy, const T* y, T* dx) const {
    using V = Vec<T>;
    const Fetching<T> fetching = {n};
    const V dot =
        splat<V>(sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
          fetching.first(dy + i, y + i, dx + i);
          return load_part(dy + i, count) * load_part(y + i, count);
        }));
    map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      fetching.second(dy + i, y + i, dx + i);
      return load_part(y + i, count) * (load_part(dy + i, count) - dot);
    });
  }
  template <class T, int k>
  FASTNN_INLINE void columns(const Columns<T, k>& c, const T* dy, const T* y,
                             T* dx) const {
    Vec<T> dot[k] = {};
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      dot[j] = dot[j] + c.load_at(dy, at) * c.load_at(y, at);
    });
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      c.store_at(dx, at, c.load_at(y, at) * (c.load_at(dy, at) - dot[j]));
    });
  }
};

struct LogSoftmax {
  template <class T>
  FASTNN_INLINE void row(int64_t n, const T* x, T* y) const {
    using V = Vec<T>;
    const V top = splat<V>(reduce_contiguous<TopOp>(x, n));
    const T sum = sum_row<T>(n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return exp(load_part(x + i, count) - top);
    });
    const V shift = splat<V>(static_cast<T>(::log(static_cast<double>(sum))));
    map_row(y, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return (load_part(x + i, count) - top) - shift;
    });
  }
  template <class T, int k>
  FASTNN_INLINE void columns(const Columns<T, k>& c, const T* x, T* y) const {
    Vec<T> top[k], sum[k] = {};
    c.top(x, top);
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      sum[j] = sum[j] + exp(c.load_at(x, at) - top[j]);
    });
    for (int j = 0; j < k; ++j)
      sum[j] = log(sum[j]);
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      c.store_at(y, at, (c.load_at(x, at) - top[j]) - sum[j]);
    });
  }
};

struct LogSoftmaxGrad {
  template <class T>
  FASTNN_INLINE void row(int64_t n, const T* dy, const T* y, T* dx) const {
    using V = Vec<T>;
    const V sum = splat<V>(reduce_contiguous<SumOp>(dy, n));
    map_row(dx, n, [&](int64_t i, int count) FASTNN_LAMBDA_INLINE {
      return load_part(dy + i, count) - exp(load_part(y + i, count)) * sum;
    });
  }
  template <class T, int k>
  FASTNN_INLINE void columns(const Columns<T, k>& c, const T* dy, const T* y,
                             T* dx) const {
    Vec<T> sum[k] = {};
    c.each([&](int j, int64_t at)
               FASTNN_LAMBDA_INLINE { sum[j] = sum[j] + c.load_at(dy, at); });
    c.each([&](int j, int64_t at) FASTNN_LAMBDA_INLINE {
      c.store_at(dx, at, c.load_at(dy, at) - exp(c.load_at(y, at)) * sum[j]);
    });
  }
};

// The inputs and the output of an op from one of its rows or columns on.
template <class T>
struct Operands {
  const T* in[2];
  T* out;
};

template <int n_in, class Op, class T>
FASTNN_OUTLINE void run_row(int64_t n, const Operands<T>& p) {
  if constexpr (n_in == 1) {
    Op{}.row(n, p.in[0], p.out);
  } else {
    Op{}.row(n, p.in[0], p.in[1], p.out);
  }
}
template <int n_in, class Op, int k, class T>
FASTNN_OUTLINE void run_columns(const Columns<T, k>& c, const Operands<T>& p) {
  if constexpr (n_in == 1) {
    Op{}.columns(c, p.in[0], p.out);
  } else {
    Op{}.columns(c, p.in[0], p.in[1], p.out);
  }
}

// Blocks [begin, end) of kVectors vectors of columns, counted through all slabs: the
// (n, inner) matrices that the axes before the softmax one count.
template <int n_in, class Op, class T>
FASTNN_INLINE void for_column_blocks(const RowReader<T> (&slabs)[2], T* out, Range r,
                                     int64_t n, int64_t inner) {
  constexpr int64_t kBlock = kVectors * lanes<T>;
  const int64_t per_slab = (inner + kBlock - 1) / kBlock;
  Operands<T> slab = {};
  int64_t have = -1;
  for (int64_t b = r.begin; b < r.end; ++b) {
    const int64_t s = b / per_slab;
    if (s != have) {
      for (int k = 0; k < n_in; ++k)
        slab.in[k] = slabs[k][s];
      slab.out = out + s * n * inner;
      have = s;
    }
    const int64_t begin = b % per_slab * kBlock;
    const int64_t end = begin + kBlock < inner ? begin + kBlock : inner;
    for (int64_t at = begin; at < end;) {
      const Operands<T> p = {{slab.in[0] + at, slab.in[1] ? slab.in[1] + at : nullptr},
                             slab.out + at};
      if (end - at == kBlock) {
        run_columns<n_in, Op>(Columns<T, kVectors>{n, inner, lanes<T>}, p);
        at += kBlock;
      } else {
        const int count = end - at < lanes<T> ? static_cast<int>(end - at) : lanes<T>;
        run_columns<n_in, Op>(Columns<T, 1>{n, inner, count}, p);
        at += count;
      }
    }
  }
}

template <int n_in, class Op>
FASTNN_INLINE void run(const char* name, const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const int64_t axis = args.attrs[0].i, n = y.shape[axis];
  int64_t inner = 1;
  for (int d = static_cast<int>(axis) + 1; d < y.ndim; ++d)
    inner *= y.shape[d];
  if (y.numel() == 0) return;
  dispatch(name, y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t size = n * inner;
    const bool dense = args.in[0].contiguous() && args.in[n_in - 1].contiguous();
    T* buffer = static_cast<T*>(scratch((dense ? 0 : 2 * size) * sizeof(T)));
    const RowReader<T> in[2] = {{args.in[0], buffer, size},
                                {args.in[n_in - 1], buffer + size, size}};
    if (inner > 1) {
      constexpr int64_t kBlock = kVectors * lanes<T>;
      const int64_t blocks = (inner + kBlock - 1) / kBlock;
      const Range r = flat_rows(y, axis, args.part, 1, 1, blocks);
      return for_column_blocks<n_in, Op>(in, y.ptr<T>(), r, n, inner);
    }
    const Range rows = flat_rows(y, axis, args.part, 1, 1);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const Operands<T> p = {{in[0][r], n_in > 1 ? in[1][r] : nullptr},
                             y.ptr<T>() + r * n};
      run_row<n_in, Op>(n, p);
    }
  });
}

void softmax(const KernelArgs& args) { run<1, Softmax>("softmax", args); }
void softmax_grad(const KernelArgs& args) { run<2, SoftmaxGrad>("softmax_grad", args); }
void log_softmax(const KernelArgs& args) { run<1, LogSoftmax>("log_softmax", args); }
void log_softmax_grad(const KernelArgs& args) {
  run<2, LogSoftmaxGrad>("log_softmax_grad", args);
}

constexpr KernelEntry kEntries[] = {
    {"softmax", softmax, Split::kRows, "r", 1, "axis", 1},
    {"softmax_grad", softmax_grad, Split::kRows, "rr", 1, "axis", 1},
    {"log_softmax", log_softmax, Split::kRows, "r", 1, "axis", 1},
    {"log_softmax_grad", log_softmax_grad, Split::kRows, "rr", 1, "axis", 1},
};

}  // namespace

extern const KernelFamily kFamily_softmax;
const KernelFamily kFamily_softmax = {"softmax", kEntries,
                                      sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
