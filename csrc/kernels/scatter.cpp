// SPDX-License-Identifier: Apache-2.0
// Rows merged into rows by index: gradients of gathers, segment reductions, scatter
// updates. What falls on one element is merged in ascending order of position, whatever
// the number of parts: a part owns some columns of all rows, or some rows.
#include "base/scratch.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/simd/rows_by_index.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

struct ReplaceOp {
  template <class V>
  FASTNN_INLINE V operator()(V, V b) const {
    return b;
  }
};

// Rows of `columns` elements and which of them belong to a part. Columns are shared
// out where there are enough: the popular rows of an embedding then burden all alike.
struct Region {
  int64_t columns;
  Range rows, width;
};

FASTNN_INLINE Region own_region(int64_t rows, int64_t columns, Part part) {
  const int64_t lines = (columns + 15) / 16;  // cache lines of floats
  if (lines < 2 * int64_t{part.count})
    return {columns, row_range(rows, part), {0, columns}};
  const int64_t begin = lines * part.index / part.count * 16;
  const int64_t end = lines * (part.index + 1) / part.count * 16;
  return {columns, {0, rows}, {begin, end < columns ? end : columns}};
}

// out[index[i]] = op(out[index[i]], updates[i]) for positions `first` to first + count.
template <class Op, class T>
FASTNN_OUTLINE void merge_rows(const IndexReader& index, int64_t first, int64_t count,
                               int64_t size, const FlatReader<T>& updates, T* out,
                               const Region& region) {
  const int64_t columns = region.columns, width = region.width.end - region.width.begin;
  int64_t rows[kIndexBlock];
  for (int64_t at = 0; at < count; at += kIndexBlock) {
    const int64_t n = count - at < kIndexBlock ? count - at : kIndexBlock;
    index.rows(first + at, n, size, rows);
    if (columns == 1) {
      const T* u = updates.read(first + at, n);
      for (int64_t i = 0; i < n; ++i) {
        if (rows[i] < region.rows.begin || rows[i] >= region.rows.end) continue;
        out[rows[i]] = Op{}(out[rows[i]], u[i]);
      }
      continue;
    }
    for (int64_t i = 0; i < n; ++i) {
      if (rows[i] < region.rows.begin || rows[i] >= region.rows.end) continue;
      const T* u = updates.read((first + at + i) * columns + region.width.begin, width);
      T* to = out + rows[i] * columns + region.width.begin;
      map_row(to, width, [&](int64_t k, int m) FASTNN_LAMBDA_INLINE {
        return Op{}(load_part(to + k, m), load_part(u + k, m));
      });
    }
  }
}

// The buffer in which a row of updates, or a block of single ones, is gathered.
template <class T>
FASTNN_INLINE T* update_buffer(int64_t columns) {
  const int64_t n = columns < kIndexBlock ? kIndexBlock : columns;
  return static_cast<T*>(scratch(n * sizeof(T)));
}

// dx = zeros; dx[indices] += dy
void take_grad(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &dx = args.out[0];
  const int64_t rows = dx.rows();
  if (dx.numel() == 0) return;
  const Region own = own_region(rows, dx.row_size(), args.part);
  const int64_t width = own.width.end - own.width.begin;
  const IndexReader index("take_grad", args.in[1]);
  dispatch("take_grad", dx.dtype, Numbers{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = dx.ptr<T>();
    if (width == own.columns) {
      __builtin_memset(out + own.rows.begin * width, 0,
                       (own.rows.end - own.rows.begin) * width * sizeof(T));
    } else {
      for (int64_t r = own.rows.begin; r < own.rows.end; ++r)
        __builtin_memset(out + r * own.columns + own.width.begin, 0, width * sizeof(T));
    }
    if (dy.numel() == 0) return;
    const FlatReader<T> updates(dy, update_buffer<T>(own.columns));
    merge_rows<SumOp>(index, 0, args.in[1].numel(), rows, updates, out, own);
  });
}

// dx[o] = zeros; dx[o, indices[o]] += dy[o]
void batch_take_grad(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &dx = args.out[0];
  const Range batch = row_range(dx.rows(), args.part);
  if (dx.numel() == 0 || batch.begin >= batch.end) return;
  const int64_t rows = dx.shape[1], columns = dx.row_size() / rows;
  const int64_t count = args.in[1].shape[1];
  const IndexReader index("batch_take_grad", args.in[1]);
  dispatch("batch_take_grad", dx.dtype, Numbers{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = dx.ptr<T>() + batch.begin * rows * columns;
    const int64_t size = (batch.end - batch.begin) * rows * columns;
    __builtin_memset(out, 0, size * sizeof(T));
    if (dy.numel() == 0) return;
    const FlatReader<T> updates(dy, update_buffer<T>(columns));
    const Region own{columns, {0, rows}, {0, columns}};
    for (int64_t o = batch.begin; o < batch.end; ++o, out += rows * columns)
      merge_rows<SumOp>(index, o * count, count, rows, updates, out, own);
  });
}

