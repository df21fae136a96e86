// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes. Sums are pairwise: blocks of fixed size are added in
// vector lanes, block sums are combined in a binary tree, so the rounding error grows
// with the logarithm of the length. The order of additions is a function of shape and
// strides only; parts split the outputs, never a reduction.
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/simd/strided.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// The two ways to reduce: everything `w` walks to one value, or `columns` neighbouring
// outputs at once, one per lane (`w` then walks the rows).
using ReduceRow = void (*)(const Walk& w, void* out);
using ReduceColumns = void (*)(const Walk& w, int64_t columns, void* out);

FASTNN_INLINE int64_t count_of(const Walk& w) {
  int64_t n = 1;
  for (int d = 0; d < w.ndim; ++d)
    n *= w.shape[d];
  return n;
}

FASTNN_INLINE bool is_run(const Walk& w, int size) {
  return w.ndim == 1 && (w.stride[0][0] == size || w.shape[0] == 1);
}

// Calls f(pointer, n, index of the first) for the walk's elements in blocks.
template <class T, class F>
FASTNN_INLINE void for_blocks(const Walk& w, F f) {
  const int64_t total = count_of(w);
  const bool run = is_run(w, sizeof(T));
  alignas(64) T buffer[kRowBlock];
  for (int64_t at = 0; at < total; at += kRowBlock) {
    const int64_t n = total - at < kRowBlock ? total - at : kRowBlock;
    const T* p = reinterpret_cast<const T*>(w.base[0]) + at;
    if (!run) {
      gather((char*)buffer, w, 0, at, n, sizeof(T));
      p = buffer;
    }
    f(p, n, at);
  }
}

template <class Op, class T>
void reduce_row(const Walk& w, void* out) {
  Cascade<Op, T, 1> sum;
  for_blocks<T>(w, [&](const T* p, int64_t n, int64_t) FASTNN_LAMBDA_INLINE {
    const Vec<T> block[1] = {reduce_block<Op>(p, n)};
    sum.push(block);
  });
  Vec<T> total[1];
  sum.finish(total);
  *static_cast<T*>(out) = fold_lanes<T>(total[0], Op{});
}

FASTNN_OUTLINE const char* row_pointer(const Walk& w, int64_t row) {
  const char* p = w.base[0];
  for (int d = w.ndim - 1; d >= 0; --d) {
    p += row % w.shape[d] * w.stride[0][d];
    row /= w.shape[d];
  }
  return p;
}

// `vectors` vectors of columns from byte `offset` on; only `n` lanes of a single one.
template <class Op, class T, int vectors>
FASTNN_INLINE void reduce_group(const Walk& w, int64_t offset, int n, T* out) {
  constexpr int64_t kRowsPerBlock = 32;
  const int64_t total = count_of(w), inner = w.shape[w.ndim - 1];
  const int64_t stride = w.stride[0][w.ndim - 1];
  Cascade<Op, T, vectors> sum;
  for (int64_t row = 0; row < total;) {
    const int64_t left = inner - row % inner;
    const int64_t rows = left < kRowsPerBlock ? left : kRowsPerBlock;
    const char* p = row_pointer(w, row) + offset;
    Vec<T> block[vectors];
    for (int j = 0; j < vectors; ++j)
      block[j] = splat<Vec<T>>(Op::template start<T>());
    for (int64_t i = 0; i < rows; ++i, p += stride) {
      const T* x = reinterpret_cast<const T*>(p);
      for (int j = 0; j < vectors; ++j) {
        const Vec<T> v = vectors > 1 ? load(x + j * lanes<T>) : load_n(x, n);
        block[j] = Op{}(block[j], v);
      }
    }
    sum.push(block);
    row += rows;
  }
  Vec<T> result[vectors];
  sum.finish(result);
  if constexpr (vectors > 1) {
    for (int j = 0; j < vectors; ++j)
      store(out + j * lanes<T>, result[j]);
  } else {
    store_n(out, result[0], n);
  }
}

template <class Op, class T>
void reduce_columns(const Walk& w, int64_t columns, void* out) {
  constexpr int kGroup = 4;
  T* to = static_cast<T*>(out);
  int64_t at = 0;
  for (; at + kGroup * lanes<T> <= columns; at += kGroup * lanes<T>) {
    reduce_group<Op, T, kGroup>(w, at * sizeof(T), lanes<T>, to + at);
  }
  for (; at < columns; at += lanes<T>) {
    const int n = columns - at < lanes<T> ? static_cast<int>(columns - at) : lanes<T>;
    reduce_group<Op, T, 1>(w, at * sizeof(T), n, to + at);
  }
}

// The dimensions named in `axes` and the others, merged; strides in bytes.
struct Axes {
  Walk kept, reduced;
};

FASTNN_INLINE void append(Walk& w, int64_t n, int64_t stride) {
  const int last = w.ndim - 1;
  if (w.ndim && w.stride[0][last] == stride * n) {
    w.shape[last] *= n;
    w.stride[0][last] = stride;
  } else {
    w.shape[w.ndim] = n;
    w.stride[0][w.ndim++] = stride;
  }
}

FASTNN_INLINE int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

