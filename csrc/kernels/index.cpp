// SPDX-License-Identifier: Apache-2.0
// Rows by index: batches of a dataset, embeddings, elements along an axis, one-hot
// rows.
#include "base/scratch.hpp"
#include "kernels/simd/cast.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/rows_by_index.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Rows of `x` (everything after axis 0), found by number.
struct RowSource {
  const char* base;
  int64_t row_stride, row_size;
  int size;
  Walk row;
  bool contiguous;
};

FASTNN_OUTLINE void open_rows(const TensorView& x, RowSource& s) {
  s.base = x.ptr<const char>();
  s.size = dtype_size(x.dtype);
  s.row_stride = x.stride[0] * s.size;
  s.row_size = x.row_size();
  s.contiguous = true;
  for (int64_t d = x.ndim - 1, step = 1; d > 0; step *= x.shape[d--])
    s.contiguous &= x.stride[d] == step || x.shape[d] == 1;
  if (s.contiguous || !s.row_size) return;
  TensorView row = x;
  row.ndim = x.ndim - 1;
  for (int d = 0; d < row.ndim; ++d) {
    row.shape[d] = x.shape[d + 1];
    row.stride[d] = x.stride[d + 1];
  }
  const TensorView* view = &row;
  s.row = make_walk(&view, 1, {0, row.rows()});
}

// n elements of row `index` from `start` on, converted.
FASTNN_OUTLINE void read_row(RowSource& s, int64_t index, int64_t start, int64_t n,
                             CastFn convert_run, char* to, int to_size) {
  const char* row = s.base + index * s.row_stride;
  if (s.contiguous) return convert_run(row + start * s.size, to, n);
  s.row.base[0] = row;
  constexpr int64_t kBlock = 256;
  alignas(64) char buffer[kBlock * 8];
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t count = n - at < kBlock ? n - at : kBlock;
    gather(buffer, s.row, 0, start + at, count, s.size);
    convert_run(buffer, to + at * to_size, count);
  }
}

// Elements [begin, end) of the flat output that this part owns.
FASTNN_INLINE Range element_range(const TensorView& out, Part part) {
  const Range rows = row_range(out.rows(), part);
  const int64_t size = out.row_size();
  return {rows.begin * size, rows.end * size};
}

template <class T>
FASTNN_INLINE void copy_elements(const RowSource& s, const int64_t* rows, int64_t n,
                                 char* to) {
  for (int64_t i = 0; i < n; ++i) {
    T x;
    __builtin_memcpy(&x, s.base + rows[i] * s.row_stride, sizeof x);
    __builtin_memcpy(to + i * sizeof x, &x, sizeof x);
  }
}