// Copies the region of x to the same place of a contiguous array.
template <class T>
FASTNN_OUTLINE void copy_region(const TensorView& x, T* out, const Region& own) {
  const TensorView* view = &x;
  const Walk w = make_walk(&view, 1, {0, x.rows()});
  const int64_t width = own.width.end - own.width.begin;
  const bool whole = width == own.columns;
  const int64_t n = whole ? (own.rows.end - own.rows.begin) * width : width;
  if (n <= 0) return;
  for (int64_t r = own.rows.begin; r < own.rows.end; ++r) {
    const int64_t at = r * own.columns + own.width.begin;
    gather((char*)(out + at), w, 0, at, n, sizeof(T));
    if (whole) return;
  }
}

// out = x; out[indices] = updates, or merged by the reduction
void scatter_rows(const KernelArgs& args) {
  const TensorView &x = args.in[0], &indices = args.in[1], &y = args.out[0];
  if (y.numel() == 0) return;
  const int64_t rows = y.rows(), count = indices.numel();
  const Region own = own_region(rows, y.row_size(), args.part);
  const IndexReader index("scatter_rows", indices);
  dispatch("scatter_rows", y.dtype, Numbers{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = y.ptr<T>();
    copy_region(x, out, own);
    if (count == 0) return;
    const FlatReader<T> updates(args.in[2], update_buffer<T>(own.columns));
    switch (args.attrs[0].i) {
      case 0:
        return merge_rows<ReplaceOp>(index, 0, count, rows, updates, out, own);
      case 1:
        return merge_rows<SumOp>(index, 0, count, rows, updates, out, own);
      case 2:
        return merge_rows<ProdOp>(index, 0, count, rows, updates, out, own);
      case 3:
        return merge_rows<MaxOp>(index, 0, count, rows, updates, out, own);
      default:
        return merge_rows<MinOp>(index, 0, count, rows, updates, out, own);
    }
  });
}

// out = x; out[starts[0] : starts[0] + n, ...] = updates
void update_slice(const KernelArgs& args) {
  const TensorView &x = args.in[0], &u = args.in[2], &y = args.out[0];
  const Range own = row_range(y.rows(), args.part);
  if (y.numel() == 0 || own.begin >= own.end) return;
  const int size = dtype_size(y.dtype), last = y.ndim - 1;
  const IndexReader starts("update_slice", args.in[1]);
  int64_t start[kMaxRank], stride[kMaxRank], lines = 1;
  for (int64_t d = last, step = 1; d >= 0; step *= y.shape[d--]) {
    start[d] = starts[d];
    stride[d] = step;
    check_slice("update_slice", static_cast<int>(d), start[d], u.shape[d], y.shape[d]);
    if (d < last) lines *= u.shape[d];
  }
  const TensorView *source = &x, *update = &u;
  const Walk from = make_walk(&source, 1, own);
  const int64_t row_size = y.row_size(), n = u.shape[last];
  char* out = y.ptr<char>();
  gather(out + own.begin * row_size * size, from, 0, 0,
         (own.end - own.begin) * row_size, size);
  if (u.numel() == 0) return;
  const Walk w = make_walk(&update, 1, {0, u.rows()});
  for (int64_t line = 0; line < lines; ++line) {  // runs along the last axis
    int64_t at = start[last], rest = line, row = start[0];
    for (int d = last - 1; d >= 0; rest /= u.shape[d--]) {
      row = start[d] + rest % u.shape[d];
      at += row * stride[d];
    }
    int64_t first = 0, end = n;  // a rank-1 run is cut at the part's own elements
    if (last == 0) {
      first = own.begin > at ? own.begin - at : 0;
      end = own.end < at + n ? own.end - at : n;
    } else if (row < own.begin || row >= own.end) {
      continue;
    }
    if (first < end)
      gather(out + (at + first) * size, w, 0, line * n + first, end - first, size);
  }
}

constexpr KernelEntry kEntries[] = {
    {"take_grad", take_grad, Split::kAny, "aa", 1, ""},
    {"batch_take_grad", batch_take_grad, Split::kRows, "rr", 1, ""},
    {"scatter_rows", scatter_rows, Split::kAny, "aaa", 1, "reduction"},
    {"update_slice", update_slice, Split::kRows, "raa", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_scatter;
const KernelFamily kFamily_scatter = {"scatter", kEntries,
                                      sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
