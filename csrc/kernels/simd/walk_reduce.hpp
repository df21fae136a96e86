// SPDX-License-Identifier: Apache-2.0
// Walking what is reduced into each output: shared by reductions and moments.
#pragma once

#include "kernels/simd/row.hpp"
#include "kernels/simd/strided.hpp"

FASTNN_BEGIN_NAMESPACE

// The two ways to reduce: everything `w` walks to one value, and so for `count`
// outputs, which begin `step` bytes apart; or `columns` neighbouring outputs at once,
// one per lane (`w` then walks the rows). out[k] points into output k.
using ReduceRows = void (*)(Walk& w, int64_t step, int64_t count, void* const* out);
using ReduceColumns = void (*)(const Walk& w, int64_t columns, void* const* out);

FASTNN_INLINE int64_t count_of(const Walk& w) {
  int64_t n = 1;
  for (int d = 0; d < w.ndim; ++d)
    n *= w.shape[d];
  return n;
}

// Whether no more than `most` elements, evenly spaced, are reduced: then an output may
// have a lane of its own, filled by gathers.
FASTNN_INLINE bool is_short(const Walk& w, int64_t most) {
  return w.ndim == 1 && w.shape[0] <= most && w.shape[0] > 0;
}

FASTNN_INLINE bool is_run(const Walk& w, int size) {
  return w.ndim == 1 && (w.stride[0][0] == size || w.shape[0] == 1);
}

// Calls f(pointer, n, index of the first) for the walk's elements in blocks.
template <class T, int64_t block = kRowBlock, class F>
FASTNN_INLINE void for_blocks(const Walk& w, F f) {
  const int64_t total = count_of(w);
  const bool run = is_run(w, sizeof(T));
  alignas(64) T buffer[block];
  for (int64_t at = 0; at < total; at += block) {
    const int64_t n = total - at < block ? total - at : block;
    const T* p = reinterpret_cast<const T*>(w.base[0]) + at;
    if (!run) {
      gather((char*)buffer, w, 0, at, n, sizeof(T));
      p = buffer;
    }
    f(p, n, at);
  }
}

FASTNN_OUTLINE const char* row_pointer(const Walk& w, int64_t row) {
  const char* p = w.base[0];
  for (int d = w.ndim - 1; d >= 0 && row; --d) {  // a division takes 30 ns
    p += row % w.shape[d] * w.stride[0][d];
    row /= w.shape[d];
  }
  return p;
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

inline constexpr int kMaxReduceOut = 2;

// Runs over the outputs of this part.
FASTNN_OUTLINE void run_reduce(const KernelArgs& args, uint64_t axes, int n_out,
                               ReduceRows all_rows, ReduceColumns columns) {
  const TensorView &x = args.in[0], &y = args.out[0];
  const int size = dtype_size(x.dtype);
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
    void* out[kMaxReduceOut];
    for (int k = 0; k < n_out; ++k) {
      const TensorView& v = args.out[k];
      out[k] = v.ptr<char>() + at * dtype_size(v.dtype);
    }
    const int64_t left = kept.shape[last] - (at ? at % kept.shape[last] : 0);
    const int64_t n = left < end - at ? left : end - at;
    if (by_columns) {
      columns(a.reduced, n, out);
    } else {
      all_rows(a.reduced, kept.stride[0][last], n, out);
    }
    at += n;
  }
}

FASTNN_END_NAMESPACE
