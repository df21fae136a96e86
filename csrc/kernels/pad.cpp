// SPDX-License-Identifier: Apache-2.0
// Padding with a constant.
#include "kernels/simd/dtypes.hpp"
#include "kernels/simd/strided.hpp"
#include "kernels/table.hpp"

FASTNN_BEGIN_NAMESPACE
namespace {

// The output as lines: everything from the last padded axis on. Elements
// [before, before + width) of a line come from x unless the line lies in the padding.
struct Lines {
  int axes;  // in front of a line
  int64_t size, before, width;
};

FASTNN_OUTLINE Lines lines_of(const TensorView& x, const TensorView& y,
                              const int64_t* low) {
  int axis = y.ndim - 1;
  while (axis > 0 && x.shape[axis] == y.shape[axis])
    --axis;
  int64_t inner = 1;
  for (int d = axis + 1; d < y.ndim; ++d)
    inner *= y.shape[d];
  return {axis, y.shape[axis] * inner, low[axis] * inner, x.shape[axis] * inner};
}

// The number of the line of x that stands in line `at` of y, or -1.
FASTNN_OUTLINE int64_t source_line(const TensorView& x, const TensorView& y,
                                   const int64_t* low, int axes, int64_t at) {
  int64_t line = 0, step = 1;
  for (int d = axes - 1; d >= 0; --d) {
    const int64_t i = at % y.shape[d] - low[d];
    if (i < 0 || i >= x.shape[d]) return -1;
    line += i * step;
    step *= x.shape[d];
    at /= y.shape[d];
  }
  return line;
}

FASTNN_OUTLINE void fill(char* to, const char* value, int64_t n, int size) {
  if (n <= 0) return;
  __builtin_memcpy(to, value, size);
  for (int64_t have = 1; have < n;) {
    const int64_t more = have < n - have ? have : n - have;
    __builtin_memcpy(to + have * size, to, more * size);
    have += more;
  }
}

FASTNN_INLINE Range clipped(int64_t begin, int64_t end, Range to) {
  const int64_t b = begin > to.begin ? begin : to.begin;
  const int64_t e = end < to.end ? end : to.end;
  return {b, e > b ? e : b};
}

void pad(const KernelArgs& args) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const int64_t* low = args.attrs[0].ints;
  const Range rows = row_range(y.rows(), args.part);
  const int64_t row = y.row_size();
  if (rows.begin >= rows.end || row == 0) return;
  const Range mine = {rows.begin * row, rows.end * row};
  const char* value = args.in[1].ptr<const char>();
  const int size = dtype_size(y.dtype);
  char* out = y.ptr<char>();
  const Lines lines = lines_of(x, y, low);
  const bool empty = x.numel() == 0;
  const TensorView* view = &x;
  Walk walk;
  if (!empty) walk = make_walk(&view, 1, {0, x.rows()});
  for (int64_t at = mine.begin / lines.size; at * lines.size < mine.end; ++at) {
    const int64_t begin = at * lines.size, end = begin + lines.size;
    const int64_t from = empty ? -1 : source_line(x, y, low, lines.axes, at);
    const int64_t start = from < 0 ? end : begin + lines.before;
    const int64_t stop = from < 0 ? end : start + lines.width;
    const Range before = clipped(begin, start, mine),
                middle = clipped(start, stop, mine);
    const Range after = clipped(stop, end, mine);
    fill(out + before.begin * size, value, before.end - before.begin, size);
    if (middle.end > middle.begin) {
      gather(out + middle.begin * size, walk, 0,
             from * lines.width + middle.begin - start, middle.end - middle.begin,
             size);
    }
    fill(out + after.begin * size, value, after.end - after.begin, size);
  }
}

constexpr KernelEntry kEntries[] = {
    {"pad", pad, Split::kRows, "aa", 1, "low"},
};

}  // namespace

extern const KernelFamily kFamily_pad;
const KernelFamily kFamily_pad = {"pad", kEntries,
                                  sizeof(kEntries) / sizeof(kEntries[0])};
FASTNN_END_NAMESPACE
