// SPDX-License-Identifier: Apache-2.0
// Running sums and products along an axis, forwards or backwards, and first-order
// linear recurrences. A part owns whole lines, so the order of operations is a function
// of the shape: within a line whole vectors are scanned in log2(lanes) steps (a running
// sum by scalars is bound by the latency of an addition).
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Columns that are walked together when the axis is not the last one: three rows of
// them (input, previous and present output) stay in L1.
constexpr int64_t kColumns = 1024;

// An array as (outer, n, inner) around the axis, and the lines that a part owns: of
// each `outer` index the columns [begin, end) of `inner`, or some outer indices.
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
  Range outer_range, columns;
};

FASTNN_OUTLINE Lines own_lines(const TensorView& y, int64_t axis, Part part) {
  Lines l;
  for (int d = 0; d < y.ndim; ++d)
    (d < axis ? l.outer : d == axis ? l.n : l.inner) *= y.shape[d];
  l.outer_range = {0, l.outer};
  l.columns = {0, l.inner};
  if (l.inner >= 64 * int64_t{part.count}) {
    const int64_t blocks = (l.inner + 15) / 16;  // whole cache lines of floats
    const int64_t end = blocks * (part.index + 1) / part.count * 16;
    l.columns = {blocks * part.index / part.count * 16, end < l.inner ? end : l.inner};
  } else {
    l.outer_range = {l.outer * part.index / part.count,
                     l.outer * (part.index + 1) / part.count};
  }
  return l;
}

// v moved by `by` lanes towards its end (its start when `reverse`).
template <int by, bool reverse, class V, int... i>
FASTNN_INLINE V shift_lanes(V v, V fill, Indices<i...>) {
  constexpr int n = sizeof...(i);
  return __builtin_shufflevector(
      fill, v,
      (reverse ? (i + by < n ? n + i + by : i) : (i >= by ? n + i - by : i))...);
}
template <int lane, class V, int... i>
FASTNN_INLINE V repeat_lane(V v, Indices<i...>) {
  return __builtin_shufflevector(v, v, (i * 0 + lane)...);
}

template <class Op, class T, bool reverse, bool exclusive>
struct Scan {
  using V = Vec<T>;
  using Lanes = typename CountTo<lanes<T>>::type;

  V carry;

  template <int by>
  static FASTNN_INLINE V prefix(V v) {
    if constexpr (by < lanes<T>) {
      const V start = splat<V>(Op::template start<T>());
      return prefix<2 * by>(Op{}(shift_lanes<by, reverse>(v, start, Lanes{}), v));
    } else {
      return v;
    }
  }
  FASTNN_INLINE V next(V v) {
    const V start = splat<V>(Op::template start<T>());
    const V scanned = prefix<1>(v);
    const V before = carry;
    carry = Op{}(carry, repeat_lane<reverse ? 0 : lanes<T> - 1>(scanned, Lanes{}));
    if constexpr (exclusive) {
      return Op{}(before, shift_lanes<1, reverse>(scanned, start, Lanes{}));
    } else {
      return Op{}(before, scanned);
    }
  }
  // The next n elements of a line; n is a multiple of lanes except at its end.
  FASTNN_INLINE void run(const T* x, T* y, int64_t n) {
    const int64_t whole = n / lanes<T> * lanes<T>;
    const int rest = static_cast<int>(n - whole);
    const T* from = reverse ? x + rest : x;
    T* to = reverse ? y + rest : y;
    for (int64_t i = 0; i < whole; i += lanes<T>) {
      const int64_t at = reverse ? whole - lanes<T> - i : i;
      store(to + at, next(load(from + at)));
    }
    if (!rest) return;
    from = reverse ? x : x + whole;
    to = reverse ? y : y + whole;
    const V v = keep_lanes<T>(load_n(from, rest), rest, Op::template start<T>());
    store_n(to, next(v), rest);
  }
};

template <class Op, class T, bool reverse, bool exclusive>
FASTNN_OUTLINE void scan_line(const FlatReader<T>& x, int64_t start, T* y, int64_t n) {
  Scan<Op, T, reverse, exclusive> scan;
  scan.carry = splat<Vec<T>>(Op::template start<T>());
  for (int64_t done = 0; done < n; done += kRowBlock) {
    const int64_t count = n - done < kRowBlock ? n - done : kRowBlock;
    const int64_t at = reverse ? n - done - count : done;
    scan.run(x.read(start + at, count), y + at, count);
  }
}

// Calls f(flat start of the present row, of the one before or -1, columns) for the rows
// of the columns that a part owns, in the order of the scan.
template <class F>
FASTNN_INLINE void for_column_rows(const Lines& l, int64_t o, bool reverse, F f) {
  for (int64_t c = l.columns.begin; c < l.columns.end; c += kColumns) {
    const int64_t left = l.columns.end - c, m = left < kColumns ? left : kColumns;
    int64_t before = -1;
    for (int64_t i = 0; i < l.n; ++i) {
      const int64_t at = (o * l.n + (reverse ? l.n - 1 - i : i)) * l.inner + c;
      f(at, before, m);
      before = at;
    }
  }
}

