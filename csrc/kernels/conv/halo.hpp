// SPDX-License-Identifier: Apache-2.0
// Copies of images into scratch with zeros around them. The kernels read these without
// tests of bounds, whatever the strides of the image were.
#pragma once

#include "kernels/conv/geometry.hpp"

FASTNN_BEGIN_NAMESPACE

template <class T>
FASTNN_INLINE void copy_run(const T* src, T* dst, int64_t count) {
  constexpr int n = lanes<T>;
  int64_t i = 0;
  for (; i + n <= count; i += n)
    store(dst + i, load(src + i));
  const int tail = static_cast<int>(count - i);
  if (tail) store_n(dst + i, load_n(src + i, tail), tail);
}

template <class T>
FASTNN_INLINE void zero_run(T* dst, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    dst[i] = T(0);
}

// dst[p * pitch + c] = src[p * sw + c * sc]
template <class T>
void copy_pixels(const T* src, int64_t sw, int64_t sc, int64_t pixels, int64_t channels,
                 T* dst, int64_t pitch) {
  constexpr int n = lanes<T>;
  if (channels == 1) sc = 1;
  if (sc == 1 && sw == channels && pitch == channels) {
    copy_run(src, dst, pixels * channels);
  } else if (channels == 1) {
    for (int64_t p = 0; p < pixels; ++p)
      dst[p * pitch] = src[p * sw];
  } else if (sc == 1) {
    for (int64_t p = 0; p < pixels; ++p)
      copy_run(src + p * sw, dst + p * pitch, channels);
  } else if (sw == 1) {
    for (int64_t c = 0; c < channels; c += n) {
      for (int64_t p = 0; p < pixels; p += n) {
        Vec<T> v[n];
        const int rows = clip<T>(channels - c), cols = clip<T>(pixels - p);
        load_transposed(src + c * sc + p, sc, rows, cols, v);
        for (int q = 0; q < cols; ++q)
          store_n(dst + (p + q) * pitch + c, v[q], rows);
      }
    }
  } else {
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; ++c)
        dst[p * pitch + c] = src[p * sw + c * sc];
    }
  }
}

// The box `hull` of an image of the given extent, zero outside of it. `image` points at
// its first channel to copy; pixels stand `pitch` apart in dst.
template <class T>
void copy_halo(const T* image, const Field<const T>& x, const int64_t* extent,
               const Range* hull, int64_t channels, T* dst, int64_t pitch) {
  const int64_t width = hull[2].end - hull[2].begin;
  const int64_t left = min_of(width, max_of(0, -hull[2].begin));
  const int64_t end = min_of(hull[2].end, extent[2]) - hull[2].begin;
  for (int64_t d = hull[0].begin; d < hull[0].end; ++d) {
    for (int64_t h = hull[1].begin; h < hull[1].end; ++h, dst += width * pitch) {
      const bool inside = d >= 0 && d < extent[0] && h >= 0 && h < extent[1];
      if (!inside || end <= left) {
        zero_run(dst, width * pitch);
        continue;
      }
      const T* src = image + d * x.axis[0] + h * x.axis[1];
      zero_run(dst, left * pitch);
      copy_pixels(src + (hull[2].begin + left) * x.axis[2], x.axis[2], x.last,
                  end - left, channels, dst + left * pitch, pitch);
      zero_run(dst + end * pitch, (width - end) * pitch);
    }
  }
}

FASTNN_END_NAMESPACE