// Whole rows by number. Single elements, as of `take` from a flat array, must not pay
// for a call each.
FASTNN_OUTLINE void copy_rows(RowSource& s, const int64_t* rows, int64_t n, char* to) {
  const int64_t bytes = s.row_size * s.size;
  if (s.row_size == 1 && s.size == 4) return copy_elements<uint32_t>(s, rows, n, to);
  if (s.row_size == 1 && s.size == 8) return copy_elements<uint64_t>(s, rows, n, to);
  if (s.row_size == 1 && s.size == 1) return copy_elements<uint8_t>(s, rows, n, to);
  if (s.contiguous && bytes <= FASTNN_VECTOR_BYTES) {
    const int count = static_cast<int>(bytes);
    for (int64_t i = 0; i < n; ++i, to += bytes) {
      const auto* row =
          reinterpret_cast<const uint8_t*>(s.base + rows[i] * s.row_stride);
      store_n(reinterpret_cast<uint8_t*>(to), load_n(row, count), count);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i, to += bytes) {
    const char* row = s.base + rows[i] * s.row_stride;
    if (s.contiguous) {
      __builtin_memcpy(to, row, bytes);
    } else {
      s.row.base[0] = row;
      gather(to, s.row, 0, 0, s.row_size, s.size);
    }
  }
}

// Numbers of rows of a batch, within the data.
FASTNN_INLINE void check_numbers(const int64_t* numbers, int64_t n, int64_t size) {
  bool bad = false;
  for (int64_t i = 0; i < n; ++i)
    bad |= static_cast<uint64_t>(numbers[i]) >= static_cast<uint64_t>(size);
  if (!bad) [[likely]]
    return;
  for (int64_t i = 0; i < n; ++i) {
    FASTNN_CHECK(numbers[i] >= 0 && numbers[i] < size,
                 "[gather_rows] row %lld is out of range for data of %lld rows",
                 static_cast<long long>(numbers[i]), static_cast<long long>(size));
  }
}

// out[i, :] = data[perm[cursor + i], :]
void gather_rows(const KernelArgs& args) {
  const TensorView &data = args.in[0], &perm = args.in[1], &y = args.out[0];
  const Range rows = row_range(y.rows(), args.part);
  if (rows.begin >= rows.end) return;
  const IndexReader cursor("gather_rows", args.in[2]), index("gather_rows", perm);
  const int64_t first = cursor[0];
  FASTNN_CHECK(first >= 0 && first + y.rows() <= perm.shape[0],
               "[gather_rows] rows %lld to %lld of a permutation of %lld",
               static_cast<long long>(first), static_cast<long long>(first + y.rows()),
               static_cast<long long>(perm.shape[0]));
  RowSource source;
  open_rows(data, source);
  const CastFn convert_run = find_cast(data.dtype, y.dtype);
  const int size = dtype_size(y.dtype);
  char* to = y.ptr<char>() + rows.begin * source.row_size * size;
  int64_t numbers[kIndexBlock];
  for (int64_t r = rows.begin; r < rows.end; r += kIndexBlock) {
    const int64_t n = rows.end - r < kIndexBlock ? rows.end - r : kIndexBlock;
    index.read(first + r, n, numbers);
    check_numbers(numbers, n, data.shape[0]);
    if (data.dtype == y.dtype) {
      copy_rows(source, numbers, n, to);
    } else {
      for (int64_t i = 0; i < n; ++i) {
        read_row(source, numbers[i], 0, source.row_size, convert_run,
                 to + i * source.row_size * size, size);
      }
    }
    to += n * source.row_size * size;
  }
}

// Rows number[first], number[first + 1], ... of the `size` rows of s.
FASTNN_OUTLINE void take_rows(const IndexReader& number, int64_t first, int64_t count,
                              RowSource& s, int64_t size, char* to) {
  int64_t rows[kIndexBlock];
  for (int64_t at = 0; at < count; at += kIndexBlock) {
    const int64_t n = count - at < kIndexBlock ? count - at : kIndexBlock;
    number.rows(first + at, n, size, rows);
    copy_rows(s, rows, n, to + at * s.row_size * s.size);
  }
}

// out = x[indices], shape indices.shape + x.shape[1:]
void take(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Range range = element_range(y, args.part);
  if (range.begin >= range.end) return;
  const IndexReader index("take", args.in[1]);
  RowSource source;
  open_rows(x, source);
  char* to = y.ptr<char>() + range.begin * source.size;
  if (args.in[1].ndim > 0) {
    const int64_t n = source.row_size;
    return take_rows(index, range.begin / n, (range.end - range.begin) / n, source,
                     x.shape[0], to);
  }
  int64_t row;  // a part of one row
  index.rows(0, 1, x.shape[0], &row);
  read_row(source, row, range.begin, range.end - range.begin,
           find_cast(y.dtype, y.dtype), to, source.size);
}

// out[o, i] = x[o, indices[o, i]], shape indices.shape + x.shape[2:]
void batch_take(const KernelArgs& args) {
  const TensorView &x = args.in[0], &indices = args.in[1], &y = args.out[0];
  const Range batch = row_range(y.rows(), args.part);
  if (y.numel() == 0 || batch.begin >= batch.end) return;
  const IndexReader index("batch_take", indices);
  TensorView one = x;
  one.ndim = x.ndim - 1;
  for (int d = 0; d < one.ndim; ++d) {
    one.shape[d] = x.shape[d + 1];
    one.stride[d] = x.stride[d + 1];
  }
  RowSource source;
  open_rows(one, source);
  const int64_t bytes = y.row_size() * source.size, count = indices.shape[1];
  for (int64_t o = batch.begin; o < batch.end; ++o) {
    source.base = x.ptr<const char>() + o * x.stride[0] * source.size;
    take_rows(index, o * count, count, source, x.shape[1], y.ptr<char>() + o * bytes);
  }
}

// out = x[starts[0] : starts[0] + out.shape[0], ...]
void dynamic_slice(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const IndexReader starts("dynamic_slice", args.in[1]);
  TensorView from = x;
  const int size = dtype_size(x.dtype);
  for (int d = 0; d < x.ndim; ++d) {
    const int64_t start = starts[d];
    check_slice("dynamic_slice", d, start, y.shape[d], x.shape[d]);
    from.data = static_cast<char*>(from.data) + start * x.stride[d] * size;
    from.shape[d] = y.shape[d];
  }
  const Range rows = row_range(y.rows(), args.part);
  const int64_t total = (rows.end - rows.begin) * y.row_size();
  if (total <= 0) return;
  const TensorView* view = &from;
  const Walk w = make_walk(&view, 1, rows);
  gather(y.ptr<char>() + rows.begin * y.row_size() * size, w, 0, 0, total, size);
}

// 1 at the index of each row, zeros elsewhere and for an index out of range.
void one_hot(const KernelArgs& args) {
  const TensorView& y = args.out[0];
  const Range range = element_range(y, args.part);
  if (range.begin >= range.end) return;
  const IndexReader index("one_hot", args.in[0]);
  const int64_t classes = y.shape[y.ndim - 1];
  dispatch("one_hot", y.dtype, Floats{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = y.ptr<T>();
    __builtin_memset(out + range.begin, 0, (range.end - range.begin) * sizeof(T));
    const int64_t last = (range.end + classes - 1) / classes;
    int64_t block[kIndexBlock];
    for (int64_t i = range.begin / classes; i < last;) {
      const int64_t n = last - i < kIndexBlock ? last - i : kIndexBlock;
      index.read(i, n, block);
      for (int64_t j = 0; j < n; ++j, ++i) {
        const int64_t k = block[j];
        if (k < 0 || k >= classes) continue;
        const int64_t at = i * classes + k;
        if (at >= range.begin && at < range.end) out[at] = 1;
      }
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"gather_rows", gather_rows, Split::kRows, "aaa", 1, ""},
    {"take", take, Split::kRows, "aa", 1, ""},
    {"batch_take", batch_take, Split::kRows, "rr", 1, ""},
    {"dynamic_slice", dynamic_slice, Split::kRows, "aa", 1, ""},
    {"one_hot", one_hot, Split::kRows, "a", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_index;
const KernelFamily kFamily_index = {"index", kEntries,
                                    sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
