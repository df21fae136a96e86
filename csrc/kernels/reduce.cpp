// SPDX-License-Identifier: Apache-2.0
// Reductions over any axes. Sums are pairwise: blocks of fixed size are added in
// vector lanes, block sums are combined in a binary tree, so the rounding error grows
// with the logarithm of the length. The order of additions is a function of shape and
// strides only; parts split the outputs, never a reduction.
#include "base/scratch.hpp"
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

// The results of blocks of rows, column by column, in a binary tree as in Cascade; the
// levels lie in scratch memory.
template <class Op, class T>
class ColumnCascade {
 public:
  FASTNN_INLINE ColumnCascade(T* space, int64_t columns)
      : space_(space), columns_(columns) {}

  // Where the next block is accumulated.
  FASTNN_INLINE T* block() const { return space_; }

  FASTNN_INLINE void push() {
    int k = 0;
    for (; blocks_ >> k & 1; ++k)
      combine(space_, level(k));
    copy(level(k), space_);
    ++blocks_;
  }
  FASTNN_INLINE void finish(T* out) const {
    bool first = true;
    for (int k = 0; blocks_ >> k; ++k) {
      if (!(blocks_ >> k & 1)) continue;
      if (first) {
        copy(out, level(k));
      } else {
        combine(out, level(k));
      }
      first = false;
    }
  }
  static FASTNN_INLINE int levels(int64_t blocks) {
    int n = 1;
    while (blocks >> n)
      ++n;
    return n;
  }

 private:
  FASTNN_INLINE T* level(int k) const { return space_ + (k + 1) * columns_; }
  FASTNN_INLINE void combine(T* into, const T* earlier) const {
    for_columns<T>(columns_, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
      const Vec<T> v = Op{}(load_part(earlier + j, count), load_part(into + j, count));
      store_part(into + j, v, count);
    });
  }
  FASTNN_INLINE void copy(T* to, const T* from) const {
    __builtin_memcpy(to, from, columns_ * sizeof(T));
  }

  T* space_;
  int64_t columns_;
  uint64_t blocks_ = 0;
};

// block[j] = op(block[j], `rows` rows of column j), or of the rows alone.
template <class Op, class T, int rows>
FASTNN_INLINE void take_rows(T* block, bool first, const T* x, int64_t stride,
                             int64_t columns) {
  for_columns<T>(columns, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
    Vec<T> v[rows];
    for (int i = 0; i < rows; ++i)
      v[i] = load_part(x + i * stride + j, count);
    for (int half = rows / 2; half; half /= 2) {
      for (int i = 0; i < half; ++i)
        v[i] = Op{}(v[i], v[i + half]);
    }
    if (!first) v[0] = Op{}(load_part(block + j, count), v[0]);
    store_part(block + j, v[0], count);
  });
}

// Rows are swept in the order of memory, eight at a time, all columns of them: down a
// few columns at a time every row of a wide matrix lies in another page.
template <class Op, class T>
void reduce_columns(const Walk& w, int64_t columns, void* const* out) {
  constexpr int64_t kRowsPerBlock = 64;
  const int64_t total = count_of(w), inner = w.shape[w.ndim - 1];
  const int64_t stride = w.stride[0][w.ndim - 1] / static_cast<int64_t>(sizeof(T));
  T* to = static_cast<T*>(out[0]);
  if (total == 0) {
    for (int64_t j = 0; j < columns; ++j)
      to[j] = Op::template start<T>();
    return;
  }
  const int levels = ColumnCascade<Op, T>::levels(total / kRowsPerBlock + 2);
  T* space = static_cast<T*>(scratch((levels + 2) * columns * sizeof(T)));
  ColumnCascade<Op, T> all(space, columns);
  int64_t in_block = 0;
  for (int64_t row = 0; row < total; row += inner) {
    const T* x = reinterpret_cast<const T*>(row_pointer(w, row));
    for (int64_t i = 0; i < inner;) {
      const bool first = in_block == 0;
      const int64_t step = inner - i >= 8 ? 8 : 1;
      if (step == 8) {
        take_rows<Op, T, 8>(all.block(), first, x + i * stride, stride, columns);
      } else {
        take_rows<Op, T, 1>(all.block(), first, x + i * stride, stride, columns);
      }
      i += step;
      in_block += step;
      if (in_block >= kRowsPerBlock) {
        all.push();
        in_block = 0;
      }
    }
  }
  if (in_block) all.push();
  all.finish(to);
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
