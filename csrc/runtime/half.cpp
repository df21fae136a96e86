// SPDX-License-Identifier: Apache-2.0
#include "runtime/half.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace fastnn {
namespace {

constexpr size_t kMaxViews = 16;
constexpr int64_t kAlign = 16;  // floats

int64_t padded(int64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// Grows to the largest call of this thread, then is reused. Apart from `scratch`, which
// the kernels use meanwhile.
float* buffer_of(int64_t floats) {
  thread_local std::unique_ptr<float[]> memory;
  thread_local int64_t size = 0;
  if (floats + kAlign > size) {
    memory.reset(new float[static_cast<size_t>(floats + kAlign)]);
    size = floats + kAlign;
  }
  const auto address = reinterpret_cast<uintptr_t>(memory.get());
  return memory.get() + (64 - address % 64) % 64 / sizeof(float);
}

void make_contiguous(TensorView& view) {
  int64_t stride = 1;
  for (int d = view.ndim - 1; d >= 0; --d) {
    view.stride[d] = stride;
    stride *= view.shape[d];
  }
}

// The elements of a view that are stored: repeated dimensions once.
TensorView stored(const TensorView& view) {
  TensorView v = view;
  for (int d = 0; d < v.ndim; ++d) {
    if (v.stride[d] == 0 && v.shape[d] > 1) v.shape[d] = 1;
  }
  return v;
}

void convert(const TensorView& from, const TensorView& to) {
  static const KernelEntry* const cast = find_kernel("cast");
  if (to.numel() == 0) return;
  AttrValue attr;
  attr.i = static_cast<int64_t>(to.dtype);
  cast->fn({&from, &to, &attr, Part{}});
}

// Rows [begin, end) of a view that has more than one.
TensorView rows_of(TensorView view, Range rows) {
  if (view.ndim == 0) return view;
  view.data = view.ptr<char>() + rows.begin * view.stride[0] * dtype_size(view.dtype);
  view.shape[0] = rows.end - rows.begin;
  return view;
}

// The operand as the kernel sees it: all rows of `view`, of which it touches those that
// `wide` holds, from `begin` on.
TensorView seen_as(const TensorView& view, const TensorView& kept,
                   const TensorView& wide, int64_t begin) {
  TensorView seen = view;
  seen.dtype = DType::kFloat32;
  for (int d = 0; d < seen.ndim; ++d) {
    seen.stride[d] = kept.shape[d] != view.shape[d] ? 0 : wide.stride[d];
  }
  // Row 0 may lie before the buffer: an address, never a pointer to something.
  const int64_t skipped = seen.ndim ? begin * seen.stride[0] : 0;
  const auto bytes = static_cast<uintptr_t>(skipped) * sizeof(float);
  seen.data = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(wide.data) - bytes);
  return seen;
}

// Whether the kernel reads only the rows it owns of an input with this letter.
bool reads_own_rows(char letter, const AttrValue* attrs) {
  const bool keeps_rows = letter == 'k' && !(attrs[0].i & 1);  // axes as a bit mask
  return letter == 'r' || keeps_rows;
}

// The rows of an operand that go through the float copy.
Range converted_rows(const TensorView& kept, bool by_rows, int64_t rows, Range own) {
  if (!by_rows || kept.ndim == 0) return {0, kept.rows()};
  const int64_t lead = kept.shape[0];
  return {lead * own.begin / rows, lead * own.end / rows};
}

}  // namespace

int widened_parts(const KernelEntry& kernel, const TensorView* out, int count) {
  const int64_t rows = out[0].rows();
  if (kernel.split != Split::kRows || rows == 0) return 1;
  for (int i = 0; i < kernel.n_out; ++i) {
    if (out[i].ndim == 0 && rows > 1) return 1;
  }
  if (kernel.min_rows == 0) return count;
  return static_cast<int>(std::clamp<int64_t>(rows / kernel.min_rows, 1, count));
}

void call_widened(const KernelEntry& kernel, const KernelArgs& args) {
  const size_t n_in = std::strlen(kernel.reads);
  const auto n_out = static_cast<size_t>(kernel.n_out), n = n_in + n_out;
  FASTNN_CHECK(n <= kMaxViews, "[%s] %zu operands are too many for 16-bit floats",
               kernel.name, n);
  const int64_t rows = args.out[0].rows();
  const Part part = {args.part.index, widened_parts(kernel, args.out, args.part.count)};
  if (part.index >= part.count) return;
  const Range own = row_range(rows, part);
  if (part.count > 1 && own.begin == own.end) return;
  TensorView views[kMaxViews];
  Range range[kMaxViews];
  int64_t total = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool output = i >= n_in;
    const TensorView& view = output ? args.out[i - n_in] : args.in[i];
    views[i] = view;
    if (!dtype_is_half(view.dtype)) continue;
    const TensorView kept = output ? view : stored(view);
    const bool private_input = !output && kept.ndim > 0 && kept.shape[0] == rows &&
                               reads_own_rows(kernel.reads[i], args.attrs);
    range[i] =
        converted_rows(kept, part.count > 1 && (output || private_input), rows, own);
    total += padded(rows_of(kept, range[i]).numel());
  }
  float* to = buffer_of(total);
  for (size_t i = 0; i < n; ++i) {
    const bool output = i >= n_in;
    const TensorView& view = output ? args.out[i - n_in] : args.in[i];
    if (!dtype_is_half(view.dtype)) continue;
    const TensorView kept = output ? view : stored(view);
    const TensorView source = rows_of(kept, range[i]);
    TensorView wide = source;
    wide.data = to;
    wide.dtype = DType::kFloat32;
    make_contiguous(wide);
    if (!output) convert(source, wide);
    to += padded(wide.numel());
    views[i] = seen_as(view, kept, wide, range[i].begin);
  }
  kernel.fn({views, views + n_in, args.attrs, part});
  for (size_t i = n_in; i < n; ++i) {
    const TensorView& view = args.out[i - n_in];
    if (!dtype_is_half(view.dtype)) continue;
    convert(rows_of(views[i], range[i]), rows_of(view, range[i]));
  }
}

}  // namespace fastnn