FASTNN_OUTLINE void split_axes(const TensorView& x, uint64_t axes, Axes& a) {
  const int size = dtype_size(x.dtype);
  int order[kMaxRank], reduced = 0;
  for (int d = 0; d < x.ndim; ++d) {
    if (x.shape[d] == 1) continue;
    if (!(axes >> d & 1)) {
      append(a.kept, x.shape[d], x.stride[d] * size);
      continue;
    }
    // Reduced dimensions by falling stride: memory order, whatever the view.
    int at = reduced++;
    for (; at > 0 && magnitude(x.stride[order[at - 1]]) < magnitude(x.stride[d]);
         --at) {
      order[at] = order[at - 1];
    }
    order[at] = d;
  }
  for (int i = 0; i < reduced; ++i) {
    append(a.reduced, x.shape[order[i]], x.stride[order[i]] * size);
  }
  if (a.kept.ndim == 0) append(a.kept, 1, size);
  if (a.reduced.ndim == 0) append(a.reduced, 1, size);
  a.kept.base[0] = x.ptr<const char>();
}

// Runs over the outputs of this part.
FASTNN_OUTLINE void run_reduce(const KernelArgs& args, uint64_t axes, ReduceRow row,
                               ReduceColumns columns) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const int size = dtype_size(x.dtype), out_size = dtype_size(y.dtype);
  Axes a;
  split_axes(x, axes, a);
  const Walk& kept = a.kept;
  const Range rows = row_range(y.rows(), args.part);
  const int64_t end = rows.end * y.row_size();
  const int last = kept.ndim - 1;
  const bool by_columns =
      columns && kept.stride[0][last] == size && kept.shape[last] > 1;
  for (int64_t at = rows.begin * y.row_size(); at < end;) {
    a.reduced.base[0] = row_pointer(kept, at);
    char* out = y.ptr<char>() + at * out_size;
    if (by_columns) {
      const int64_t left = kept.shape[last] - at % kept.shape[last];
      const int64_t n = left < end - at ? left : end - at;
      columns(a.reduced, n, out);
      at += n;
    } else {
      row(a.reduced, out);
      ++at;
    }
  }
}

// Sums and products of integers wrap: they are computed on the unsigned type.
template <class Op, class T>
struct ComputedAs {
  using type = Stored<T>;
};
template <class Op>
  requires kSame<Op, SumOp> || kSame<Op, ProdOp>
struct ComputedAs<Op, int32_t> {
  using type = uint32_t;
};
template <class Op>
  requires kSame<Op, SumOp> || kSame<Op, ProdOp>
struct ComputedAs<Op, int64_t> {
  using type = uint64_t;
};

template <class Op, class... T>
FASTNN_INLINE void reduce(const char* name, const KernelArgs& args, Types<T...> types) {
  dispatch(name, args.in[0].dtype, types, [&](auto tag) {
    using S = typename ComputedAs<Op, typename decltype(tag)::type>::type;
    run_reduce(args, args.attrs[0].i, reduce_row<Op, S>, reduce_columns<Op, S>);
  });
}

// Index of the first best element; the first NaN wins.
template <class Op, class T>
void arg_row(const Walk& w, void* out) {
  T best = 0;
  int64_t index = -1;
  for_blocks<T>(w, [&](const T* p, int64_t n, int64_t start) FASTNN_LAMBDA_INLINE {
    const T m = fold_lanes<T>(reduce_block<Op>(p, n), Op{});
    const bool better =
        index < 0 || (best == best && (m != m || Op{}(best, m) != best));
    if (!better) return;
    best = m;
    index = start;
    while (!(p[index - start] == m || p[index - start] != p[index - start]))
      ++index;
  });
  *static_cast<int32_t*>(out) = static_cast<int32_t>(index);
}

template <class Op>
FASTNN_INLINE void arg_reduce(const char* name, const KernelArgs& args) {
  dispatch(name, args.in[0].dtype, Numbers{}, [&](auto tag) {
    run_reduce(args, uint64_t{1} << args.attrs[0].i,
               arg_row<Op, typename decltype(tag)::type>, nullptr);
  });
}

void sum(const KernelArgs& args) { reduce<SumOp>("sum", args, Numbers{}); }
void prod(const KernelArgs& args) { reduce<ProdOp>("prod", args, Numbers{}); }
void max(const KernelArgs& args) { reduce<MaxOp>("max", args, Numbers{}); }
void min(const KernelArgs& args) { reduce<MinOp>("min", args, Numbers{}); }
void any(const KernelArgs& args) { reduce<AnyOp>("any", args, Types<bool>{}); }
void all(const KernelArgs& args) { reduce<AllOp>("all", args, Types<bool>{}); }
void argmax(const KernelArgs& args) { arg_reduce<MaxOp>("argmax", args); }
void argmin(const KernelArgs& args) { arg_reduce<MinOp>("argmin", args); }

constexpr KernelEntry kEntries[] = {
    {"sum", sum, Split::kRows, "k", 1, "axes keepdims"},
    {"prod", prod, Split::kRows, "k", 1, "axes keepdims"},
    {"max", max, Split::kRows, "k", 1, "axes keepdims"},
    {"min", min, Split::kRows, "k", 1, "axes keepdims"},
    {"any", any, Split::kRows, "k", 1, "axes keepdims"},
    {"all", all, Split::kRows, "k", 1, "axes keepdims"},
    {"argmax", argmax, Split::kRows, "k", 1, "axis keepdims"},
    {"argmin", argmin, Split::kRows, "k", 1, "axis keepdims"},
};

}  // namespace

extern const KernelFamily kFamily_reduce;
const KernelFamily kFamily_reduce = {"reduce", kEntries,
                                     sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
