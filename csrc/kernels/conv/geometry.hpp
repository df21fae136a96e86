// SPDX-License-Identifier: Apache-2.0
// What is convolved: one N-D description for 1, 2 and 3 spatial axes, of the forward
// convolution even where its gradient is computed.
#pragma once

#include "kernels/gemm/plan.hpp"
#include "kernels/kernel.hpp"

FASTNN_BEGIN_NAMESPACE

inline constexpr int kAxes = 3;  // depth, height, width; missing ones have size 1

// y[n, o, :] = sum_k x[n, o * stride + k * dilation - pad, :] w[k, :, :]
struct Geometry {
  int64_t images, groups;
  int64_t c, oc;  // channels of x and y within one group
  int64_t in[kAxes], out[kAxes], kernel[kAxes];
  int64_t stride[kAxes], dilation[kAxes], pad[kAxes];
};

// An array of (images, depth, height, width, channels), or a kernel of (depth, height,
// width, inputs, outputs).
template <class T>
struct Field {
  T* data = nullptr;
  int64_t first = 0, last = 0;  // strides of the first and the last dimension
  int64_t axis[kAxes] = {};
};

FASTNN_INLINE int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && a < 0);
}

// One axis of a pass: outputs first + q * out_step for q < count; output q is the sum
// over t < taps of the input begin + q * step + t * tap_step times the kernel's element
// kernel_first + t * kernel_step.
struct Axis {
  int64_t count, first, out_step;
  int64_t begin, step, tap_step;
  int64_t taps, kernel_first, kernel_step;
};

FASTNN_INLINE Axis forward_axis(const Geometry& g, int i, Range out) {
  return {out.end - out.begin,
          out.begin,
          1,
          out.begin * g.stride[i] - g.pad[i],
          g.stride[i],
          g.dilation[i],
          g.kernel[i],
          0,
          1};
}

// The elements h of `in` with (h + pad) % stride == residue. Their gradients read the
// elements (h + pad - k * dilation) / stride of dy: a convolution of stride 1 with
// the kernel's elements k that divide, backwards.
FASTNN_INLINE Axis gradient_axis(const Geometry& g, int i, Range in, int64_t residue) {
  const int64_t s = g.stride[i], d = g.dilation[i], padded = in.begin + g.pad[i];
  int64_t skip = (residue - padded) % s;
  if (skip < 0) skip += s;
  Axis a = {};
  a.first = in.begin + skip, a.out_step = s;
  a.count = a.first < in.end ? (in.end - a.first + s - 1) / s : 0;
  a.step = 1;
  int64_t before = 0;
  for (int64_t k = 0; k < g.kernel[i]; ++k) {
    if ((k * d - residue) % s != 0) continue;
    if (a.taps++ > 0) a.kernel_step = before - k;
    a.kernel_first = before = k;
  }
  if (a.taps == 0) return a;
  a.begin = (a.first + g.pad[i] - a.kernel_first * d) / s;
  a.tap_step = -a.kernel_step * d / s;
  return a;
}

// The inputs that the outputs of a range read, over all residues.
FASTNN_INLINE Range forward_hull(const Geometry& g, int i, Range out) {
  const int64_t begin = out.begin * g.stride[i] - g.pad[i];
  const int64_t last =
      (out.end - 1) * g.stride[i] - g.pad[i] + (g.kernel[i] - 1) * g.dilation[i];
  return {begin, last + 1};
}
FASTNN_INLINE Range gradient_hull(const Geometry& g, int i, Range in) {
  const int64_t reach = (g.kernel[i] - 1) * g.dilation[i];
  const int64_t begin = floor_div(in.begin + g.pad[i] - reach, g.stride[i]);
  return {begin, floor_div(in.end - 1 + g.pad[i], g.stride[i]) + 1};
}

// A box of outputs: whole images, or a part of one.
struct Window {
  Range images;
  Range axis[kAxes];

  int64_t rows() const {
    return (images.end - images.begin) * (axis[0].end - axis[0].begin) *
           (axis[1].end - axis[1].begin);
  }
};

// Cuts the rows (image, depth, height) begin .. end of outputs of size `out` into
// windows, of which `fits` says whether one is small enough: rows are whole, and one is
// a window even where it does not fit. `size` as `out`: of one image.
class Windows {
 public:
  Windows(const int64_t* size, Range rows) : size_(size), rows_(rows) {}

  template <class F>
  bool next(Window& w, F fits) {
    if (rows_.begin >= rows_.end) return false;
    const int64_t per_image = size_[0] * size_[1], at = rows_.begin % per_image;
    const int64_t n = rows_.begin / per_image, left = rows_.end - rows_.begin;
    w = {{n, n + 1}, {{0, size_[0]}, {0, size_[1]}, {0, size_[2]}}};
    if (at == 0 && left >= per_image && fits(w)) {
      grow(w, w.images, n + left / per_image, fits);
    } else {
      Range &d = w.axis[0], &h = w.axis[1];
      d = {at / size_[1], at / size_[1] + 1};
      h = {at % size_[1], size_[1]};
      if (h.begin == 0 && left >= size_[1] && fits(w)) {
        grow(w, d, min_of(size_[0], d.begin + left / size_[1]), fits);
      } else {
        const int64_t end = min_of(size_[1], h.begin + left);
        h.end = h.begin + 1;
        grow(w, h, end, fits);
      }
    }
    rows_.begin += w.rows();
    return true;
  }

 private:
  // Lengthens a range of w up to `limit`, then evens out what would follow.
  template <class F>
  static void grow(Window& w, Range& r, int64_t limit, F fits) {
    const int64_t whole = limit - r.begin;
    int64_t most = 1;
    for (; most < whole; ++most) {
      r.end = r.begin + most + 1;
      if (!fits(w)) break;
    }
    r.end = r.begin + ceil_div(whole, ceil_div(whole, most));
  }

  const int64_t* size_;
  Range rows_;
};

// The share of the outputs that a part computes: rows (image, depth, height), or
// columns (channels of a group) where the rows are too few to share.
struct Share {
  Range rows, cols;
};

template <class T>
Share share_of(int64_t images, const int64_t* size, int64_t channels, Part part,
               int min_rows) {
  const int64_t per_image = size[0] * size[1], rows = images * per_image;
  Share s = {{0, rows}, {0, channels}};
  if (owns_rows(images, part, min_rows)) {
    const Range owned = row_range(images, part);
    s.rows = {owned.begin * per_image, owned.end * per_image};
  } else if (rows >= 4 * part.count) {
    s.rows = {rows * part.index / part.count, rows * (part.index + 1) / part.count};
  } else {
    const int64_t n = lanes<T>, vectors = ceil_div(channels, n);
    s.cols.begin = min_of(channels, vectors * part.index / part.count * n);
    s.cols.end = min_of(channels, vectors * (part.index + 1) / part.count * n);
  }
  return s;
}

FASTNN_END_NAMESPACE
