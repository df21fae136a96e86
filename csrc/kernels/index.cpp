// SPDX-License-Identifier: Apache-2.0
// Rows by index: batches of a dataset, embeddings and their gradient, one-hot rows.
#include "base/scratch.hpp"
#include "kernels/simd/cast.hpp"
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/row.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// Indices of any integer dtype and any strides.
class IndexReader {
 public:
  FASTNN_INLINE IndexReader(const char* op, const TensorView& x) : dtype_(x.dtype) {
    FASTNN_CHECK(
        dtype_ == DType::kInt64 || dtype_ == DType::kInt32 || dtype_ == DType::kUInt8,
        "[%s] indices of dtype %s are not supported (int32, int64, uint8)", op,
        dtype_name(dtype_));
    const TensorView* view = &x;
    if (x.numel()) walk_ = make_walk(&view, 1, {0, x.rows()});
  }
  FASTNN_INLINE int64_t operator[](int64_t i) const {
    const char* p = walk_.base[0] + i * walk_.stride[0][0];
    if (walk_.ndim > 1) p = strided(i);
    if (dtype_ == DType::kInt64) return *reinterpret_cast<const int64_t*>(p);
    if (dtype_ == DType::kInt32) return *reinterpret_cast<const int32_t*>(p);
    return *reinterpret_cast<const uint8_t*>(p);
  }

 private:
  FASTNN_INLINE const char* strided(int64_t i) const {
    const char* p = walk_.base[0];
    for (int d = walk_.ndim - 1; d >= 0; --d) {
      p += i % walk_.shape[d] * walk_.stride[0][d];
      i /= walk_.shape[d];
    }
    return p;
  }

  Walk walk_;
  DType dtype_;
};

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
  TensorView row = x;
  row.ndim = x.ndim - 1;
  for (int d = 0; d < row.ndim; ++d) {
    row.shape[d] = x.shape[d + 1];
    row.stride[d] = x.stride[d + 1];
  }
  s.contiguous = row.contiguous();
  const TensorView* view = &row;
  if (s.row_size) s.row = make_walk(&view, 1, {0, row.rows()});
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
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t i = index[first + r];
    FASTNN_CHECK(i >= 0 && i < data.shape[0],
                 "[gather_rows] row %lld is out of range for data of %lld rows",
                 static_cast<long long>(i), static_cast<long long>(data.shape[0]));
    read_row(source, i, 0, source.row_size, convert_run,
             y.ptr<char>() + r * source.row_size * size, size);
  }
}

// A row number from an index that may count from the end.
FASTNN_INLINE int64_t wrap_index(const char* op, int64_t i, int64_t rows) {
  const int64_t wrapped = i < 0 ? i + rows : i;
  FASTNN_CHECK(wrapped >= 0 && wrapped < rows,
               "[%s] index %lld is out of range for %lld rows", op,
               static_cast<long long>(i), static_cast<long long>(rows));
  return wrapped;
}

// Elements [begin, end) of the flat output that this part owns.
FASTNN_INLINE Range element_range(const TensorView& out, Part part) {
  const Range rows = row_range(out.rows(), part);
  const int64_t size = out.row_size();
  return {rows.begin * size, rows.end * size};
}

// out = x[indices], shape indices.shape + x.shape[1:]
void take(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const Range range = element_range(y, args.part);
  if (range.begin >= range.end) return;
  const IndexReader index("take", args.in[1]);
  RowSource source;
  open_rows(x, source);
  const CastFn same = find_cast(y.dtype, y.dtype);
  for (int64_t at = range.begin; at < range.end;) {
    const int64_t start = at % source.row_size, left = source.row_size - start;
    const int64_t n = left < range.end - at ? left : range.end - at;
    const int64_t i = wrap_index("take", index[at / source.row_size], x.shape[0]);
    read_row(source, i, start, n, same, y.ptr<char>() + at * source.size, source.size);
    at += n;
  }
}

// dx = zeros; dx[indices] += dy in index order. A part owns a range of columns, so the
// additions to an element keep their order whatever the number of parts.
void take_grad(const KernelArgs& args) {
  const TensorView &dy = args.in[0], &dx = args.out[0];
  const int64_t rows = dx.rows(), columns = dx.row_size(), count = args.in[1].numel();
  const int64_t lines = (columns + 15) / 16;  // a cache line of floats
  const int64_t begin = lines * args.part.index / args.part.count * 16;
  const int64_t stop = lines * (args.part.index + 1) / args.part.count * 16;
  const int64_t n = (stop < columns ? stop : columns) - begin;
  if (n <= 0 || rows == 0) return;
  const IndexReader index("take_grad", args.in[1]);
  const TensorView* view = &dy;
  Walk w;
  if (count) w = make_walk(&view, 1, {0, dy.rows()});
  dispatch("take_grad", dx.dtype, Numbers{}, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = dx.ptr<T>() + begin;
    for (int64_t r = 0; r < rows; ++r) {
      __builtin_memset(out + r * columns, 0, n * sizeof(T));
    }
    T* buffer = static_cast<T*>(scratch(n * sizeof(T)));
    const bool contiguous = dy.contiguous();
    for (int64_t i = 0; i < count; ++i) {
      const T* g = dy.ptr<T>() + i * columns + begin;
      if (!contiguous) {
        gather((char*)buffer, w, 0, i * columns + begin, n, sizeof(T));
        g = buffer;
      }
      T* to = out + wrap_index("take_grad", index[i], rows) * columns;
      map_row(to, n, [&](int64_t k, int m) FASTNN_LAMBDA_INLINE {
        return load_part(to + k, m) + load_part(g + k, m);
      });
    }
  });
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
    for (int64_t i = range.begin / classes; i < last; ++i) {
      const int64_t k = index[i], at = i * classes + k;
      const bool valid = k >= 0 && k < classes;
      if (valid && at >= range.begin && at < range.end) out[at] = 1;
    }
  });
}

constexpr KernelEntry kEntries[] = {
    {"gather_rows", gather_rows, Split::kRows, "aaa", 1, ""},
    {"take", take, Split::kRows, "aa", 1, ""},
    {"take_grad", take_grad, Split::kAny, "aa", 1, ""},
    {"one_hot", one_hot, Split::kRows, "a", 1, ""},
};

}  // namespace

extern const KernelFamily kFamily_index;
const KernelFamily kFamily_index = {"index", kEntries,
                                    sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