template <class Op, class T, bool reverse, bool exclusive>
FASTNN_OUTLINE void scan_columns(const FlatReader<T>& reader, const Lines& l, int64_t o,
                                 T* y) {
  for_column_rows(l, o, reverse,
                  [&](int64_t at, int64_t before, int64_t m) FASTNN_LAMBDA_INLINE {
                    T* to = y + at;
                    if (before < 0 && exclusive) {
                      map_row(to, m, [](int64_t, int) FASTNN_LAMBDA_INLINE {
                        return splat<Vec<T>>(Op::template start<T>());
                      });
                      return;
                    }
                    const T* x = reader.read(exclusive ? before : at, m);
                    const T* sum = y + before;
                    map_row(to, m, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
                      const Vec<T> v = load_part(x + j, count);
                      return before < 0 ? v : Op{}(load_part(sum + j, count), v);
                    });
                  });
}

template <class Op, class T, bool reverse, bool exclusive>
FASTNN_INLINE void scan_all(const KernelArgs& args) {
  const Lines l = own_lines(args.out[0], args.attrs[0].i, args.part);
  alignas(64) T buffer[kColumns];
  const FlatReader<T> x(args.in[0], buffer);
  T* y = static_cast<T*>(args.out[0].data);
  for (int64_t o = l.outer_range.begin; o < l.outer_range.end; ++o) {
    if (l.inner == 1) {
      scan_line<Op, T, reverse, exclusive>(x, o * l.n, y + o * l.n, l.n);
    } else {
      scan_columns<Op, T, reverse, exclusive>(x, l, o, y);
    }
  }
}

// Sums and products of integers wrap: they are computed on the unsigned type.
template <class T>
struct Wrapping {
  using type = T;
};
template <>
struct Wrapping<int32_t> {
  using type = uint32_t;
};
template <>
struct Wrapping<int64_t> {
  using type = uint64_t;
};

template <class Op>
FASTNN_INLINE void scan(const char* name, const KernelArgs& args) {
  if (args.out[0].numel() == 0) return;
  const bool reverse = args.attrs[1].i, exclusive = args.attrs[2].i;
  dispatch(name, args.out[0].dtype, Numbers{}, [&](auto tag) {
    using T = typename Wrapping<typename decltype(tag)::type>::type;
    if (reverse && exclusive) return scan_all<Op, T, true, true>(args);
    if (reverse) return scan_all<Op, T, true, false>(args);
    if (exclusive) return scan_all<Op, T, false, true>(args);
    scan_all<Op, T, false, false>(args);
  });
}

void cumsum(const KernelArgs& args) { scan<SumOp>("cumsum", args); }
void cumprod(const KernelArgs& args) { scan<ProdOp>("cumprod", args); }

// One line of y_i = b_i + a_i y_(i-1), or of y_i = b_i + a_(i+1) y_(i+1).
template <class T>
FASTNN_OUTLINE void recur_line(const FlatReader<T>& a, const FlatReader<T>& b,
                               int64_t start, T* y, int64_t n, bool reverse) {
  T state = 0, slope = 0;
  for (int64_t done = 0; done < n; done += kRowBlock) {
    const int64_t count = n - done < kRowBlock ? n - done : kRowBlock;
    const int64_t at = reverse ? n - done - count : done;
    const T *pa = a.read(start + at, count), *pb = b.read(start + at, count);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t k = reverse ? count - 1 - i : i;
      if (!reverse) slope = pa[k];
      state = done + i == 0 ? pb[k] : fma(slope, state, pb[k]);
      if (reverse) slope = pa[k];
      y[at + k] = state;
    }
  }
}

void linear_recurrence(const KernelArgs& args) {
  const TensorView& out = args.out[0];
  if (out.numel() == 0) return;
  const bool reverse = args.attrs[1].i;
  const Lines l = own_lines(out, args.attrs[0].i, args.part);
  dispatch("linear_recurrence", out.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    alignas(64) T buffer[2][kColumns];
    const FlatReader<T> a(args.in[0], buffer[0]), b(args.in[1], buffer[1]);
    T* y = out.ptr<T>();
    for (int64_t o = l.outer_range.begin; o < l.outer_range.end; ++o) {
      if (l.inner == 1) {
        recur_line(a, b, o * l.n, y + o * l.n, l.n, reverse);
        continue;
      }
      for_column_rows(
          l, o, reverse,
          [&](int64_t at, int64_t before, int64_t m) FASTNN_LAMBDA_INLINE {
            const T* pb = b.read(at, m);
            const T* pa = before < 0 ? pb : a.read(reverse ? before : at, m);
            const T* state = y + before;
            map_row(y + at, m, [&](int64_t j, int count) FASTNN_LAMBDA_INLINE {
              const Vec<T> v = load_part(pb + j, count);
              if (before < 0) return v;
              return fma(load_part(pa + j, count), load_part(state + j, count), v);
            });
          });
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"cumsum", cumsum, Split::kAny, "a", 1, "axis reverse exclusive"},
    {"cumprod", cumprod, Split::kAny, "a", 1, "axis reverse exclusive"},
    {"linear_recurrence", linear_recurrence, Split::kAny, "aa", 1, "axis reverse"},
};

}  // namespace

extern const KernelFamily kFamily_cumulative;
const KernelFamily kFamily_cumulative = {"cumulative", kEntries,
                                         sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
