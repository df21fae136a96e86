// SPDX-License-Identifier: Apache-2.0
// Images: arrays (batch, 1 to 3 spatial axes, channels). Kernels see three spatial
// axes, missing ones of size 1 in front, and go line by line: a line is what the last
// spatial axis and the channels span. Tensors carry no halo; borders are clipped.
#pragma once

#include "base/scratch.hpp"
#include "kernels/simd/row.hpp"

FASTNN_BEGIN_NAMESPACE

struct Grid {
  int64_t batch, size[3], channels;
  FASTNN_INLINE int64_t lines() const { return size[0] * size[1]; }
  FASTNN_INLINE int64_t line_size() const { return size[2] * channels; }
  FASTNN_INLINE int64_t image_size() const { return lines() * line_size(); }
};

FASTNN_OUTLINE Grid grid_of(const TensorView& v) {
  Grid g = {v.shape[0], {1, 1, 1}, v.shape[v.ndim - 1]};
  for (int d = 1; d < v.ndim - 1; ++d)
    g.size[4 - v.ndim + d] = v.shape[d];
  return g;
}

// a / b of numbers that are not negative. 64-bit division takes up to 90 cycles on
// CPUs before Ice Lake; a line of a small image takes 500.
FASTNN_INLINE int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

// Line `at` of all lines of a grid.
struct Place {
  int64_t image, depth, height;
};
FASTNN_INLINE Place place_of(const Grid& g, int64_t at) {
  const int64_t n = quotient(at, g.lines()), in_image = at - n * g.lines();
  const int64_t p = quotient(in_image, g.size[1]);
  return {n, p, in_image - p * g.size[1]};
}

// The lines of `g` that a part computes: those of its images, or a share of all where
// there are fewer images than parts (`min_rows` 1).
FASTNN_OUTLINE Range line_range(const Grid& g, Part part) {
  if (owns_rows(g.batch, part, 1)) {
    const Range rows = row_range(g.batch, part);
    return {rows.begin * g.lines(), rows.end * g.lines()};
  }
  const int64_t all = g.batch * g.lines();
  return {all * part.index / part.count, all * (part.index + 1) / part.count};
}

// Scratch memory in pieces: the total is asked for once, as scratch() demands.
template <class T>
FASTNN_INLINE int64_t scratch_bytes(int64_t n) {
  return (n * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
}
class Pieces {
 public:
  FASTNN_INLINE explicit Pieces(int64_t bytes)
      : at_(static_cast<char*>(scratch(bytes))) {}
  template <class T>
  FASTNN_INLINE T* take(int64_t n) {
    char* piece = at_;
    at_ += scratch_bytes<T>(n);
    return reinterpret_cast<T*>(piece);
  }

 private:
  char* at_;
};

// The images of an input of any strides: in place when contiguous, else copied one at a
// time (a view of channels-first memory, say).
template <class T>
class Images {
 public:
  static FASTNN_INLINE int64_t bytes(const TensorView& x) {
    return x.contiguous() ? 0 : scratch_bytes<T>(x.row_size());
  }
  FASTNN_INLINE Images(const TensorView& x, Pieces& pieces)
      : base_(x.ptr<const T>()), size_(x.row_size()) {
    if (x.contiguous()) return;
    buffer_ = pieces.take<T>(size_);
    const TensorView* view = &x;
    walk_ = make_walk(&view, 1, {0, x.rows()});
  }
  FASTNN_INLINE const T* operator[](int64_t n) {
    if (!buffer_) return base_ + n * size_;
    if (n != held_) {
      gather(reinterpret_cast<char*>(buffer_), walk_, 0, n * size_, size_, sizeof(T));
    }
    held_ = n;
    return buffer_;
  }

 private:
  Walk walk_;
  const T* base_;
  T* buffer_ = nullptr;
  int64_t size_, held_ = -1;
};

// Calls f<vectors>(first channel, lanes of a vector) for all channels of a pixel.
template <class T, class F>
FASTNN_INLINE void for_channels(int64_t channels, F f) {
  int64_t at = 0;
  for (; at + 4 * lanes<T> <= channels; at += 4 * lanes<T>)
    f.template operator()<4>(at, lanes<T>);
  if (at + 2 * lanes<T> <= channels) {
    f.template operator()<2>(at, lanes<T>);
    at += 2 * lanes<T>;
  }
  if (at + lanes<T> <= channels) {
    f.template operator()<1>(at, lanes<T>);
    at += lanes<T>;
  }
  const int rest = static_cast<int>(channels - at);
  if (rest) f.template operator()<1>(at, rest);
}

FASTNN_END_NAMESPACE
