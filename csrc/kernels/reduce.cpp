// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes. Sums are pairwise: blocks of fixed size are added in
// vector lanes, block sums are combined in a binary tree, so the rounding error grows
// with the logarithm of the length. The order of additions is a function of shape and
// strides only; parts split the outputs, never a reduction.
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/simd/walk_reduce.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

template <class Op, class T>
void reduce_row(const Walk& w, void* const* out) {
  Cascade<Op, T, 1> sum;
  for_blocks<T>(w, [&](const T* p, int64_t n, int64_t) FASTNN_LAMBDA_INLINE {
    const Vec<T> block[1] = {reduce_block<Op>(p, n)};
    sum.push(block);
  });
  Vec<T> total[1];
  sum.finish(total);
  *static_cast<T*>(out[0]) = fold_lanes<T>(total[0], Op{});
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
void reduce_columns(const Walk& w, int64_t columns, void* const* out) {
  constexpr int kGroup = 4;
  T* to = static_cast<T*>(out[0]);
  int64_t at = 0;
  for (; at + kGroup * lanes<T> <= columns; at += kGroup * lanes<T>) {
    reduce_group<Op, T, kGroup>(w, at * sizeof(T), lanes<T>, to + at);
  }
  for (; at < columns; at += lanes<T>) {
    const int n = columns - at < lanes<T> ? static_cast<int>(columns - at) : lanes<T>;
    reduce_group<Op, T, 1>(w, at * sizeof(T), n, to + at);
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
    run_reduce(args, args.attrs[0].i, 1, reduce_row<Op, S>, reduce_columns<Op, S>);
  });
}

// Index of the first best element; the first NaN wins.
template <class Op, class T>
void arg_row(const Walk& w, void* const* out) {
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
  *static_cast<int32_t*>(out[0]) = static_cast<int32_t>(index);
}

template <class Op>
FASTNN_INLINE void arg_reduce(const char* name, const KernelArgs& args) {
  dispatch(name, args.in[0].dtype, Numbers{}, [&](auto tag) {
    run_reduce(args, uint64_t{1} << args.attrs[0].i, 1,
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
