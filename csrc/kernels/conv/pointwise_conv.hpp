// SPDX-License-Identifier: Apache-2.0
// Kernels of one element with stride 1: a matrix product of pixels and channels.
#pragma once

#include "kernels/conv/correlate.hpp"
#include "kernels/conv/filter.hpp"
#include "kernels/gemm/product.hpp"

FASTNN_BEGIN_NAMESPACE

// At most as many weights stay in L2 beside a window.
inline constexpr int64_t kFewWeightBytes = 256 * 1024;
// Joined rows of pixels: a tile's worth of L1.
inline constexpr int64_t kJoinedBytes = 64 * 1024;

// The pixels of an image stand at equal distances.
template <class T>
bool is_run(const Field<const T>& f, const int64_t* size) {
  if (size[1] > 1 && f.axis[1] != size[2] * f.axis[2]) return false;
  return size[0] <= 1 || f.axis[0] == size[1] * size[2] * f.axis[2];
}

FASTNN_INLINE bool is_pointwise(const Geometry& g) {
  if (g.groups != 1) return false;
  for (int i = 0; i < kAxes; ++i) {
    if (g.kernel[i] != 1 || g.stride[i] != 1 || g.pad[i] != 0) return false;
    if (g.in[i] != g.out[i]) return false;
  }
  return g.in[2] > 1;  // with one pixel per row its distance is that of rows
}

template <class T>
bool is_pointwise(const Correlation<T>& op) {
  return is_pointwise(op.g) && is_run(op.a, op.g.in) &&
         (!op.y.data || is_run(op.y, op.g.in));
}

// Of all images at once.
template <class T>
bool is_pointwise(const Filter<T>& op) {
  const int64_t* size = op.g.in;
  const int64_t pixels = size[0] * size[1] * size[2];
  const auto joined = [&](const Field<const T>& f) {
    return is_run(f, size) && (op.g.images == 1 || f.first == pixels * f.axis[2]);
  };
  return is_pointwise(op.g) && joined(op.x) && joined(op.dy);
}

// As a product of all pixels.
template <class T>
Product<T> product_of(const Correlation<T>& op) {
  const int64_t* size = op.c_size();
  const Weights<T> w = op.weights(0);
  Product<T> p = {};
  p.m = op.g.images * size[0] * size[1] * size[2], p.n = op.c_channels;
  p.k = op.a_channels;
  p.a = op.a.data, p.rsa = op.a.axis[2], p.csa = op.a.last;
  p.b = w.data, p.rsb = w.row, p.csb = w.col;
  p.c = op.c.data, p.ldc = op.c_channels;
  p.epilogue = op.epilogue;
  p.epilogue.rsy = op.y.axis[2], p.epilogue.csy = p.n == 1 ? 1 : op.y.last;
  normalise(p);
  return p;
}

// Few weights are packed once and meet windows of pixels that stay in L2; C is then
// written once, in order. 8 x 28 x 28 x 64 -> 128 channels: 99
// GFLOP/s instead of 88 as one product (Cascade Lake).
template <class T>
bool prefers_windows(const Correlation<T>& op) {
  const Product<T> p = product_of(op);
  return p.k * p.n * int64_t{sizeof(T)} <= kFewWeightBytes && p.m >= kPackPixels &&
         !prefers_transposed(p);
}

// Several rows of pixels as one, so that tiles are full; every element keeps its image.
template <class T>
void join_rows(Correlation<T>& op) {
  Geometry& g = op.g;
  const int64_t rows = g.in[0] * g.in[1];
  const int64_t bytes = g.in[2] * op.a_channels * int64_t{sizeof(T)};
  int64_t joined = max_of(1, min_of(min_of(rows, 64), kJoinedBytes / max_of(1, bytes)));
  while (joined > 1 && rows % joined != 0)
    --joined;
  g.in[0] = 1, g.in[1] = rows / max_of(1, joined), g.in[2] *= joined;
  for (int i = 0; i < kAxes; ++i)
    g.out[i] = g.in[i];
  const auto join = [&](int64_t* axis) {
    axis[1] = g.in[2] * axis[2], axis[0] = g.in[1] * axis[1];
  };
  join(op.a.axis), join(op.c.axis), join(op.y.axis);
}

// The pixels begin .. end of image n: all of them in one product where images follow
// one another.
template <class T>
void pointwise_conv(Correlation<T> op, const Share& share) {
  const int64_t* size = op.c_size();
  const int64_t pixels = size[0] * size[1] * size[2];
  Product<T> p = product_of(op);
  const bool joined = op.a.first == pixels * op.a.axis[2] &&
                      (!op.y.data || op.y.first == pixels * op.y.axis[2]);
  if (!joined) p.m = pixels;
  const bool transposed = prefers_transposed(p);
  const int64_t elements = scratch_elements(p, transposed);
  T* const buffer =
      static_cast<T*>(scratch((elements + bias_elements(op)) * sizeof(T)));
  copy_bias(op, buffer + elements);
  p.epilogue.bias = op.epilogue.bias;
  const int64_t begin = share.rows.begin * size[2], end = share.rows.end * size[2];
  for (int64_t at = begin; at < end;) {
    const int64_t n = joined ? 0 : at / pixels, first = at - n * pixels;
    const int64_t stop = joined ? end : min_of(end, (n + 1) * pixels);
    Product<T> q = p;
    q.m = stop - at, q.n = share.cols.end - share.cols.begin;
    q.a += n * op.a.first + first * p.rsa;
    q.b += share.cols.begin * p.csb;
    q.c += at * p.ldc + share.cols.begin;
    q.row = first, q.col = share.cols.begin;
    if (op.y.data) q.epilogue.y += n * op.y.first;
    if (transposed) transpose_operands(q);
    run_product(q, transposed, buffer);
    at = stop;
  }
}

// dw = x^T dy, the pixels as k.
template <class T>
void pointwise_filter(const Filter<T>& op, Part part) {
  const Geometry& g = op.g;
  if (g.c == 0 || g.oc == 0) return;
  const FilterShare share = filter_share(g, kMainRows, lanes<T>, part);
  if (share.groups.begin >= share.groups.end) return;
  Product<T> p = {};
  p.m = g.c, p.n = g.oc, p.k = g.images * g.in[0] * g.in[1] * g.in[2];
  p.a = op.x.data, p.rsa = op.x.last, p.csa = op.x.axis[2];
  p.b = op.dy.data, p.rsb = op.dy.axis[2], p.csb = op.dy.last;
  p.c = op.dw, p.ldc = g.oc;
  normalise(p);
  const bool transposed = prefers_transposed(p);
  T* const buffer =
      static_cast<T*>(scratch(scratch_elements(p, transposed) * sizeof(T)));
  p.a += share.channels.begin * p.rsa, p.b += share.cols.begin * p.csb;
  p.c += share.channels.begin * p.ldc + share.cols.begin;
  p.m = share.channels.end - share.channels.begin;
  p.n = share.cols.end - share.cols.begin;
  if (transposed) transpose_operands(p);
  run_product(p, transposed, buffer);
}

FASTNN_END_NAMESPACE
